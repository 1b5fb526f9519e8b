"""Tests the messages and exit codes of the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import warm

EXPERIMENT = Path(__file__).parents[3] / "experiments" / "loss-first-token.yaml"
HEAVY = ["httpx", "pyroute2", "scapy", "pydantic", "numpy", "rich", "asyncio", "yaml"]
COMMANDS = ["run", "plan", "validate", "schema", "report", "probe", "pmtu", "serve", "doctor", "kernel"]


def chaoskit(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does."""
    return warm.chaoskit(*words, environment=environment)


def test_help_names_every_command_and_the_exit_codes() -> None:
    """`--help` is the whole map of the command line."""
    answer = chaoskit("--help")

    assert answer.returncode == 0
    assert all(command in answer.stdout for command in COMMANDS)
    assert "undecided" in answer.stdout
    assert "conduct" not in answer.stdout


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_imports_nothing_heavy(command: str | None) -> None:
    """Asking for help, of the program or of any command, loads none of the libraries that do the work.

    Typer itself loads pydantic for the options of a single command.
    """
    words = [command, "--help"] if command else ["--help"]
    heavy = [name for name in HEAVY if name != "pydantic" or command is None]
    program = (
        "import sys\nfrom chaoskit.cli.main import main\n"
        f"sys.argv = ['chaoskit', *{words!r}]\n"
        "try: main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        f"print([name for name in {heavy!r} if name in sys.modules], file=sys.stderr)"
    )

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert answer.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["validate", "no-such.yaml"], 2, "no-such.yaml: No such file or directory"),
        (["plan", "no-such.yaml"], 2, "no-such.yaml: No such file or directory"),
        (["run", "no-such.yaml"], 2, "no-such.yaml: No such file or directory"),
        (["run"], 2, "FILE is missing"),
        (["rnu", "x.yaml"], 2, "'rnu' is no command"),
        (["run", str(EXPERIMENT), "--substrate", "docker"], 2, "found 'docker', expected auto"),
        (["run", str(EXPERIMENT), "--kernel", "/no/such/kernel", "--substrate", "uml"], 3, "/no/such/kernel"),
        (["report", "/no/such/run"], 2, "/no/such/run"),
        (["conduct", "/no/such/run"], 2, "/no/such/run"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_errors_have_a_sentence_and_an_exit_code(words: list[str], code: int, sentence: str, tmp_path: Path) -> None:
    """A typical mistake is answered in a line or two on stderr, without a traceback, and leaves nothing behind."""
    answer = subprocess.run(
        [sys.executable, "-m", "chaoskit", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )

    assert answer.returncode == code, answer.stderr
    assert sentence in answer.stderr
    assert "Traceback" not in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_validate_says_every_fault_of_every_file(tmp_path: Path) -> None:
    """Good files are ok on stdout, bad ones on stderr with their lines, and the exit code is 2."""
    bad = tmp_path / "bad.yaml"
    bad.write_text(EXPERIMENT.read_text().replace("delay: 15ms", "delay: 15"))

    answer = chaoskit("validate", str(EXPERIMENT), str(bad))

    assert answer.returncode == 2
    assert "loss-first-token.yaml: ok" in answer.stdout
    assert f"{bad}:" in answer.stderr
    assert "'15' has no unit" in answer.stderr


def test_plan_shows_all_changes_and_touches_nothing(tmp_path: Path) -> None:
    """The plan is printed for a user without rights, and as the JSON that a run directory keeps."""
    shown, planned = chaoskit("plan", str(EXPERIMENT)), chaoskit("plan", "--json", str(EXPERIMENT))

    assert shown.returncode == planned.returncode == 0
    assert "loss gemodel 4% 25%" in " ".join(shown.stdout.split())
    assert json.loads(planned.stdout)["name"] == "loss-first-token"


def test_schema_is_one_that_editors_read() -> None:
    """`schema` prints JSON Schema with the author's own keys."""
    draft = json.loads(chaoskit("schema").stdout)

    assert "request-rate" in draft["$defs"]["Workload"]["properties"]


def test_a_run_directory_is_never_written_over(tmp_path: Path) -> None:
    """An --out that holds something is refused before anything starts, and stays as it was."""
    (tmp_path / "precious").write_text("data")

    answer = chaoskit("run", str(EXPERIMENT), "--out", str(tmp_path), "--substrate", "uml")

    assert answer.returncode == 2
    assert "is not empty" in answer.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


def test_without_netem_and_without_uml_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    """A machine that can do neither is told what would make it able, with exit code 3."""
    words = ["run", str(EXPERIMENT), "--substrate", "uml", "--out", str(tmp_path / "run")]

    answer = chaoskit(*words, PATH="/nowhere", XDG_CACHE_HOME=str(tmp_path))

    assert answer.returncode == 3
    assert "user-mode-linux" in answer.stderr
    assert "chaoskit kernel build" in answer.stderr
    assert not (tmp_path / "run").exists()


def test_output_into_a_closed_pipe_is_no_error() -> None:
    """`chaoskit schema | head -1` ends quietly."""
    answer = subprocess.run(
        f"{sys.executable} -m chaoskit schema | head -1",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert answer.stdout == "{\n"
    assert answer.stderr == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([str(EXPERIMENT)], "no command given; write it after --"),
        (["--", "true"], "give either FILE, for its lab, or --down or --up"),
        ([str(EXPERIMENT), "--down", "delay 5ms", "--", "true"], "give either FILE"),
        (["--down", "delay 5ms", "--fault", "wifi", "--", "true"], "--fault goes with FILE"),
        (["--down", "delay 5ms", "--variant", "a=1", "--", "true"], "--variant goes with FILE"),
        ([str(EXPERIMENT), "--seed", "7", "--", "true"], "--seed goes with --down and --up"),
        (["--down", "delay 5ms", "--substrate", "uml", "--", "true"], "which a guest does not have: remove --kernel"),
        (["--up", "delay 5ms", "--clock", "virtual", "--", "true"], "which a guest does not have"),
        ([str(EXPERIMENT), "--substrate", "here", "--clock", "virtual", "--", "true"], "--clock virtual needs a guest"),
        ([str(EXPERIMENT), "--fault", "wfi", "--", "true"], "did you mean --fault wifi?"),
    ],
)
def test_options_of_exec_that_do_not_go_together_are_named(words: list[str], sentence: str) -> None:
    """One sentence with what to remove or to give, and nothing is run."""
    answer = chaoskit("exec", *words)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert sentence in answer.stderr
