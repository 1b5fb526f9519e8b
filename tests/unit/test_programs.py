"""Nothing is loaded or started from the current directory, whatever lies there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from poison import INSTALLED, poison

import chaoskit
from chaoskit import programs

SEARCHES = {  # what makes Python or a shell search the current directory
    "as usual": {},
    "PYTHONPATH empty at the front": {"PYTHONPATH": ":/nowhere"},
    "PYTHONPATH relative": {"PYTHONPATH": ".:trap"},
    "PATH relative": {"PATH": f".:{os.environ['PATH']}"},
    "PATH empty at the front": {"PATH": f":{os.environ['PATH']}"},
}
SAFE = "import sys; sys.path = [place for place in sys.path if place not in ('', '.')]; "
EXPERIMENT = Path(chaoskit.__file__).parents[1] / "experiments" / "loss-first-token.yaml"
CONDUCT = SAFE + (
    "from pathlib import Path; from chaoskit.substrate.here import Here; "
    "sys.exit(Here().start(Path(sys.argv[1]), 0, 0, {}).finish())"
)
BUILD = SAFE + (
    "from pathlib import Path; from chaoskit import programs; from chaoskit.substrate import kernel_build; "
    "kernel_build.missing_tools(True, programs.find, kernel_build._has_headers()); "
    "kernel_build.run(Path(sys.argv[1]), 'make', '--version')"
)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """Where a trap leaves its name."""
    return tmp_path / "mark"


def run(argv: list[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process in the trapped directory, which Python itself keeps from being searched at its start."""
    return subprocess.run(argv, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False)


def python(program: str, *words: str | Path) -> list[str]:
    """This interpreter, deaf to what the environment says about it until the program runs."""
    return [sys.executable, "-I", "-c", program, *map(str, words)]


@pytest.mark.parametrize("search", SEARCHES)
def test_a_run_in_this_kernel_loads_nothing_from_the_current_directory(search: str, tmp_path: Path, mark: Path) -> None:
    """What conducts it is this chaoskit, and says what is wrong with the empty run directory."""
    (tmp_path / "run").mkdir()

    run(python(CONDUCT, tmp_path / "run"), poison(tmp_path / "trap", mark), **SEARCHES[search])

    assert not mark.exists(), mark.read_text()
    assert "plan.json" in (tmp_path / "run" / "conduct.log").read_text()


@pytest.mark.parametrize("search", SEARCHES)
def test_a_kernel_build_starts_no_tool_of_the_current_directory(search: str, tmp_path: Path, mark: Path) -> None:
    """Nor one of the directory that it builds in."""
    poison(tmp_path / "room", mark)

    answer = run(python(BUILD, tmp_path / "room"), poison(tmp_path / "trap", mark), **SEARCHES[search])

    assert not mark.exists(), mark.read_text()
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("search", [each for each in SEARCHES if "PYTHONPATH" not in each])
@pytest.mark.parametrize(
    "words", ["validate FILE", "plan FILE", "status", "kernel status", "probe http://127.0.0.1:1/"]
)
def test_the_command_loads_nothing_from_the_current_directory(
    words: str, search: str, tmp_path: Path, mark: Path
) -> None:
    """The chaoskit command, as pip puts it into PATH."""
    argv = [str(Path(sys.executable).with_name("chaoskit")), *words.replace("FILE", str(EXPERIMENT)).split()]

    run(argv, poison(tmp_path / "trap", mark), XDG_CACHE_HOME=str(tmp_path), **SEARCHES[search])

    assert not mark.exists(), mark.read_text()


@pytest.mark.parametrize("words", ["validate FILE", "plan FILE", "probe http://127.0.0.1:1/"])
def test_python_m_chaoskit_loads_nothing_that_is_installed_from_the_current_directory(
    words: str, tmp_path: Path, mark: Path
) -> None:
    """Although Python has put the directory before all others."""
    argv = [sys.executable, "-m", "chaoskit", *words.replace("FILE", str(EXPERIMENT)).split()]

    answer = run(argv, poison(tmp_path / "trap", mark, INSTALLED))

    assert not mark.exists(), mark.read_text()
    assert answer.returncode != 99


