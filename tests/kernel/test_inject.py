"""`chaoskit inject`, `status` and `restore` as a person meets them, on a real loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import pytest
import yaml
from commands import started, typed
from lab import as_nobody, run, wait_for

from chaoskit import child_command
from chaoskit.kernel.linux import LinuxKernel

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "chaostoolkit" / "slow-path.yaml"
TO = ("--to", "127.0.0.1:8000", "--down", "delay 40ms")
MISTAKES: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("--down", "delay 1ms", "--for", "9s"), 2, "no traffic selected; give for example --to api.example.com:443"),
    (("--down", "delay 1ms", "--for", "9s", "--interface", "lo"), 2, "everything"),
    ((*TO,), 2, "--for"),
    (("--to", "127.0.0.1", "--for", "9s"), 2, "give --down or --up"),
    (("--to", "127.0.0.1", "--down", "dealy 1ms", "--for", "9s"), 2, "delay"),
    (("--to", "127.0.0.1", "--down", "delay 100", "--for", "9s"), 2, "unit"),
    (("--to", "127.0.0.1", "--size-drop-up", "1kB", "--for", "9s"), 2, "found '1kB', expected a whole number"),
    (("--to", "127.0.0.1", "--mss-clamp", "12", "--for", "9s"), 2, "expected 88 or more"),
    (("--to", "127.0.0.1:99999", "--down", "delay 1ms", "--for", "9s"), 2, "65535"),
    (("--to", "no-such-name.invalid", "--down", "delay 1ms", "--for", "9s"), 3, "does not resolve"),
    (("--to", "192.0.2.1", "--down", "delay 1ms", "--for", "9s"), 3, "no route leads to 192.0.2.1"),
    (("--interface", "eth9", "--everything", "--down", "delay 1ms", "--for", "9s"), 3, "no interface eth9 here"),
    (("--interface", "asleep", "--to", "192.0.2.1", "--down", "delay 1ms", "--for", "9s"), 3, "asleep is down"),
    (("/nonexistent.yaml",), 2, "No such file"),
    (("-", "--to", "127.0.0.1"), 2, "cannot be combined with"),
)
"""What is typed, the exit code, and what it says."""


@pytest.fixture
def home(kernel: LinuxKernel, tmp_path: Path) -> Iterator[Path]:
    """A state folder of our own. Afterwards the guest's own namespace is as it was, and no lease is left."""
    before = look()

    yield tmp_path

    if any((tmp_path / "leases").glob("*")):
        typed(tmp_path, "restore")
    assert look() == before
    assert not list((tmp_path / "leases").glob("*"))


def look() -> list[str]:
    """What the guest's own namespace holds."""
    return [run("tc", "-d", "qdisc"), run("ip", "-d", "link"), filters(), filters("egress")]


def filters(hook: str = "ingress") -> str:
    """What hangs in the clsact of loopback."""
    return run("tc", "filter", "show", "dev", "lo", hook)


def test_it_holds_for_its_lease_and_not_longer(home: Path) -> None:
    """In force for the time that was asked, then put back by itself; exit 0, and what passed is told."""
    code, said = typed(home, "inject", *TO, "--for", "1s")

    assert code == 0, said
    assert "in force until" in said
    assert "0 packets to this machine matched" in said
    assert filters() == ""


def test_a_detached_lease_needs_nobody(home: Path) -> None:
    """`--detach` returns at once, `status` tells of it, a second one is told who is there, `restore` ends it."""
    code, said = typed(home, "inject", *TO, "--for", "60s", "--detach")
    assert code == 0, said
    lease = said.split("chaoskit restore ")[1].split()[0]

    assert "IN FORCE" in typed(home, "status")[1]
    assert "src_port 8000" in filters()
    code, said = typed(home, "inject", "--to", "127.0.0.1:9000", "--down", "loss 1%", "--for", "9s")
    assert code == 3
    assert "another chaoskit works in this network namespace" in said
    assert "see chaoskit status" in said

    assert typed(home, "restore", lease)[0] == 0
    assert filters() == ""


def test_what_status_says_can_be_injected_again(home: Path) -> None:
    """The JSON of `status`, given to `inject -`, gives the same filters and the same netem once more."""
    words = ("--up", "delay 10ms 1ms distribution normal", "--protocol", "tcp", "--seed", "7")
    assert typed(home, "inject", *TO, *words, "--for", "60s", "--detach")[0] == 0
    first = [filters().split("index")[0], run("tc", "qdisc", "show", "dev", "chaos-up")]
    said = typed(home, "status", "--json")[1]
    typed(home, "restore")

    code, answer = typed(home, "inject", "-", "--detach", told=said)

    assert code == 0, answer
    assert [filters().split("index")[0], run("tc", "qdisc", "show", "dev", "chaos-up")] == first
    assert json.loads(said)["leases"][0]["injection"]["for"] == "60s"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_it_early(home: Path, sign: signal.Signals) -> None:
    """Ctrl-C, a kill and a terminal that closes put everything back, with 128 and the signal as exit code."""
    process = started(home, "inject", *TO, "--for", "60s")
    wait_for(lambda: "8000" in filters())

    os.kill(process.pid, sign)
    code, said = process.ended()

    assert code == 128 + sign, said
    assert filters() == ""


