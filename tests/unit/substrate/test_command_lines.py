"""Tests the command lines of guests, the folder for their memory, and log tails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chaoskit.clock import ManualClock
from chaoskit.errors import RefusedError
from chaoskit.substrate import guest_memory
from chaoskit.substrate.running import Deadline, conduct, log_tail
from chaoskit.substrate.uml import GuestKernel, Uml, boot_line
from chaoskit.units import Size

KERNEL = GuestKernel(Path("/opt/linux.uml"), "6.12", None, frozenset())


def test_the_command_of_an_experiment(tmp_path: Path) -> None:
    """It is `chaoskit conduct RUNDIR` by this very interpreter, its folder absolute, its limit in ns."""
    command = conduct(tmp_path / "sub" / "..", 5_000_000_000)

    assert command.argv[0] == sys.executable
    assert {"-P", "-E"} < set(command.argv)
    assert command.argv[-3:] == ("chaoskit", "conduct", str(tmp_path))
    assert command.folder == tmp_path
    assert command.limit.seconds == 5


def test_a_guest_boots_from_the_hosts_files_read_only() -> None:
    """The root is the host's, read-only, and the first process our own with its scratch as its argument."""
    line = boot_line(Uml(KERNEL, Size.parse("256MiB")), Path("/runs/1/.guest-0"))

    assert line[0] == "/opt/linux.uml"
    assert {"mem=256M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={sys.executable}"} <= set(line)
    assert line[-2:] == ["chaoskit.substrate.guest_init", "/runs/1/.guest-0"]
    assert {"-P", "-E"} < set(line[line.index("--") :])
    assert not [word for word in line if word.startswith("PYTHON")]


def test_a_path_with_spaces_is_one_word_to_the_kernel() -> None:
    """The kernel splits its command line at spaces unless they stand between double quotes."""
    assert boot_line(Uml(KERNEL), Path("/my runs/.guest"))[-1] == '"/my runs/.guest"'


def test_a_path_with_a_double_quote_is_refused() -> None:
    """The kernel knows no escape for it, so it is said before anything starts."""
    with pytest.raises(RefusedError, match="double quote"):
        boot_line(Uml(KERNEL), Path('/my "runs"'))


def test_memory_goes_to_the_first_folder_that_can_hold_it(tmp_path: Path) -> None:
    """Folders that are not there or too full are passed over; when none is left, it is refused by their names."""
    missing = str(tmp_path / "missing")

    assert guest_memory.folder(2**20, (missing, str(tmp_path))) == str(tmp_path)
    with pytest.raises(RefusedError, match=f"{missing}.*TMPDIR="):
        guest_memory.folder(2**60, (missing, str(tmp_path)))


def test_patience_bears_a_file_that_vanishes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a guest takes away between two looks at it has no size, and is no error."""
    (tmp_path / "kept").write_text("1234")
    (tmp_path / "fleeting").write_text("12")
    clock = ManualClock()
    patience = Deadline(conduct(tmp_path, 10), clock, renewed=True)

    def look(path: Path) -> bool:
        if path.name == "fleeting":
            path.unlink()
        return True

    monkeypatch.setattr(Path, "is_file", look)

    assert not patience.is_over()
    clock.sleep_until(10)
    assert patience.is_over()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", ["(the log is empty)"]),
        ("one\ntwo\n", ["one", "two"]),
        ("\n".join(f"line {n}" for n in range(100)), [f"line {n}" for n in range(97, 100)]),
        ("before\nKernel panic - not syncing\n1\n2\n3\n4", ["Kernel panic - not syncing", "1", "2"]),
    ],
)
def test_log_tail(tmp_path: Path, said: str, told: list[str]) -> None:
    """The last lines of a log; from a panic on when there is one, because its trace is longer than what we show."""
    log = tmp_path / "log"
    log.write_text(said)

    assert log_tail(log, lines=3).splitlines() == ["", *(f"    {line}" for line in told)]


def test_log_tail_of_a_missing_log(tmp_path: Path) -> None:
    """A missing log is reported as empty."""
    assert "empty" in log_tail(tmp_path / "log")
