"""Tests real guests: exit code, files, interruption, and that nothing remains after any end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

Boot = Callable[..., uml.Guest]
Until = Callable[[Callable[[], object]], None]
Alive = Callable[[int], list[int]]
ROOT = Path(__file__).parents[2]
LAB = ("namespaces", "veth", "netem", "ifb", "clsact", "matchall", "flower", "u32")

FOREVER = "touch begun; while :; do sleep 0.1; done"


def names(folder: Path) -> set[str]:
    """What lies in a folder, hidden files too."""
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def copy_for_everybody() -> Iterator[Path]:
    """The program where any user can read it; a clone may lie in somebody's home."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        shutil.copytree(ROOT / "chaoskit", Path(place, "chaoskit"), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "tests" / "in_guest.py", place)
        yield Path(place)


def shell(folder: Path, script: str) -> tuple[str, ...]:
    """A command that runs `script` inside `folder`."""
    return "sh", "-c", f"cd '{folder}' && {script}"


def test_the_exit_code_and_the_output_are_returned(boot: Boot, tmp_path: Path, until: Until, alive: Alive) -> None:
    """A command's exit code is the guest's, its words are in the log and nothing else is, in no other file."""
    guest = boot("sh", "-c", "echo hi; echo ho >&2; exit 7")

    assert guest.finish() == 7
    assert guest.poll() == 7
    assert guest.log.read_bytes() == b"hi\nho\n"
    assert names(tmp_path) == {"guest.log"}
    until(lambda: not alive(guest.pid))


def test_a_command_that_dies_by_a_signal(boot: Boot) -> None:
    """It comes back as a shell would say it: 128 and the signal's number."""
    assert boot("sh", "-c", "kill -TERM $$").finish() == 128 + signal.SIGTERM


def test_a_command_that_is_not_there(boot: Boot) -> None:
    """It is said by name, and the code is a shell's 127."""
    guest = boot("no-such-command")

    assert guest.finish() == 127
    assert "no-such-command" in guest.log.read_text()


def test_what_a_command_left_running_does_not_hold_the_guest(boot: Boot) -> None:
    """The guest ends with its command, not with the command's forgotten children."""
    assert boot("sh", "-c", "sleep 1000 & exit 0").finish() == 0


def test_one_folder_can_be_written_and_nothing_else(boot: Boot, tmp_path: Path) -> None:
    """Writes reach the host in the given folder; the rest of its files can only be read."""
    beside = tmp_path.parent / "beside"
    elsewhere = f"for f in /etc/x /usr/x {beside}; do touch $f && exit 1; done"

    guest = boot(*shell(tmp_path, f"echo yes > in; {elsewhere}; touch $HOME/x $TMPDIR/x; exit 0"))

    assert guest.finish() == 0, guest.log.read_text()
    assert (tmp_path / "in").read_text() == "yes\n"
    assert not beside.exists()
    assert guest.log.read_text().count("Read-only file system") == 3


def test_what_is_written_is_there_at_once(boot: Boot, tmp_path: Path, until: Until) -> None:
    """A record that the guest wrote can be read outside while the guest still runs."""
    guest = boot(*shell(tmp_path, f"echo record > line; {FOREVER}"))
    try:
        until((tmp_path / "begun").exists)
        assert (tmp_path / "line").read_text() == "record\n"
        assert guest.poll() is None
    finally:
        guest.close()


def test_the_guest_can_do_a_lab(boot: Boot, tmp_path: Path) -> None:
    """Inside, everything that a lab and its faults need is there; all modules are loaded."""
    program = (
        "import sys; from chaoskit.kernel.features import detect_features; "
        "open(sys.argv[1], 'w').write(repr(detect_features()))"
    )

    code = boot(sys.executable, "-c", program, str(tmp_path / "facts")).finish()

    facts = (tmp_path / "facts").read_text()
    assert code == 0
    assert all(f"'{feature}'" in facts.partition("missing")[0] for feature in LAB), facts


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_reaches_the_command(boot: Boot, tmp_path: Path, until: Until, sign: signal.Signals) -> None:
    """The command gets the very signal, and may end as it likes."""
    name = sign.name.removeprefix("SIG")
    guest = boot(*shell(tmp_path, f"trap 'echo {name} > got; exit 5' {name}; {FOREVER}"))
    until((tmp_path / "begun").exists)

    guest.interrupt(sign)

    assert guest.finish() == 5
    assert (tmp_path / "got").read_text() == f"{name}\n"
    guest.interrupt(sign)  # too late, and no harm


