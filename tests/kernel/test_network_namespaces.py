"""Injections into the network namespaces of others: by name, by process, by path; and back."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from commands import typed
from lab import as_nobody, run, wait_for

import chaoskit.analysis.analyse
import chaoskit.cli.probe_output
import chaoskit.conduct.probe_only
import chaoskit.pathmtu.prepare
import chaoskit.report.pathmtu
import chaoskit.report.probe_progress  # noqa: F401  nobody may not be able to read them later
from chaoskit.cli.main import main
from chaoskit.engine.lease import Leases
from chaoskit.errors import RefusedError
from chaoskit.kernel.foreign_namespaces import held_process

EXPERIMENT = """\
name: there
question: Does it run in the namespace that its stage names?
stage: {target: "http://127.0.0.1:8000", netns: blue}
workload: {request-rate: 4/s, output-tokens: 5}
faults: {slow: {direction: down, netem: {delay: 40ms}}}
timeline: [{baseline: 1s}, {slow: 2s}]
"""
FAULT = ("--to", "10.9.0.2:8000", "--down", "delay 40ms")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A state folder, and the namespace `blue` of ip netns, with 10.9.0.1 on `eth0` and 10.9.0.2 at its other end.

    Afterwards nothing of chaoskit is left in the guest's own namespace.
    """
    run("ip", "netns", "add", "blue")
    for words in (
        ("link", "add", "eth0", "type", "veth", "peer", "name", "far"),
        ("address", "add", "10.9.0.1/24", "dev", "eth0"),
        ("link", "set", "lo", "up"),
        ("link", "set", "eth0", "up"),
        ("link", "set", "far", "up"),
    ):
        run("ip", "-n", "blue", *words)
    before = run("tc", "qdisc"), run("ip", "link")

    yield tmp_path / "state"

    run("ip", "netns", "delete", "blue") if Path("/run/netns/blue").exists() else None
    assert (run("tc", "qdisc"), run("ip", "link")) == before


def filters() -> str:
    """The filters in blue."""
    return run("ip", "netns", "exec", "blue", "tc", "filter", "show", "dev", "eth0", "ingress")


@contextmanager
def process(*namespaces: str, listens: int | None = None, serves: bool = False) -> Iterator[int]:
    """A process in the network namespace of this name (none: a new one), which may answer 404 at a port, or be the
    reference server."""
    ready, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        libc = ctypes.CDLL(None)
        if namespaces:
            libc.setns(os.open(f"/run/netns/{namespaces[0]}", os.O_RDONLY), 0)
        else:
            libc.unshare(0x4000_0000)
        server = socket.create_server(("10.9.0.1", listens)) if listens else None
        os.write(told, b"!")
        if serves:
            sys.argv = ["chaoskit", "serve"]
            main()
        while server:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()
        signal.pause()
    os.read(ready, 1)
    try:
        yield pid
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def test_a_name_of_ip_netns(home: Path) -> None:
    """In force there and not here; `status` shows it from here, `restore` says where it is, and restores it there."""
    code, said = typed(home, "inject", "--netns", "blue", *FAULT, "--for", "60s", "--detach")
    assert code == 0, said
    assert "in the network namespace blue" in said
    assert "src_port 8000" in filters()

    told = typed(home, "status")[1]
    assert "IN FORCE" in told
    assert "in another network namespace: --netns blue" in told
    assert "another network namespace" not in typed(home, "status", "--netns", "blue")[1]
    code, told = typed(home, "restore")
    assert code == 0, told
    assert "is in another network namespace and is left alone: chaoskit restore --netns blue" in told
    assert "src_port 8000" in filters()
    code, told = typed(home, "restore", "--netns", "blue")

    assert code == 0, told
    assert "filter eth0 ingress" in told
    assert filters() == ""
    assert not Leases(home).all().leases


def test_the_lease_ends_there_by_itself(home: Path) -> None:
    """In the foreground, and by a path, for a second; then nothing is left there."""
    code, said = typed(home, "inject", "--netns", "/run/netns/blue", *FAULT, "--for", "1s")

    assert code == 0, said
    assert "ended and restored" in said
    assert filters() == ""


