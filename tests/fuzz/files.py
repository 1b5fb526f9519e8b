"""Fuzzes files: those that people write, and those that other users may have written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chaoskit.engine.journal import pending_restores
from chaoskit.engine.lease import LEASE, Lease, Leases
from chaoskit.errors import ChaoskitError, RefusedError, SpecError
from chaoskit.knobs import Knob
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.spec import access_options, objectives, options
from chaoskit.spec.exec import exec_faults
from chaoskit.spec.load import load_injection
from chaoskit.spec.matrix import parse_variants
from chaoskit.units import Duration, Frequency, Rate, Share, Size
from fuzz.mutate import of_bytes, of_json, of_yaml
from fuzz.target import Judge, Target, plain

TOP = Path(__file__).parents[2]
_FEW = 3  # variants that are compiled
_INJECTIONS = (
    b"interface: eth0\nto: api.example.com:443\ndown: delay 80ms 20ms loss 1%\nfor: 10m\n",
    b"interface: wlan0\nto: [10.0.0.0/8, '[2001:db8::1]:443']\nup: {loss: {gemodel: {p: 1%, r: 10%}}}\nport: 443\n",
    b"interface: eth0\nprotocol: udp\nip: 6\nsize-drop-down: 1400B\nmss-clamp: 1200\nmtu: 1280\nfor: 30s\n",
    b'{"leases": [{"id": "a", "injection": {"interface": "eth0", "down": "delay 1ms"}}]}',
)
_WORDS = (
    b"delay 80ms 20ms 25% distribution pareto", b"loss gemodel 1% 10% 70% 0.1%", b"loss state 1% 2% 3% 4% 5%",
    b"rate 1mbit 14 48 4 slot 1ms 2ms packets 3 bytes 4", b"slot distribution normal 1ms 2ms limit 1000 seed 7",
    b"duplicate 1% 25% corrupt 0.1% reorder 25% 50% gap 5 ecn", b"{delay: 80ms, loss: 1%}", b"ttft p95 < 500ms",
    b"stalls per 1000 tokens < 2", b"ttft p99 < 2 x phase calm", b"1.5ms", b"10mbit", b"4KiB", b"0.01%", b"100/s",
    b"api.example.com:443", b"[2001:db8::1]:443", b"x-tenant: blue",
)  # fmt: skip


def experiments() -> list[bytes]:
    """The shipped ones."""
    return [path.read_bytes() for path in sorted((TOP / "experiments").rglob("*.yaml"))]


def judge_experiment(data: bytes) -> None:
    """An experiment, or a sentence; and its plan, or a sentence."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    with suppress(ChaoskitError):
        for variant in parse_variants(text, "fuzz.yaml").each[:_FEW]:
            compile_plan(variant.experiment, placeholder_lookups(variant.experiment)).model_dump_json()


@contextmanager
def injections() -> Iterator[Judge]:
    """By file, as `inject` reads one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "injection.yaml"

        def judge(data: bytes) -> None:
            path.write_bytes(data)
            with suppress(SpecError):
                load_injection(path)

        yield judge


def judge_words(data: bytes) -> None:
    """What one types: a netem in tc's words, a quantity, an objective, a far end, a header."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    for quantity in (Duration, Rate, Size, Share, Frequency):
        with suppress(ValueError):
            found = quantity.parse(text)
            assert str(found)
    with suppress(ValueError):
        objectives.parse(text)
    for attempt in (
        lambda: exec_faults(text, None, 0),
        lambda: options.parse_far_end(text),
        lambda: access_options.access({"header": [text], "header-env": [text], "proxy": text, "api-key-header": text}),
        lambda: options.objectives([text]),
        lambda: options.injection({"interface": "eth0", "up": text, "to": text}),
        lambda: options.workload({"max-concurrency": text, "idle-timeout": text}),
    ):
        with suppress(SpecError):
            attempt()


def judge_journal(data: bytes) -> None:
    """What is owed, or a refusal. A line that is torn off is as if it had never been."""
    with suppress(RefusedError):
        pending = pending_restores(data)
        assert pending_restores(data + b'{"type": "int') == pending_restores(
            data[: data.rfind(b"\n") + 1]
        ) or not data.endswith(b"\n")
        assert all(isinstance(entry.knob, Knob) for entry in pending)


@contextmanager
def leases() -> Iterator[Judge]:
    """A state folder with one lease."""
    with tempfile.TemporaryDirectory() as state:
        found = Leases(Path(state))
        folder = found.folder("one")
        folder.mkdir(parents=True)

        def judge(data: bytes) -> None:
            (folder / LEASE).write_bytes(data)
            (folder / "leftovers.json").write_bytes(data)
            with suppress(RefusedError):
                assert isinstance(found.read("one"), Lease)
            both = found.all()
            assert len(both.leases) + len(both.broken) == 1
            for lease in both.leases:
                assert lease.is_running_exec in (True, False)
            assert isinstance(found.leftovers("one"), list)

        yield judge


_LEASE = (
    b'{"id": "one", "command": "exec", "user": "alice", "interface": "eth0", "since": "2026-01-01T00:00:00+00:00", '
    b'"until": "2026-01-01T00:01:00+00:00", "deadline": 7, "injection": {"down": {"delay": "80ms"}}, "machine": "m", '
    b'"boot": "b", "namespace": "n", "journal": null, "owner": {"pid": 1, "started": 2}, "watchdog": null}\n'
)
_JOURNAL = (
    b'{"knob":{"kind":"mtu","place":"","name":"eth0"},"former":1500,"wanted":1400,"type":"intent"}\n'
    b'{"knob":{"kind":"mtu","place":"","name":"eth0"},"type":"done"}\n'
    b'{"knob":{"kind":"sysctl","place":"client","name":"net.ipv4.tcp_mtu_probing"},"former":"0","wanted":"1",'
    b'"type":"intent"}\n'
    b'{"knob":{"kind":"mtu","place":"","name":"eth0"},"type":"restored"}\n'
)

EXPERIMENT = Target("experiment", experiments, of_yaml, plain(judge_experiment))
INJECTION = Target("injection", lambda: list(_INJECTIONS), of_yaml, injections)
WORDS = Target("words", lambda: list(_WORDS), of_bytes(*_WORDS), plain(judge_words))
JOURNAL = Target("journal", lambda: [_JOURNAL], of_json, plain(judge_journal))
LEASES = Target("lease", lambda: [_LEASE], of_json, leases)
