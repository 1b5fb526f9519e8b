"""A mistake of chaoskit's own: exit code 70, a short report, and no exit code that means anything else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from made_runs import Made, plan
from warm import chaoskit

from chaoskit.analysis.analyse import analyse
from chaoskit.clock import RealClock
from chaoskit.execution.interrupts import InterruptHandler
from chaoskit.execution.job import Job, watch
from chaoskit.records.directory import PLAN, create
from chaoskit.report.screen import Screen
from chaoskit.substrate.here import Child, Here
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

EXPERIMENT = str(Path(__file__).parents[3] / "experiments" / "loss-first-token.yaml")
SECRET = "sk-live-0123456789/abc+def"
ODD = "odd-first\x1b\\odd-second\n"


def broken(
    tmp_path: Path, customize: str, *words: str, module: str = "chaoskit", **environment: str
) -> subprocess.CompletedProcess[str]:
    """The command, started in a Python in which a part of it is broken."""
    (tmp_path / "sitecustomize.py").write_text(customize)
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(tmp_path)} | environment,
    )


def raising(error: str) -> str:
    """Python that makes the loading of experiments raise it."""
    return f"""
import errno, chaoskit.spec.matrix
from chaoskit.errors import NotRestoredError, RefusedError, SpecError
class Mute(Exception):
    def __str__(self): raise ValueError
def load_variants(file):
    password = {SECRET!r}
    raise {error}
chaoskit.spec.matrix.load_variants = load_variants
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("ZeroDivisionError('one by none')", "ZeroDivisionError: one by none"),
        ("RecursionError('too deep')", "RecursionError: too deep"),
        ("UnicodeEncodeError('utf-8', '\\ud800', 0, 1, 'surrogates not allowed')", "UnicodeEncodeError: 'utf-8' codec"),
        ("OSError(errno.EIO, 'Input/output error')", "OSError: [Errno 5] Input/output error"),
        ("BrokenPipeError(errno.EPIPE, 'Broken pipe')", "BrokenPipeError: [Errno 32] Broken pipe"),
        ("EOFError('no more')", "EOFError: no more"),
        ("KeyError('\\x1b[31mx\\n')", r"KeyError: '\x1b[31mx\n'"),
        ("Exception('\\x1b[31mx\\nchaoskit: fine')", r"Exception: \x1b[31mx\nchaoskit: fine"),
        ("Mute", "Mute: (no text: ValueError)"),
        ("ExceptionGroup('g', [SpecError('a'), ZeroDivisionError('b')])", "ZeroDivisionError: b"),
        ("ExceptionGroup('g', [KeyError('a'), ZeroDivisionError('b')])", "KeyError: 'a'"),
        ("BaseException('odd')", "BaseException: odd"),
        ("SystemExit('words')", "SystemExit: words"),
        ("SystemExit(1)", "SystemExit: 1"),
    ],
)
def test_a_mistake_is_reported_with_70(error: str, said: str) -> None:
    """Its type and sentence, versions, frames by module and line, what to do; no traceback, no local variable."""
    done = chaoskit("validate", EXPERIMENT, before=raising(error))

    first, *rest = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (70, "")
    assert first.startswith(f"chaoskit: this is a mistake in chaoskit itself: {said}")
    assert all(line.startswith("  ") for line in rest)
    assert re.search(r"^  at chaoskit\.cli\.validate:\d+ validate$", done.stderr, re.MULTILINE) or "Group" in error
    assert re.search(r"^  chaoskit \d.*, Python \d", done.stderr, re.MULTILINE)
    assert "please send these lines" in rest[-1]
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    assert len(rest) < 16


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("SpecError('no such word')", 2, "chaoskit: no such word\n"),
        ("ExceptionGroup('g', [RefusedError('no rights')])", 3, "chaoskit: no rights\n"),
        ("ExceptionGroup('g', [ExceptionGroup('h', [NotRestoredError('left')])])", 4, "chaoskit: left\n"),
        ("OSError(errno.ENOSPC, 'No space left on device', '/a')", 3, "No space left on device (/a); free some"),
        ("OSError(errno.EMFILE, 'Too many open files')", 3, "Too many open files; free some"),
        ("MemoryError", 3, "chaoskit: this machine has run out: no memory; free some, and try again\n"),
        ("KeyboardInterrupt", 130, "chaoskit: interrupted\n"),
        ("BaseExceptionGroup('g', [SpecError('a'), KeyboardInterrupt()])", 130, "chaoskit: interrupted\n"),
    ],
)
def test_what_is_no_mistake_keeps_its_exit_code(error: str, code: int, said: str) -> None:
    """The author's, the machine's, a Ctrl-C: one sentence, also from within a group."""
    done = chaoskit("validate", EXPERIMENT, before=raising(error))

    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "error", "code"),
    [
        ("typer", "KeyboardInterrupt", 130),
        ("typer", "ZeroDivisionError", 70),
        ("chaoskit.cli.app", "KeyboardInterrupt", 130),
        ("yaml", "KeyboardInterrupt", 130),
        ("yaml", "ModuleNotFoundError", 70),
        ("pydantic", "ImportError", 70),
    ],
)
def test_an_import_that_fails_is_caught_too(module: str, error: str, code: int, tmp_path: Path) -> None:
    """A Ctrl-C while libraries are loaded is one line, and a library that cannot be loaded is no broken objective."""
    hook = f"""
import sys
class Hook:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}: raise {error}
sys.meta_path.insert(0, Hook())
"""
    done = broken(tmp_path, hook, "validate", EXPERIMENT)

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr == "chaoskit: interrupted\n" or code == 70


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    """Anywhere, for example while a file is read that does not come."""
    os.mkfifo(tmp_path / "fifo")
    words = [sys.executable, "-m", "chaoskit", "validate", str(tmp_path / "fifo")]

    with (
        subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process,
        (tmp_path / "fifo").open("w"),  # once it reads
    ):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (130, "chaoskit: interrupted\n")