def test_an_interrupt_while_the_guest_boots(boot: Boot, tmp_path: Path, until: Until, alive: Alive) -> None:
    """It ends the guest at once, as an interrupt, before the command has begun."""
    guest = boot(*shell(tmp_path, FOREVER))

    guest.interrupt()

    assert guest.finish() == 130
    until(lambda: not alive(guest.pid))
    assert names(tmp_path) == {"guest.log"}


def test_a_guest_that_hangs_is_ended_at_its_limit(boot: Boot, tmp_path: Path, until: Until, alive: Alive) -> None:
    """The message tells the limit and the last words; what it wrote stays, no process does."""
    for limit in ("4s", "16s", "64s"):  # one that it lives to see
        guest = boot(
            *shell(tmp_path, "echo nearly; touch mine; trap '' INT TERM; while :; do sleep 1; done"), limit=limit
        )
        with pytest.raises(RefusedError, match=rf"did not end within {limit}(.|\n)*") as told:
            guest.finish()
        if (tmp_path / "mine").exists():
            break

    assert "nearly" in str(told.value)

    until(lambda: not alive(guest.pid))
    assert names(tmp_path) == {"guest.log", "mine"}


def test_a_guest_that_is_killed_from_outside(boot: Boot, tmp_path: Path, until: Until, alive: Alive) -> None:
    """Killing one of its processes ends all of them, and it is told that the guest died."""
    guest = boot(*shell(tmp_path, f"echo working; {FOREVER}"))
    until((tmp_path / "begun").exists)

    os.kill(guest.pid, signal.SIGKILL)

    with pytest.raises(RefusedError, match=r"died(.|\n)*working"):
        guest.finish()
    until(lambda: not alive(guest.pid))
    assert names(tmp_path) == {"guest.log", "begun"}


def test_a_guest_that_panics(boot: Boot, tmp_path: Path, until: Until, alive: Alive) -> None:
    """The end of the kernel's log is in the message."""
    guest = boot(*shell(tmp_path, "touch begun; sleep 100"))
    until((tmp_path / "begun").exists)

    os.kill(guest.pid, signal.SIGSEGV)  # to a guest's kernel this is a fault of its own

    with pytest.raises(RefusedError, match="Kernel panic"):
        guest.finish()
    until(lambda: not alive(guest.pid))
    assert names(tmp_path) == {"guest.log", "begun"}


HOST = """
import sys
from pathlib import Path
from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration
guest = uml.Uml(uml.find()).launch(Command(tuple(sys.argv[2:]), Path(sys.argv[1]), Duration.parse("1min")), RealClock())
print(guest.pid, flush=True)
guest.finish()
"""


@pytest.mark.parametrize("moment", ["booting", "running"])
def test_a_host_process_that_is_killed_leaves_nothing(tmp_path: Path, until: Until, alive: Alive, moment: str) -> None:
    """kill -9 of the process that started a guest ends it within seconds and leaves only what it wrote."""
    words = [sys.executable, "-c", HOST, str(tmp_path), *shell(tmp_path, FOREVER)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        session = int(host.stdout.readline())
        if moment == "running":
            until((tmp_path / "begun").exists)

        host.kill()

    until(lambda: not alive(session))
    assert names(tmp_path) - {"begun"} == {"guest.log"}


@pytest.mark.parametrize("place", ["a folder with spaces", "and = signs, commas"])
def test_awkward_folders(kernel: uml.GuestKernel, tmp_path: Path, place: str) -> None:
    """A folder's name may hold what a kernel command line finds special."""
    folder = tmp_path / place
    folder.mkdir()

    command = Command(shell(folder, "pwd > here"), folder, Duration.parse("100s"))
    code = uml.Uml(kernel).launch(command, RealClock()).finish()

    assert code == 0
    assert (folder / "here").read_text() == f"{folder}\n"


def test_a_guest_keeps_to_one_cpu(boot: Boot, tmp_path: Path) -> None:
    """Every process of a guest may run on one and the same CPU only."""
    guest = boot(*shell(tmp_path, FOREVER))
    try:
        assert len(os.sched_getaffinity(guest.pid)) == 1
    finally:
        guest.close()


def test_a_guest_needs_no_rights(copy_for_everybody: Path, tmp_path: Path) -> None:
    """Whoever starts it may be nobody outside, with a home that is closed to it; inside, the command is root."""
    home = tmp_path / "home"
    home.mkdir(mode=0)
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    words = [*drop, "/usr/bin/python3", str(copy_for_everybody / "in_guest.py"), "id", "-u"]

    answer = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        cwd=copy_for_everybody,
        env={"PYTHONPATH": str(copy_for_everybody), "HOME": str(home)},
    )

    assert (answer.returncode, answer.stdout) == (0, "0\n"), answer.stderr
