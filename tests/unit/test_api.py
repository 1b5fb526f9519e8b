"""The public API is what docs/api.md says, and no more."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_runs import Made, plan

import chaoskit
from chaoskit.analysis.analyse import analyse
from chaoskit.execution.experiment import run_experiment

TOP = Path(chaoskit.__file__).parent.parent
PAGE = (TOP / "docs" / "api.md").read_text()
CELLS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def made(run: Path) -> Path:
    """A run directory with stalls in its fault."""
    made = Made(plan(["ttft_p50 < 800ms during wifi"])).phases().many(0, 9_000, 300).many(10_000, 19_000, 300)
    made.stream(12_000, [12_100, 12_150, 12_900], "reset", 13_500)
    return made.counters("wifi", 900, 100, 10_000, 20_000).handshakes(500, [31, 30]).write(run)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The directory that the cells are executed in: with a run, and the experiments."""
    made(tmp_path / "runs" / "checkout")
    (tmp_path / "experiments").symlink_to(TOP / "experiments")
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def test_exported_names_are_documented() -> None:
    """The table of names is `__all__`, and every one of them is there."""
    table = PAGE.partition("<!-- names -->")[2].partition("<!-- end of names -->")[0]
    documented = re.findall(r"^\| `(\w+)", table, re.MULTILINE)

    assert sorted(documented) == sorted(chaoskit.__all__)
    assert all(callable(getattr(chaoskit, name)) for name in chaoskit.__all__ if name != "__version__")
    assert set(chaoskit.__all__) <= set(dir(chaoskit))