def test_restore_ends_one_in_the_foreground_as_a_kill_does(home: Path) -> None:
    """The injection in another terminal puts back itself: 143, what passed is told; restore tells what is back."""
    process = started(home, "inject", *TO, "--for", "60s")
    wait_for(lambda: "in force until" in process.said.read_text())

    code, told = typed(home, "restore")

    assert code == 0, told
    assert "filter lo ingress" in told
    assert all(": removed" in line or ": restored to " in line for line in told.splitlines())
    code, said = process.ended()
    assert code == 128 + signal.SIGTERM, said
    assert "0 packets to this machine matched" in said


def test_what_was_lost_for_its_size_is_counted(home: Path) -> None:
    """In the end it is told how many packets of the far end's were too long; shorter ones do not count."""
    process = started(home, "inject", "--to", "127.0.0.1:8000", "--size-drop-down", "1400", "--for", "60s")
    wait_for(lambda: "in force until" in process.said.read_text())
    with socket.socket(type=socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("127.0.0.1", 8000))
        client.bind(("127.0.0.1", 0))
        for size in (100, 1372, 1373, 2000, 1400):
            server.sendto(bytes(size), client.getsockname())

    os.kill(process.pid, signal.SIGINT)

    code, said = process.ended()
    assert code == 128 + signal.SIGINT, said
    assert "3 packets to this machine too long, and dropped" in said


def test_a_dry_run_changes_nothing(home: Path) -> None:
    """`--dry-run` prints the plan and the commands, needs no rights, and leaves no trace."""
    before = look()

    code, said = typed(home, "inject", *TO, "--for", "60s", "--dry-run")

    assert code == 0, said
    assert "tc filter add dev lo ingress protocol ip" in said
    assert "ip link del chaos-down" in said
    assert look() == before
    assert not (home / "leases").exists()


def test_mistakes_get_a_sentence(home: Path) -> None:
    """Each typical mistake: the exit code that says whose it is, one sentence, and no trace of a traceback."""
    run("ip", "link", "add", "asleep", "type", "ifb")
    answers = [typed(home, "inject", *words) for words, *_ in MISTAKES]
    run("ip", "link", "del", "asleep")

    for (words, code, sentence), (answer, said) in zip(MISTAKES, answers, strict=True):
        assert answer == code, (words, said)
        assert sentence in said, words
        assert "Traceback" not in said


def test_without_rights_it_says_what_helps() -> None:
    """A user without CAP_NET_ADMIN is told of sudo, of exec and of run."""
    theirs = Path(mkdtemp(dir="/run"))
    theirs.chmod(0o777)

    def attempt() -> None:
        code, said = typed(theirs / "state", "inject", *TO, "--for", "9s")
        assert code == 3, said
        for remedy in ("sudo chaoskit inject", "chaoskit exec", "chaoskit run"):
            assert remedy in said

    assert as_nobody(attempt) == 0


def test_chaos_toolkit_measures_behind_a_fault_and_restores(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its example injects under a lease and measures; without a rollback the control ends the lease before its time."""
    place, server = tmp_path_factory.mktemp("chaos"), child_command.start("serve", "--port", "0")
    assert server.stdout is not None
    url = server.stdout.readline().decode().split()[0]
    experiment = yaml.safe_load(EXAMPLE.read_text())
    kept = ("title", "description", "configuration", "secrets", "controls", "method")
    (place / "experiment.json").write_text(json.dumps({name: experiment[name] for name in kept}))

    options = ["--no-version-check", "--no-log-file", "--settings", "none.yaml"]
    endpoint = {"ENDPOINT": url, "SERVER": urlsplit(url).netloc, "ENDPOINT_KEY": "none"}
    done = subprocess.run(
        [str(Path(sys.executable).parent / "chaos"), *options, "run", "experiment.json"],
        cwd=place,
        env={**os.environ, **endpoint, "CHAOSKIT_STATE": str(home)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    child_command.stop(server)

    assert done.returncode == 0, done.stderr
    injected, measured = json.loads((place / "journal.json").read_text())["run"]
    assert injected["output"]["said"][-1].endswith(f"chaoskit restore {injected['output']['lease']} ends it earlier")
    assert measured["output"]["ttft"]["p50_ms"] > 80  # a handshake and a request, each there and back
    assert not list((home / "leases").glob("*"))
