"""A command under sudo is its caller's: his numbers, his groups, and no right beyond them."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import run as tool

from chaoskit.clock import RealClock
from chaoskit.conduct.sudo_caller import choose
from chaoskit.conduct.user_command import Command, run

CLOCK = RealClock()
PASSWD = "root:x:0:0::/root:/bin/sh\nalice:x:4711:4711::/home/alice:/bin/sh\n"
GROUP = "root:x:0:\nalice:x:4711:\naudio:x:29:alice\nvideo:x:44:bob,alice\nshadow:x:42:\n"
SUDO = {"SUDO_UID": "4711", "SUDO_GID": "4711", "SUDO_USER": "root", "HOME": "/root", "USER": "root"}


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that anybody may look into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def accounts(tmp_path: Path) -> Callable[[], None]:
    """Puts accounts of our own into the place of this machine's, for one process."""
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)

    def prepare() -> None:
        ctypes.CDLL(None).unshare(0x20000)
        tool("mount", "--make-rprivate", "/")
        for name in ("passwd", "group"):
            tool("mount", "--bind", str(tmp_path / name), f"/etc/{name}")
        os.environ.update(SUDO)

    return prepare


def as_caller(prepare: Callable[[], None], *argv: str, as_root: bool = False) -> int:
    """A process that runs a command as `chaoskit exec` does under sudo; its number."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        prepare()
        told = choose(as_root, lambda sentence: (os.write(2, sentence.encode()), None)[1])
        code = run(Command.with_own_environment(argv, told), lambda: None)
    finally:
        os._exit(code)


def test_it_is_its_callers(accounts: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> None:
    """User, group, all groups of his and none of root's, home and name; and it is said in one line."""
    script = 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"; grep -E "^(Cap|NoNew|Groups)" /proc/self/status'

    _, status = os.waitpid(as_caller(accounts, "sh", "-c", script), 0)

    said = capfd.readouterr()
    lines = said.out.splitlines()
    rest = dict(line.split(":\t") for line in lines[4:])
    assert status == 0, said.err
    assert lines[:2] == ["4711", "4711"]
    assert {*lines[2].split()} == {"4711", "29", "44"}
    assert lines[3] == "/home/alice alice alice"
    assert {*rest["Groups"].split()} == {"4711", "29", "44"}
    assert [int(rest[each], 16) for each in ("CapInh", "CapPrm", "CapEff", "CapAmb")] == [0] * 4
    assert rest["NoNewPrivs"] == "1"
    assert said.err == "the command runs as alice, who called sudo; --as-root runs it as root"


def test_it_cannot_be_root_again(accounts: Callable[[], None], place: Path) -> None:
    """It writes no file of root's, kills no process of root's, and no set-user-ID program helps it."""
    (place / "roots").write_text("as it was")
    shutil.copy("/bin/sh", place / "set")
    (place / "set").chmod(0o4755)
    write = f"echo x > {place}/roots"

    script = f"{write}; {place}/set -p -c '{write}'; kill -9 1 {os.getpid()}; test -r {place}/roots && exit 7"
    _, status = os.waitpid(as_caller(accounts, "sh", "-c", script), 0)

    assert os.waitstatus_to_exitcode(status) == 7
    assert (place / "roots").read_text() == "as it was"


def test_root_is_kept_when_it_is_asked_for(accounts: Callable[[], None], capfd: pytest.CaptureFixture[str]) -> None:
    """Then nothing is said about it, and the environment is as it was."""
    os.waitpid(as_caller(accounts, "sh", "-c", "id -u; echo $HOME", as_root=True), 0)

    said = capfd.readouterr()
    assert (said.out, said.err) == ("0\n/root\n", "")


def test_it_dies_with_us_all_the_same(accounts: Callable[[], None], place: Path) -> None:
    """kill -9 of us is the end of the command, although it is another user's by then."""
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    told = place / "open" / "pid"
    ours = as_caller(accounts, "sh", "-c", f"echo $$ > {told}.part; mv {told}.part {told}; exec sleep 1000")
    until(told.exists)

    os.kill(ours, signal.SIGKILL)
    os.waitpid(ours, 0)

    until(lambda: not _runs(int(told.read_text())))


def until(condition: Callable[[], object]) -> None:
    """Wait for it, up to twenty seconds."""
    deadline = CLOCK.now() + 20 * 10**9
    while not condition():
        assert CLOCK.now() < deadline, "it did not come true within 20 s"
        CLOCK.sleep_until(CLOCK.now() + 10_000_000)


def _runs(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