def test_what_pythonpath_names_is_found_by_what_is_started(tmp_path: Path) -> None:
    """Modules that were given to us by their place are given on, and stand for none of Python's."""
    (tmp_path / "only_here.py").write_text("import json; print(json.dumps(1))")
    (tmp_path / "json.py").write_text("raise SystemExit(99)")
    program = "import os; from chaoskit import programs; argv = programs.python('only_here'); os.execv(argv[0], argv)"

    answer = run([sys.executable, "-P", "-c", program], tmp_path, PYTHONPATH=f":{tmp_path}")

    assert answer.stdout == "1\n", answer.stderr


def test_an_empty_search_path_finds_nothing(tmp_path: Path, mark: Path) -> None:
    """Of tools, as in a shell: the current directory is not what is meant by it."""
    program = (
        SAFE + "from chaoskit import programs; print(programs.find('make'), repr(programs.tool_path({'PATH': '.:'})))"
    )

    answer = run(python(program), poison(tmp_path / "trap", mark), PATH=".")

    assert answer.stdout == "None ''\n", answer.stderr


@pytest.mark.parametrize(
    ("called", "is_in_sudos_path", "expected"),
    [
        ("/opt/a venv/bin/chaoskit", False, "sudo '/opt/a venv/bin/chaoskit'"),
        (".venv/bin/chaoskit", False, "sudo .venv/bin/chaoskit"),
        (".venv/bin/chaoskit", True, "sudo chaoskit"),
        ("/src/chaoskit/__main__.py", False, "sudo chaoskit"),
    ],
)
def test_advice_for_root_names_a_program_that_sudo_finds(
    called: str, is_in_sudos_path: bool, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sudo has a PATH of its own, in which a virtual environment is not."""
    if is_in_sudos_path:
        (tmp_path / "chaoskit").touch(0o755)
    monkeypatch.setattr(programs, "_SUDO_PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert programs.sudo() == expected
    assert programs.sudo("MY_KEY") == expected.replace("sudo ", "sudo --preserve-env=MY_KEY ")

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert programs.sudo("MY_KEY") == expected.removeprefix("sudo ")


@pytest.mark.parametrize(
    ("advice", "for_root"),
    [
        ("no netem: sudo modprobe -a sch_netem, or --substrate uml", "no netem: modprobe -a sch_netem, or"),
        ("type: sudo apt-get install passt; sudo sysctl -w a=1", "type: apt-get install passt; sysctl -w a=1"),
        ("export K=..., and with sudo --preserve-env=K", "export K=..."),
        ("sudo --preserve-env=K .venv/bin/chaoskit run x", ".venv/bin/chaoskit run x"),
        ("--writable in a guest needs no sudo, and does not", "--writable in a guest needs no sudo, and does not"),
        ("needs root: sudo chaoskit ...", "needs root: chaoskit ..."),
    ],
)
def test_root_needs_no_sudo(advice: str, for_root: str) -> None:
    """A command in advice is as this user types it; other sentences about sudo stay."""
    assert programs.typed_by(0, advice).startswith(for_root)
    assert programs.typed_by(1000, advice) == advice


def test_every_advice_to_use_sudo_is_known() -> None:
    """Wherever the code says sudo before a command, root is told the command without it."""
    trees = [ast.parse(path.read_text()) for path in Path(chaoskit.__file__).parent.rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    prose = {node.value for node in nodes if isinstance(node, ast.Expr)}
    texts = [str(node.value) for node in nodes if isinstance(node, ast.Constant) and node not in prose]
    commands = [found for text in texts for found in re.findall(r"\bsudo ([a-z][a-z-]+ [a-z-]+)", text)]

    assert len(commands) > 15
    assert [words for words in commands if "sudo" in programs.typed_by(0, f": sudo {words}")] == []
