"""Shell completion, typed into real shells: bash, zsh and fish."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from warm import chaoskit

TOP = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
}
LIMIT = 60  # s
GIVEN = (
    ("run experiments/loss-f", "run experiments/loss-first-token.yaml"),
    ("run experiments/loss-first-token.yaml --subs", "--substrate"),
    ("exec experiments/loss-first-token.yaml --fault w", "--fault wifi"),
    ("init --example mss-c", "--example mss-clamp-control"),
    ("probe http://127.0.0.1:9 --objective stalls_per", "--objective stalls_per_minute"),
    ("kernel sta", "kernel status"),
)


def environment(home: Path, shell: str = "") -> dict[str, str]:
    """A user with an empty home, for whom `chaoskit` is this one."""
    kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
    path = f"{BIN}:/usr/bin:/bin"
    return kept | {"HOME": str(home), "PATH": path, "TERM": "dumb", "SHELL": f"/bin/{shell}", "PS1": "$ "}


@cache
def script(shell: str) -> str:
    """What `--show-completion` prints in that shell, which it finds out by itself."""
    words = [shell, "-c", "chaoskit --show-completion; true"]
    done = subprocess.run(words, env=environment(Path("/")), capture_output=True, text=True, timeout=LIMIT, check=True)
    assert done.stderr == ""
    return done.stdout


class Terminal:
    """A shell on a terminal, into which keys are typed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seen = ""

    def keys(self, text: str) -> None:
        """Type them."""
        os.write(self._descriptor, text.encode())

    def wait_for(self, wanted: str) -> None:
        """Read until the screen shows it, whatever is between its words."""
        deadline = time.monotonic() + LIMIT
        while not re.search(wanted, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\r\x07\x08]", "", self.seen)):
            assert time.monotonic() < deadline, self.seen
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self.seen += os.read(self._descriptor, 4096).decode(errors="replace")


@contextmanager
def terminal(shell: str, home: Path) -> Iterator[Terminal]:
    """That shell, interactive, in this project's folder; killed in the end."""
    process, descriptor = pty.fork()
    if not process:
        os.chdir(TOP)
        os.execvpe(SHELLS[shell][0], list(SHELLS[shell]), environment(home, shell))
    try:
        yield Terminal(descriptor)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(descriptor)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_key_completes_what_is_typed(shell: str, tmp_path: Path) -> None:
    """Commands, options, experiment files, faults of a file, included experiments and metrics, by the Tab key."""
    (tmp_path / "script").write_text(script(shell))
    begin = "autoload -Uz compinit; compinit -u; " if shell == "zsh" else "bind 'set bell-style none'; "

    with terminal(shell, tmp_path) as screen:
        screen.keys(f"{begin}source {tmp_path}/script; echo re''ady\n")
        screen.wait_for("ready")
        for typed, completed in GIVEN:
            screen.seen = ""
            screen.keys(f"chaoskit {typed}\t")
            screen.wait_for(re.escape(completed))
            screen.keys("\x15")  # Ctrl-U


@pytest.mark.parametrize(("typed", "completed"), GIVEN)
def test_fish_completes_what_is_typed(typed: str, completed: str, tmp_path: Path) -> None:
    """The same in fish, which says itself what it would complete."""
    (tmp_path / "script").write_text(script("fish"))
    words = ["fish", "--no-config", "-c", f"source {tmp_path}/script; complete --do-complete 'chaoskit {typed}'"]

    done = subprocess.run(
        words, cwd=TOP, env=environment(tmp_path), capture_output=True, text=True, timeout=LIMIT, check=True
    )

    assert completed.split()[-1] in re.split(r"\s", done.stdout)


def complete(line: str, folder: Path) -> list[str]:
    """What bash is told for this line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_CHAOSKIT_COMPLETE": "complete_bash"}
    answer = chaoskit(cwd=folder, environment=asked)
    assert answer.stderr == ""
    return answer.stdout.split()


def test_files_are_experiments_and_folders(tmp_path: Path) -> None:
    """YAML files and the folders that may have some; of a single folder the shell itself says what is in it."""
    for name in ("a.yaml", "b.yml", "c.txt", ".d.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()

    assert complete("chaoskit run ", tmp_path) == ["a.yaml", "b.yml", "folder/"]
    assert complete("chaoskit run fo", tmp_path) == []
    assert complete("chaoskit exec --down x -- ", tmp_path) == []


@pytest.mark.parametrize("content", ["", "faults: 3", "faults: [", "\x00", "name: x"])
def test_a_file_that_is_none_completes_nothing_and_says_nothing(content: str, tmp_path: Path) -> None:
    """Nothing is printed into a line that is being typed."""
    (tmp_path / "x.yaml").write_text(content)

    for option in ("--fault", "--variant"):
        assert complete(f"chaoskit exec x.yaml {option} ", tmp_path) == []


@pytest.mark.parametrize("option", ["--fault", "--variant"])
def test_no_file_completes_nothing_and_says_nothing(option: str, tmp_path: Path) -> None:
    """As little, where there is none of this name."""
    assert complete(f"chaoskit exec none.yaml {option} ", tmp_path) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_installed_for_the_shell(shell: str, tmp_path: Path) -> None:
    """`--install-completion` writes the shell's files in the home, and says which."""
    words = [shell, "-c", "chaoskit --install-completion; true"]
    done = subprocess.run(words, env=environment(tmp_path), capture_output=True, text=True, timeout=LIMIT, check=True)

    assert done.stderr == ""
    assert f"completes chaoskit in {shell}" in done.stdout
    assert Path(done.stdout.split()[0]).read_text().strip() == script(shell).strip()


def test_an_unknown_shell_is_told() -> None:
    """In dash it says which shells can."""
    assert shutil.which("dash")
    words = ["dash", "-c", "chaoskit --show-completion; exit $?"]
    done = subprocess.run(words, env=environment(Path("/")), capture_output=True, text=True, timeout=LIMIT, check=False)

    assert (done.returncode, done.stdout) == (3, "")
    assert "bash, zsh, fish" in done.stderr


def test_a_path_of_the_file_is_completed(tmp_path: Path) -> None:
    """For `--vary` and `--set`: a value that the file has, by the beginning of its path."""
    (tmp_path / "x.yaml").write_text("faults: {wifi: {netem: {loss: {gemodel: {p: 1%}}}}}\n")

    assert complete("chaoskit limit x.yaml --vary faults.wifi.netem.loss.gemodel.p", tmp_path) == [
        "faults.wifi.netem.loss.gemodel.p"
    ]
