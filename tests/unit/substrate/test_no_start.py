"""Tests the error for a guest kernel that does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration, Size

FORBIDDEN = """\
#!/bin/sh
case $1 in
--showconfig) echo CONFIG_UML=y;;
--version) echo 6.12.0;;
*) echo "ptrace(PTRACE_TRACEME): Operation not permitted"; exit 1;;
esac
"""


def test_a_kernel_that_may_not_trace_says_so_and_what_to_type(tmp_path: Path) -> None:
    """As in a container: its last words, the flag that helps, and nothing left in the run directory but the log."""
    kernel = tmp_path / "kernel"
    kernel.write_text(FORBIDDEN)
    kernel.chmod(0o755)
    run = tmp_path / "run"
    run.mkdir()

    substrate = uml.Uml(uml.find(kernel), memory=Size.parse("1MiB"))
    guest = substrate.launch(Command(("true",), run, Duration.parse("60s")), RealClock())

    with pytest.raises(RefusedError, match=r"did not start .*--cap-add SYS_PTRACE(.|\n)*Operation not permitted"):
        guest.finish()
    assert [path.name for path in run.iterdir()] == ["guest.log"]


UNREADABLE = FORBIDDEN.replace(
    "ptrace(PTRACE_TRACEME): Operation not permitted",
    "Kernel panic - not syncing: Requested init /opt/python3 failed (error -13).",
)  # as User-Mode Linux 6.12 says it of a program that it may not execute


@pytest.mark.parametrize(
    ("kernel_text", "reason"),
    [
        (UNREADABLE, "its kernel cannot execute /opt/python3: Permission denied, see: namei -l /opt/python3"),
        (UNREADABLE.replace("-13", "-2"), "its kernel cannot execute /opt/python3: No such file or directory, see"),
        (
            UNREADABLE.replace("Requested init /opt/python3 failed (error -13)", "Attempted to kill init!"),
            "its kernel started, and then panicked",
        ),
    ],
)
def test_a_kernel_that_could_trace_is_not_told_to(kernel_text: str, reason: str, tmp_path: Path) -> None:
    """An interpreter that cannot be read, or that ends at once, has nothing to do with ptrace."""
    kernel = tmp_path / "kernel"
    kernel.write_text(kernel_text)
    kernel.chmod(0o755)
    run = tmp_path / "run"
    run.mkdir()

    substrate = uml.Uml(uml.find(kernel), memory=Size.parse("1MiB"))
    guest = substrate.launch(Command(("true",), run, Duration.parse("60s")), RealClock())

    with pytest.raises(RefusedError) as refused:
        guest.finish()
    assert f"did not start ({reason}" in str(refused.value)
    assert "ptrace" not in str(refused.value)


@pytest.mark.parametrize("text", [b"", b"-1", b"256", b"1" * 400, b"1e3", b"\xff", b"0x1", b"7 7", b"\xd9\xa3"])
def test_an_exit_code_that_no_process_has_is_refused(text: bytes) -> None:
    """A guest may write anything as its exit code; only 0 to 255 is one."""
    with pytest.raises(ValueError, match=r".*"):
        uml.exit_code(text)

    assert [uml.exit_code(each) for each in (b"0", b"255", b" 7\n")] == [0, 255, 7]