@pytest.mark.parametrize(
    "text",
    [
        f"Illegal header value b'Bearer {SECRET}'",
        f"http://user:{SECRET}@host",
        f"{SECRET}\\n and {ODD!r} and {ODD.encode()!r}",
        "X-Token: hdr-secret-value and ?key=url-secret-value",
        "user:pass-word-9@",
    ],
)
def test_no_secret_is_in_a_report(text: str) -> None:
    """An exception that quotes a key from the environment, a header or a URL: its name stands there instead."""
    url = "http://user:pass-word-9@127.0.0.1:9/?key=url-secret-value"
    customize = raising(f"Exception({text!r})") + "import chaoskit.spec.options\n"
    customize += f"def workload(words): raise Exception({text!r}) from KeyError({text!r})\n"
    customize += "chaoskit.spec.options.workload = workload\n"

    for full in ("", "1"):
        keys = {"MY_KEY": SECRET, "OTHER_KEY": SECRET + "\n", "ODD_KEY": ODD}
        words = ["probe", url, "--header", "X-Token: hdr-secret-value", "--api-key-env", "MY_KEY"]
        done = chaoskit(*words, before=customize, environment=keys | {"CHAOSKIT_TRACEBACK": full})

        assert done.returncode == 70
        for secret in (SECRET, "odd-first", "odd-second", "hdr-secret-value", "url-secret-value", "pass-word-9"):
            assert secret not in done.stderr
        assert ("Traceback" in done.stderr) == bool(full)


@pytest.mark.parametrize("words", [["schema"], ["--help"], ["--version"], ["plan", EXPERIMENT], ["status", "--json"]])
def test_a_full_disk_behind_standard_output_is_the_machines(words: list[str], tmp_path: Path) -> None:
    """Exit code 3 and a sentence."""
    with Path("/dev/full").open("w") as full:
        done = chaoskit(*words, stdout=full, environment={"CHAOSKIT_STATE": str(tmp_path)})

    assert done.returncode == 3
    assert done.stderr == (
        "chaoskit: cannot write standard output: No space left on device; free some space, or send it elsewhere\n"
    )


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), ("2>/dev/full", 0), ("<&- >&- 2>&-", 0)])
def test_a_closed_stream_changes_no_exit_code(closed: str, code: int) -> None:
    """Nobody reads; the command does its work."""
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "chaoskit", "validate", EXPERIMENT]

    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (code, "")


def test_a_conductor_that_crashes_says_so_in_the_outcome(tmp_path: Path) -> None:
    """Exit code 70, how it went, and in the run directory no secret."""
    customize = f"""
import os, chaoskit.kernel.features
def detect_features(): raise ZeroDivisionError('one by none, {SECRET}')
chaoskit.kernel.features.detect_features = detect_features
"""
    run = Made(plan()).write(tmp_path / "run")

    done = broken(tmp_path, customize, str(run), module="chaoskit.cli.guest_conduct", MY_KEY=SECRET)
    result = analyse(run)

    assert done.returncode == 70
    assert "this is a mistake in chaoskit itself: ZeroDivisionError: one by none, [$MY_KEY]" in done.stderr
    assert json.loads((run / "outcome.json").read_text())["how"] == "crashed"
    assert re.match(
        r"ZeroDivisionError: one by none, \[\$MY_KEY\], at sitecustomize:\d+ detect_features", result.outcome.detail
    )
    assert result.exit_code == 70


def test_a_probe_that_crashes_says_so_in_the_outcome(tmp_path: Path) -> None:
    """In the directory that it was given; without one nothing is left."""
    customize = """
import chaoskit.probe.drive
async def drive(*asked): raise ZeroDivisionError('one by none')
chaoskit.probe.drive.drive = drive
"""
    words = ["probe", "http://127.0.0.1:9", "--requests", "1"]

    kept = broken(tmp_path, customize, *words, "--out", str(tmp_path / "run"))
    thrown = broken(tmp_path, customize, *words, TMPDIR=str(tmp_path))

    assert (kept.returncode, thrown.returncode) == (70, 70)
    assert json.loads((tmp_path / "run" / "outcome.json").read_text())["how"] == "crashed"
    assert not list(tmp_path.glob("chaoskit-*"))


@dataclass(frozen=True)
class Elsewhere:
    """A substrate that runs something else than a conductor."""

    program: str

    def start(self, run: Path, length: int, seed: int, variables: Mapping[str, str]) -> Child:
        """Begin it."""
        argv = (sys.executable, "-c", self.program)
        return Here().launch(Command(argv, run, Duration.parse("60s")), RealClock())


@pytest.mark.parametrize("program", ["import no_such_module", "raise SystemExit(70)", "raise SystemExit(1)"])
def test_a_conductor_that_cannot_even_begin_is_a_crash(
    program: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is written down by who waits for it, told with what it said, and never a broken objective."""
    made = plan()
    run = create(tmp_path / "run", {PLAN: made.model_dump_json()})
    job = Job(made, Elsewhere(program), run)  # type: ignore[arg-type]

    with InterruptHandler() as ear:
        code = watch(job, Screen(StringIO()), ear)

    assert code == 70
    assert analyse(run).exit_code == 70
    assert analyse(run).outcome.status == "crashed"
    assert "a mistake in chaoskit ended the run" in capfd.readouterr().err
