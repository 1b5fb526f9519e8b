"""Ctrl-C at any moment: one line on standard error, exit code 130, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LINE = "chaoskit: interrupted"
FIRST_SECOND = [moment / 200 for moment in range(200)]
LATER = [1.2, 1.5, 2.0]
EXPERIMENT = """\
name: interrupted
question: How does it end?
stage: {target: "URL"}
workload: {request-rate: 10/s, output-tokens: 20}
timeline: [{baseline: 20s}]
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server at work."""
    words = [sys.executable, "-m", "chaoskit", "serve", "--port", "0", "--token-interval", "10ms"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0]
        process.kill()


def interrupted(words: list[str], moment: float, times: int = 1, **environment: str) -> tuple[int, str]:
    """The exit code and standard error of a command that gets SIGINT after so many seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chaoskit", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    with process:
        time.sleep(moment)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        assert process.stderr is not None
        said = process.stderr.read()
    return process.returncode, said


def check(code: int, said: str) -> None:
    """One line and 130; the command's own end if that was earlier; or Python had not begun to run the program."""
    lines = [line for line in said.splitlines() if not line.startswith("chaoskit: warning")]
    if code == -signal.SIGINT:
        assert "chaoskit/" not in said.replace("chaoskit/__main__", ""), said
    elif code == 130:
        assert len(lines) == 1, said
        assert lines[0].startswith(LINE), said
    else:
        assert (code, lines) == (0, []), (code, said)


@pytest.mark.parametrize("step", range(10))
def test_help_and_validate_end_in_one_line(step: int, tmp_path: Path) -> None:
    """While Python starts, while modules are imported, while the text is written."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT.replace("URL", "http://127.0.0.1:9"))
    for moment in FIRST_SECOND[step:120:10]:
        check(*interrupted(["--help"], moment / 2))
        check(*interrupted(["validate", str(file)], moment))


@pytest.mark.parametrize("step", range(10))
def test_a_probe_ends_in_one_line(step: int, url: str, tmp_path: Path) -> None:
    """Whenever it comes, once or three times, the directory is there or not; no temporary one is left."""
    for number, moment in enumerate([*FIRST_SECOND[step::10], *LATER]):
        out = tmp_path / f"run{number}"
        words = ["probe", url, "--requests", "10", *(["--out", str(out)] if number % 2 else [])]
        (tmp_path / "tmp").mkdir(exist_ok=True)

        code, said = interrupted(words, moment, times=1 + 2 * (number % 3 == 0), TMPDIR=str(tmp_path / "tmp"))

        check(code, said)
        assert list((tmp_path / "tmp").iterdir()) == []
        if "chaoskit report" in said:
            assert said == f"{LINE}; the records are kept: chaoskit report {out}\n"
            again = subprocess.run(
                [sys.executable, "-m", "chaoskit", "report", str(out)], capture_output=True, check=False
            )
            assert again.returncode == 130, again.stderr


@pytest.mark.parametrize("step", range(10))
def test_a_run_ends_in_one_line(step: int, url: str, tmp_path: Path) -> None:
    """Before, while and after its conductor starts; the records say that it was interrupted."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT.replace("URL", url))
    for number, moment in enumerate([*FIRST_SECOND[step::20], *LATER]):
        out = tmp_path / f"run{number}"

        code, said = interrupted(["run", str(file), "--out", str(out)], moment, times=1 + 2 * (number % 3 == 0))

        check(code, said)
        if "chaoskit report" in said:
            assert said == f"{LINE}; the records are kept: chaoskit report {out}\n"
            again = subprocess.run(
                [sys.executable, "-m", "chaoskit", "report", str(out)], capture_output=True, check=False
            )
            assert again.returncode == 130, again.stderr