def test_the_cells_of_the_page(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each cell runs after those before it, as in a notebook. What runs an experiment is tests/virtual's."""
    names: dict[str, object] = {}

    for cell in CELLS:
        if "chaoskit.run(" not in cell:
            exec(compile(cell, "docs/api.md", "exec"), names)

    said = capsys.readouterr().out
    assert "met 0" in said
    assert "ttft_p50 < 800ms during wifi met" in said
    assert "['baseline', 'wifi', 'recovery']" in said
    assert (folder / "streams.png").read_bytes().startswith(b"\x89PNG")


def test_run_is_the_function_that_virtual_time_tests() -> None:
    """`chaoskit.run` is `run_experiment`."""
    assert chaoskit.run is run_experiment


def test_what_is_shown_of_a_run_is_short(tmp_path: Path) -> None:
    """A notebook shows what an object is, not its thousands of numbers."""
    run = chaoskit.load(made(tmp_path))

    shown = [repr(run.result), str(run.result), repr(run.tables), repr(run.tables.tokens)]

    assert all(len(each) < 400 for each in shown), shown
    assert f"exit_code={run.result.exit_code}" in shown[0]
    assert f"tokens: {len(run.tables.tokens)} rows x {len(run.tables.tokens.names)}" in shown[2]


def test_an_unknown_name_is_a_key_error_with_the_nearest_one(tmp_path: Path) -> None:
    """Of a phase, a table, a column. Whether a phase is there can be asked."""
    run = chaoskit.load(made(tmp_path))

    with pytest.raises(KeyError) as of_phase:
        run.result.phase("wify")
    with pytest.raises(chaoskit.SpecError, match="there is no table 'token'; did you mean 'tokens'"):
        run.tables["token"]
    with pytest.raises(KeyError, match="there is no column of phases 'x'; there are 'phase', "):
        run.tables.phases["x"]

    assert str(of_phase.value) == "there is no phase 'wify'; did you mean 'wifi'?"
    assert run.result.find_phase("wify") is None
    assert run.result.find_phase("wifi") is run.result.phase("wifi")


def test_the_page_of_pytest_says_what_a_result_has(tmp_path: Path) -> None:
    """Every attribute in its table is there, in a run with a fault and an objective."""
    page = (TOP / "docs" / "pytest.md").read_text()
    table = page.partition("<!-- result -->")[2].partition("<!-- end of result -->")[0]
    result = analyse(made(tmp_path))
    places = {"phase": result.phase("wifi"), "metrics": result.overall, "objective": result.objectives[0]}

    named = re.findall(r"^\| ((?:`[\w.]+`(?:, )?)+)", table, re.MULTILINE)
    attributes = [each.strip("`") for row in named for each in row.split(", ")]

    assert len(attributes) > 20
    for each in attributes:
        place, _, rest = each.partition(".")
        functools.reduce(getattr, rest.split("."), {"result": result, **places}[place])


def test_load(tmp_path: Path) -> None:
    """The result and the tables of a run; both are computed once."""
    run = chaoskit.load(made(tmp_path))

    assert run.result == analyse(tmp_path) == chaoskit.analyse(tmp_path)
    assert run.result is run.result
    assert run.tables is run.tables
    assert len(run.tables.streams) == run.result.overall.started
    assert run.tables["tokens"] is run.tables.tokens


def test_a_plan_is_the_files() -> None:
    """With what is set in place of its values."""
    assert chaoskit.plan(TOP / "experiments/loss-first-token.yaml", overrides={"seed": 9}).seed == 9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"clock": "virtuall"}, "clock: found 'virtuall', expected one of auto, real, virtual"),
        ({"substrate": "nope"}, "substrate: found 'nope', expected one of auto, here, uml"),
        ({"overrides": "seed=7"}, "overrides: found 'seed=7', expected values by their dotted paths"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_runs(options: dict[str, Any], sentence: str) -> None:
    """As the command line does."""
    with pytest.raises(chaoskit.SpecError, match=sentence):
        chaoskit.run(TOP / "experiments/loss-first-token.yaml", **options)


def test_import_is_light() -> None:
    """`import chaoskit` imports no package of it, and no library."""
    code = (
        "import chaoskit, sys; print(*sorted(name for name in sys.modules if name.startswith(('chaoskit', 'numpy'))))"
    )

    said = subprocess.run([sys.executable, "-c", code], cwd=TOP, capture_output=True, text=True, check=True).stdout

    assert said.split() == ["chaoskit"]


def test_errors_are_sentences(tmp_path: Path) -> None:
    """No run directory, the folder of a matrix, a file that is none: the error says what to do."""
    (tmp_path / "experiment.yaml").write_text((TOP / "experiments" / "pmtu-blackhole-long-prompt.yaml").read_text())
    (tmp_path / "outcome.json").write_text('{"how": "finished", "detail": ""}')

    with pytest.raises(chaoskit.SpecError, match="no run directory"):
        chaoskit.load(tmp_path / "nothing")
    with pytest.raises(chaoskit.SpecError, match=r"run directory for each variant: load\('"):
        chaoskit.load(tmp_path)
    with pytest.raises(chaoskit.ChaoskitError):
        chaoskit.plan(tmp_path / "missing.yaml")
    assert isinstance(chaoskit.analyse(tmp_path), chaoskit.MatrixResult)


def test_a_name_that_is_not_there() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'chaoskit' has no attribute 'lod'"):
        chaoskit.lod  # noqa: B018


def test_users_are_typed(tmp_path: Path) -> None:
    """A program that uses the API passes mypy --strict, and a wrong use of it does not."""
    good = "import chaoskit\nrun: chaoskit.Run = chaoskit.load('x')\nn: int = len(run.tables.tokens)\n"
    good += "plan: chaoskit.Plan = chaoskit.plan('x.yaml')\nresult: chaoskit.Result = chaoskit.run('x.yaml')\n"
    (tmp_path / "good.py").write_text(good)
    (tmp_path / "bad.py").write_text("import chaoskit\nchaoskit.load(3)\nchaoskit.plan('x', variants=1)\n")

    words = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(TOP / ".mypy_cache"), "--config-file"]
    words += [str(TOP / "pyproject.toml"), str(tmp_path / "good.py"), str(tmp_path / "bad.py")]
    said = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=False).stdout

    assert re.findall(r"(\w+\.py:\d+): error", said) == ["bad.py:2", "bad.py:3"], said
