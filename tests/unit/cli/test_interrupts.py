"""Ctrl-C at any moment: one line on standard error, exit code 130, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from warm import chaoskit

LINE = "chaoskit: interrupted"
FIRST_SECOND = [moment * 0.08 for moment in range(12)]
MOMENTS = [*FIRST_SECOND, 1.1, 1.4, 1.7, 2, 2.6, 3.5]
_AT_A_TIME = 6
PROGRESS = re.compile(r"(interrupted: |starting$|baseline 1/1 |draining).*\n", re.MULTILINE)
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
        start_new_session=True,
    )
    with process:
        time.sleep(moment)
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does
            time.sleep(0.002)
        assert process.stderr is not None
        said = process.stderr.read()
    return process.returncode, said


def check(code: int, said: str) -> None:
    """One line and 130; the command's own end if that was earlier; or Python itself was still starting."""
    lines = said.splitlines()
    if code == 130:
        assert len(lines) == 1, said
        assert lines[0].startswith(LINE), said
    elif code == 0:
        assert lines == [], said
    else:
        assert code in (-signal.SIGINT, 1), (code, said)
        assert not re.search("chaoskit/(?!__main__|__init__|keyboard_interrupt)", said.replace(str(Path.cwd()), "")), (
            said
        )
        assert "in _interrupt" not in said, said


def test_short_commands_end_in_one_line(tmp_path: Path) -> None:
    """While Python starts, while modules are imported, while the text is written."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT.replace("URL", "http://127.0.0.1:9"))

    def one(number: int) -> None:
        words = ["--help"] if number % 3 == 0 else ["validate", str(file)]
        check(*interrupted(words, FIRST_SECOND[number] * (0.4 if number % 3 == 0 else 0.8)))

    at_every_moment(one, len(FIRST_SECOND))


def test_a_probe_ends_in_one_line(url: str, tmp_path: Path) -> None:
    """Whenever it comes, once or three times; its records are kept and named, or no temporary directory is left."""
    (tmp_path / "tmp").mkdir()

    def one(number: int) -> None:
        out = tmp_path / f"run{number}"
        words = ["probe", url, "--requests", "10", *(["--out", str(out)] if number % 2 else [])]
        code, said = interrupted(words, MOMENTS[number], 1 + 2 * (number % 3 == 0), TMPDIR=str(tmp_path / "tmp"))
        check(code, said)
        check_records(said, out)

    at_every_moment(one, len(MOMENTS))

    assert list((tmp_path / "tmp").glob("chaoskit-*")) == []


def test_a_run_ends_in_one_line(url: str, tmp_path: Path) -> None:
    """Before, while and after its conductor starts; the records say that it was interrupted."""
    file = tmp_path / "x.yaml"
    file.write_text(EXPERIMENT.replace("URL", url))

    def one(number: int) -> None:
        out = tmp_path / f"run{number}"
        words = ["run", str(file), "--out", str(out)]
        code, said = interrupted(words, MOMENTS[number], 1 + 2 * (number % 3 == 0))
        said = PROGRESS.sub("", said)
        check(code, said)
        check_records(said, out)

    at_every_moment(one, len(MOMENTS))


def check_records(said: str, out: Path) -> None:
    """What was said of the records is true."""
    if "chaoskit report" in said:
        assert said == f"{LINE}; the records are kept: chaoskit report {out}\n"
        again = chaoskit("report", str(out))
        assert again.returncode == 130, again.stderr


def at_every_moment(one: Callable[[int], None], count: int) -> None:
    """Several at a time, because each of them waits most of the time."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(one, range(count)))