def test_each_namespace_has_its_own_lock_and_lease(home: Path) -> None:
    """One here and one there at the same time; a second one there is told that it is taken."""
    run("ip", "link", "set", "lo", "up")
    assert typed(home, "inject", "--netns", "blue", *FAULT, "--for", "60s", "--detach")[0] == 0
    code, said = typed(home, "inject", "--to", "127.0.0.1:9", "--down", "delay 1ms", "--for", "60s", "--detach")
    assert code == 0, said
    code, said = typed(home, "inject", "--netns", "blue", *FAULT, "--for", "60s")
    assert code == 3
    assert "another chaoskit works in this network namespace" in said
    assert len(json.loads(typed(home, "status", "--json")[1])["leases"]) == 2

    assert typed(home, "restore")[0] == 0
    assert len(Leases(home).all().leases) == 1
    assert "src_port 8000" in filters()
    assert typed(home, "restore", "--netns", "blue")[0] == 0


def test_a_process_that_dies_does_not_break_the_restore(home: Path) -> None:
    """By a process whose namespace nothing else holds: it dies, the watchdog holds the namespace and restores it."""
    with process() as pid:
        run("nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "set", "lo", "up")
        fault = ("-i", "lo", "--everything", "--down", "delay 1ms", "--for", "60s", "--detach")
        code, said = typed(home, "inject", "--pid", str(pid), *fault)
        assert code == 0, said
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        (lease,) = Leases(home).all().leases
        assert lease.watchdog is not None
        assert f"in another network namespace: --pid {lease.watchdog.pid}" in typed(home, "status")[1]
        code, said = typed(home, "inject", "--pid", str(pid), *fault)
        assert code == 3
        assert f"no process {pid} here" in said

        code, told = typed(home, "restore", lease.id)

        assert code == 0, told
        assert "clsact lo: removed" in told
        assert not Leases(home).all().leases


def test_a_namespace_that_is_gone_makes_its_lease_void(home: Path) -> None:
    """All its processes are killed and its name is deleted: status says so, restore closes the lease, exit 0."""
    assert typed(home, "inject", "--netns", "blue", *FAULT, "--for", "60s", "--detach")[0] == 0
    (lease,) = Leases(home).all().leases
    assert lease.watchdog is not None
    os.kill(lease.watchdog.pid, signal.SIGKILL)
    wait_for(lambda: lease.watchdog is not None and not lease.watchdog.state)
    run("ip", "netns", "delete", "blue")

    assert "its network namespace is gone, and its changes with it" in typed(home, "status")[1]
    code, told = typed(home, "restore")

    assert code == 0, told
    assert "its network namespace is gone, and what it had changed with it: closed" in told
    assert not Leases(home).all().leases


def test_a_killed_watchdog_is_restored_from_the_way_that_status_names(home: Path) -> None:
    """The journal is applied in its own namespace alone, which a restore by its id enters by itself."""
    assert typed(home, "inject", "--netns", "blue", *FAULT, "--for", "60s", "--detach")[0] == 0
    (lease,) = Leases(home).all().leases
    assert lease.watchdog is not None
    os.kill(lease.watchdog.pid, signal.SIGKILL)
    wait_for(lambda: lease.watchdog is not None and not lease.watchdog.state)

    told = typed(home, "status")[1]
    assert f"chaoskit restore --netns blue {lease.id}" in told
    assert typed(home, "restore")[0] == 0
    assert "src_port 8000" in filters()
    assert typed(home, "restore", lease.id)[0] == 0

    assert filters() == ""
    assert not Leases(home).all().leases


def test_names_resolve_as_there(home: Path) -> None:
    """With /etc/netns/blue as ip netns exec does, and with the hosts file of the process; this machine's stays."""
    ours = Path("/etc/hosts").read_text()
    folder = Path("/etc/netns/blue")
    run("mount", "-t", "tmpfs", "none", "/mnt")
    overlay = Path("/mnt")
    try:
        shutil.copytree("/etc", overlay / "etc", symlinks=True, ignore=shutil.ignore_patterns("ssl", "alternatives"))
        run("mount", "--bind", "/mnt/etc", "/etc")
        folder.mkdir(parents=True)
        (folder / "hosts").write_text("10.9.0.2 llm.blue\n")
        words = ("--to", "llm.blue:8000", "--down", "delay 1ms", "--for", "1s")

        code, said = typed(home, "inject", "--netns", "blue", *words)
        assert code == 0, said
        assert "llm.blue is 10.9.0.2" in said
        assert typed(home, "inject", "--netns", "/run/netns/blue", *words)[0] == 3
        (folder / "hosts").chmod(0o666)
        code, said = typed(home, "inject", "--netns", "blue", *words)
        assert code == 3
        assert "/etc/netns/blue/hosts can be written by" in said
        assert Path("/etc/hosts").read_text() == ours
    finally:
        run("umount", "/etc")
        run("umount", "/mnt")


def test_mistakes_get_a_sentence(home: Path, tmp_path: Path) -> None:
    """No such name, a file that is no namespace, another kind of namespace, a pipe, no such process, two at once: told
    by `status`, and one of each option by every command."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    others = ("restore",), ("inject", *FAULT, "--for", "9s"), ("pmtu", "10.9.0.2")
    for words, code, sentence in (
        (("--netns", "green"), 3, "no network namespace green: ip netns has blue"),
        (("--netns", "/nowhere"), 3, "no network namespace /nowhere: /nowhere: No such file or directory"),
        (("--netns", str(tmp_path / "pipe")), 3, "pipe is no network namespace"),
        (("--netns", str(tmp_path / "file")), 3, "file is no network namespace"),
        (("--netns", "/proc/self/ns/uts"), 3, "uts is no network namespace"),
        (("--netns", ".."), 2, "expected a name that ip netns shows"),
        (("--pid", "4194304"), 3, "no process 4194304 here"),
        (("--pid", "blue"), 2, "--pid: found 'blue', expected a whole number"),
        (("--pid", "0"), 2, "--pid: found '0', expected 1 or more"),
        (("--pid", "1", "--netns", "blue"), 2, "--netns and --pid each choose a network namespace"),
        (("--container", "-x"), 2, "expected a container's name or id"),
        (("--container", "web"), 3, "neither /var/run/docker.sock nor /run/podman/podman.sock is there"),
    ):
        is_told_by_all = words[1] in ("green", "4194304", "web")
        for command in (("status",), *(others if is_told_by_all else ())):
            answer, said = typed(home, *command, *words)

            assert answer == code, said
            assert sentence in " ".join(said.split()), said
    assert filters() == ""


def test_without_root_it_is_said(home: Path) -> None:
    """A user who may not enter a network namespace is told of sudo, by each command."""

    def attempt() -> None:
        for command in (("status",), ("probe", "http://10.9.0.2:8000"), ("pmtu", "10.9.0.2")):
            code, said = typed(Path("/run/nobody"), *command, "--netns", "blue")
            assert code == 3, said
            assert "--netns blue: entering a network namespace needs root (CAP_SYS_ADMIN): sudo chaoskit" in said

    Path("/run").chmod(0o1777)
    assert as_nobody(attempt) == 0
    del home


def test_a_process_is_held_while_it_is_examined() -> None:
    """One that ends meanwhile, whose number another could have by now, is refused."""

    def examine(pid: int) -> None:
        with held_process(pid):
            os.kill(pid, signal.SIGKILL)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

    with process() as pid, pytest.raises(RefusedError, match=f"process {pid} has just ended"):
        examine(pid)


def test_a_probe_and_a_pmtu_run_there(home: Path) -> None:
    """A server that is only there is reached by the probe, and pmtu uses the routes of there."""
    folder = home.with_name("probed")
    words = ("probe", "http://10.9.0.1:8123", "--requests", "1", "--out", str(folder))
    with process("blue", listens=8123):
        said = typed(home, *words, "--netns", "blue")[1]
    assert '"completion":"http_error"' in (folder / "requests.jsonl").read_text().replace(" ", ""), said
    assert "10.9.0.1 is this machine itself" in typed(home, "pmtu", "10.9.0.1", "--netns", "blue")[1]
    assert "no route leads to 10.9.0.1" in typed(home, "pmtu", "10.9.0.1")[1]


def test_an_experiment_runs_there(home: Path, tmp_path: Path) -> None:
    """`stage: {netns: blue}`: planned, run and restored in that namespace, and conducted in no other."""
    file, directory = tmp_path / "x.yaml", tmp_path / "run"
    file.write_text(EXPERIMENT)
    with process("blue", serves=True):
        code, said = typed(home, "plan", str(file))
        assert code == 0, said
        assert "The interface lo in the network namespace blue" in said

        code, said = typed(home, "run", str(file), "--out", str(directory))

    assert code == 0, said
    requests = [json.loads(line) for line in (directory / "requests.jsonl").read_text().splitlines()]
    assert {each["completion"] for each in requests} == {"complete"}
    assert max(each["connect_duration"] for each in requests) > 40_000_000
    assert "clsact" not in run("ip", "netns", "exec", "blue", "tc", "qdisc")
    assert not Leases(home).all().leases
    (directory / "again").mkdir()
    shutil.copy(directory / "plan.json", directory / "again")
    typed(home, "conduct", str(directory / "again"))
    outcome = json.loads((directory / "again" / "outcome.json").read_text())
    assert "this plan is for the network namespace blue" in outcome["detail"]
