"""Tests the files of a command in a guest: it can write its working directory, and what it changes is kept."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from chaoskit.substrate import uml

ROOT = Path(__file__).parents[2]
LAB = ROOT / "experiments" / "loss-first-token.yaml"
NOBODY = 65534
PATIENCE = 180  # s
SUITE = """\
import json, os, tempfile, urllib.request

URL = os.environ["CHAOSKIT_TARGET"]


def test_the_server_streams(tmp_path):
    body = {"model": "any", "stream": True, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(f"{URL}/v1/chat/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    (tmp_path / "answer").write_text(text)
    assert text.rstrip().endswith("data: [DONE]")


def test_that_fails():
    assert URL.startswith("https")
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A project directory that another user can reach."""
    with tempfile.TemporaryDirectory(prefix="project-") as name:
        folder = Path(name)
        (folder / "test_client.py").write_text(SUITE)
        (folder / "data").mkdir()
        (folder / "data" / "kept").write_text("as it was")
        (folder / "data" / "gone").write_text("as it was")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)
        yield folder


def owned_by(place: Path, user: str) -> list[str]:
    """Gives the directory to the user. Returns how to start a command as that user."""
    if user == "nobody" and os.geteuid() == 0:
        for path in (place, *place.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return []


def words(place: Path, prefix: list[str], *argv: str) -> dict[str, Any]:
    """Arguments of subprocess: the command line of exec, by an interpreter that every user may start."""
    paths = f"{sysconfig.get_path('purelib')}:{ROOT}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(place), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    kernel = "linux.uml" if prefix else str(uml.find().path)  # another user may not reach ours
    words = [*prefix, "/usr/bin/python3", "-m", "chaoskit", "exec", str(LAB), "--kernel", kernel, *argv]
    return {"args": words, "cwd": place, "env": environment, "text": True}


def execute(place: Path, prefix: list[str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(**words(place, prefix, *argv), capture_output=True, timeout=PATIENCE, check=False)


def test_a_test_suite_runs_behind_a_fault_and_its_report_arrives(place: Path) -> None:
    """pytest's exit code is ours; its report is in the directory, which is writable, and its user's."""
    prefix = owned_by(place, "nobody")

    pytest_ = ("/usr/bin/python3", "-m", "pytest", "-q", "--disable-plugin-autoload", "--junitxml", "out.xml")
    answer = execute(place, prefix, "--fault", "wifi", "--writable", ".", "--", *pytest_)

    assert answer.returncode == 1, answer.stderr
    assert "1 failed, 1 passed" in answer.stdout
    report = place / "out.xml"
    suite = ElementTree.parse(report).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert report.stat().st_uid == place.stat().st_uid


def test_changes_are_copied_and_the_directory_stays_as_it_was(place: Path) -> None:
    """New and changed files with their modes; deletions are named and not done; /tmp is the guest's."""
    script = "echo new > data/new; chmod 700 data/new; echo more >> data/kept; rm data/gone; echo x > /tmp/in-the-guest"
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}

    answer = execute(place, [], "--out", "results", "--", "sh", "-c", script)

    assert answer.returncode == 0, answer.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(str(path.relative_to(place / "results")) for path in (place / "results").rglob("*")) == [
        "data",
        "data/kept",
        "data/new",
    ]
    assert (place / "results" / "data" / "kept").read_text() == "as it wasmore\n"
    assert stat.S_IMODE((place / "results" / "data" / "new").stat().st_mode) == 0o700
    assert answer.stderr.splitlines()[2:] == [
        "chaoskit: 2 changed files (data/kept, data/new) were copied to results",
        "chaoskit: deleted by the command, and left alone in results: data/gone",
    ]
    assert not Path("/tmp/in-the-guest").exists()


def test_without_an_option_changes_are_thrown_away_and_told(place: Path) -> None:
    """One line with what to type."""
    answer = execute(place, [], "--", "sh", "-c", "echo x > new; cat data/kept")

    assert answer.stderr.splitlines()[2:] == [
        "chaoskit: 1 changed file (new) was thrown away; to keep it: --out DIR, or --writable ."
    ]
    assert sorted(path.name for path in place.iterdir()) == ["data", "test_client.py"]


def test_exactly_what_was_given_is_writable(place: Path) -> None:
    """A directory of the user's; the one beside it is the overlay's, and one elsewhere is read-only. Root in the guest
    mounts the whole machine writable, where guests can be confined: the file beside stays as it was all the same."""
    (place / "given").mkdir()
    script = "for d in given data /var/tmp /usr/share; do echo x > $d/new; done; echo y > /dev/shm/x; cat /dev/shm/x; "
    script += "mkdir /run/m; mount -t hostfs none /run/m -o / && echo x > /run/m$PWD/data/kept; echo y > given/last"

    answer = execute(place, [], "--writable", "given", "--", "sh", "-c", script)

    assert answer.stdout == "y\n"
    assert answer.stderr.count("/new: Read-only file system") == 2
    assert (place / "given" / "new").read_text() == "x\n"
    assert (place / "given" / "last").read_text() == "y\n"
    assert not (place / "data" / "new").exists()
    assert (place / "data" / "kept").read_text() == "as it was"
    assert "1 changed file (data/new) was thrown away" in answer.stderr


def test_under_sudo_the_copies_are_the_callers(place: Path) -> None:
    """The directory is made and written with the caller's rights; --writable is refused with what to do instead."""
    if os.geteuid() != 0:
        return
    owned_by(place, "nobody")
    call = words(place, [], "--out", "results", "--", "sh", "-c", "umask 077; echo x > new; id -u")
    call["env"] |= {"SUDO_UID": str(NOBODY), "SUDO_GID": str(NOBODY)}
    answer = subprocess.run(**call, capture_output=True, timeout=PATIENCE, check=False)

    assert answer.stdout == f"{NOBODY}\n", answer.stderr
    for path in (place / "results", place / "results" / "new"):
        assert (path.stat().st_uid, path.stat().st_gid) == (NOBODY, NOBODY)
    assert stat.S_IMODE((place / "results" / "new").stat().st_mode) == 0o600


def test_a_full_memory_is_told_with_the_way_out(place: Path) -> None:
    """The command gets ENOSPC, and the user the option that has more room."""
    answer = execute(place, [], "--guest-memory", "256MiB", "--", "sh", "-c", "head -c 300M /dev/zero > large; exit 0")

    assert "No space left on device" in answer.stderr
    assert "there was no more room in memory for changed files: --writable ." in answer.stderr


def test_an_interrupted_command_keeps_what_it_has_written(place: Path) -> None:
    """After Ctrl-C the changed files are copied as well; nothing of the guest is left."""
    call = words(
        place, [], "--out", "results", "--", "sh", "-c", "echo x > new; echo begun; while :; do sleep 0.05; done"
    )
    with subprocess.Popen(**call, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"

        process.send_signal(signal.SIGINT)

        process.wait(PATIENCE)
    assert process.returncode == 130
    assert (place / "results" / "new").read_text() == "x\n"
