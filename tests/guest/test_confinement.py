"""Tests that root in a guest cannot change files of the host."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534
IN_GUEST = "import sys; sys.path.insert(0, '.'); from in_guest import main; sys.exit(main())"
LOOK = """
import tempfile
from pathlib import Path
from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration
with tempfile.TemporaryDirectory() as folder:
    command = Command(("true",), Path(folder), Duration.parse("100s"))
    guest = uml.Uml(uml.find(Path("linux.uml"))).launch(command, RealClock())
    print(Path(f"/proc/{guest.pid}/status").read_text())
    guest.close()
"""
NO_NAMESPACES = "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all"
ATTACK = """
mkdir /run/again /run/far
mount -o remount,rw /
mount -t hostfs none /run/again -o {folder}
mount -t hostfs none /run/far -o /proc/1/root{folder}
for file in {folder}/file /run/again/file /run/far/file /proc/1/root{folder}/file; do
    echo changed > $file; rm -f $file; touch $file.new
done
cat /proc/mounts | grep ' / '
echo done
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with the program, and files that its user may write; anybody may read it."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        shutil.copytree(ROOT / "chaoskit", place / "chaoskit", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "tests" / "in_guest.py", place)
        (place / "files").mkdir()
        (place / "files" / "file").write_text("as it was\n")
        yield place


def who(place: Path, user: str) -> list[str]:
    """What makes the rest of a command line that user's, whose the files become."""
    if user == "nobody" and os.geteuid() == 0:
        for path in (place / "files", place / "files" / "file"):
            os.chown(path, NOBODY, NOBODY)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return []


def in_guest(place: Path, prefix: list[str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command as root in a guest that the prefix's user has started."""
    words = [*prefix, "/usr/bin/python3", "-c", IN_GUEST, "--kernel", "linux.uml", *argv]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("user", ["ourselves", "nobody"])
def test_root_in_a_guest_cannot_write_what_its_user_can(place: Path, user: str) -> None:
    """It mounts again what it likes, and takes any way to the file: the file stays as it was, and no other appears."""
    files = place / "files"
    before = (files / "file").stat()

    answer = in_guest(place, who(place, user), "sh", "-c", ATTACK.format(folder=files))

    assert "done" in answer.stdout, answer.stderr
    assert " rw" in answer.stdout, "the guest has not even mounted it again"
    assert (files / "file").read_text() == "as it was\n"
    assert (files / "file").stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in files.iterdir()] == ["file"]


@pytest.mark.parametrize("user", ["ourselves", "nobody"])
def test_the_process_of_a_guests_kernel_has_no_right_to_change_that(place: Path, user: str) -> None:
    """As root it may read others' files, and no more; else nothing; and nothing that it executes gives it more."""
    answer = subprocess.run(
        [*who(place, user), "/usr/bin/python3", "-c", LOOK], cwd=place, capture_output=True, text=True, check=False
    )

    told = dict(line.split(":\t", 1) for line in answer.stdout.splitlines() if ":\t" in line)
    all_rights = int(told["CapPrm"], 16) | int(told["CapEff"], 16) | int(told["CapBnd"], 16) | int(told["CapAmb"], 16)
    assert told["NoNewPrivs"] == "1", answer.stderr
    assert all_rights == (1 << 2 if user == "ourselves" and os.geteuid() == 0 else 0)


def test_a_guest_runs_where_it_cannot_be_confined(place: Path) -> None:
    """A host that allows no namespaces has its guests all the same; the doctor says what is not guarded, and what to
    type for it."""
    prefix = ["unshare", "--user", "--map-root-user", "sh", "-c", f'{NO_NAMESPACES} "$0" "$@"']

    answer = in_guest(place, prefix, "id", "-u")
    doctor = subprocess.run(
        [*prefix, str(ROOT / ".venv/bin/python"), "-m", "chaoskit", "doctor", "--kernel", "linux.uml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (0, "0\n"), answer.stderr
    assert "  no   host's files" in doctor.stdout, doctor.stdout + doctor.stderr
    assert "max_user_namespaces=" in doctor.stdout
