"""`chaoskit compare`: what it says at 80 columns, in each format, and for each mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from simulated_pairs import WORSE, simulated
from typer.testing import CliRunner, Result

from chaoskit.cli.app import app
from chaoskit.cli.several_values import repeated
from chaoskit.errors import SpecError

HOSTILE = "run|<b>@you ]]> \x1b[31m\x07`x` ‮"


def chaoskit(*words: str | Path) -> Result:
    """A command, as it is typed."""
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "80"})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Two of the same, and a worse one."""
    top = tmp_path_factory.mktemp("runs")
    made = {"one": simulated(1), "two": simulated(2), "worse": simulated(3, WORSE)}
    one, two, worse = (run.write(top / name) for name, run in made.items())
    return one, two, worse


def test_exit_codes_are_verdicts(runs: tuple[Path, Path, Path]) -> None:
    """0 without a regression, 1 with one, 5 where the streams decide nothing; the last line says it."""
    one, two, worse = runs

    same, regressed = chaoskit("compare", one, two), chaoskit("compare", one, worse)
    undecided = chaoskit("compare", one, two, "--tolerance", "ttft_p50=1%")

    assert (same.exit_code, regressed.exit_code, undecided.exit_code) == (0, 1, 5)
    assert "NO REGRESSION SHOWN" in same.stdout
    assert "\nREGRESSED  ttft_p50 during wifi" in regressed.stdout
    assert "\nUNDECIDED  ttft_p50 during baseline: 1% worse is not excluded; about" in undecided.stdout


def test_a_screen_of_80_columns_holds_it(runs: tuple[Path, Path, Path]) -> None:
    """No line is longer, and each phase has its table."""
    told = chaoskit("compare", *runs, "--tolerance", "20%").stdout

    assert max(len(line) for line in told.splitlines()) <= 80
    assert "wifi: C against A" in told


def test_pools_are_given_in_a_row(runs: tuple[Path, Path, Path]) -> None:
    """--baseline A B --candidate C."""
    one, two, worse = runs

    found = chaoskit("compare", "--baseline", one, two, "--candidate", worse, "--format", "json")

    document = json.loads(found.stdout)
    assert [each["run"] for each in document["reference"]] == [str(one), str(two)]
    assert [len(each["runs"]) for each in document["candidates"]] == [1]


def test_json_has_a_schema(runs: tuple[Path, Path, Path]) -> None:
    """`chaoskit schema --comparison` prints it, every key has its sentence, and the document is as it says."""
    schema = json.loads(chaoskit("schema", "--comparison").stdout)

    for found in (chaoskit("compare", *runs, "--format", "json"), chaoskit("compare", *runs[:2], "--format", "json")):
        jsonschema.validate(json.loads(found.stdout), schema)
    parts = [schema, *schema["$defs"].values()]
    undefined = {name for part in parts for name, key in part.get("properties", {}).items() if "description" not in key}
    assert undefined == {"missing"}  # a reason speaks for itself


def test_junit_never_passes_what_is_undecided(runs: tuple[Path, Path, Path]) -> None:
    """A case for each comparison: regressions fail, what is undecided is skipped, and the numbers agree."""
    one, two, worse = runs

    for other, words in ((worse, ()), (two, ("--tolerance", "ttft_p50=1%"))):
        told = chaoskit("compare", one, other, "--format", "junit", *words)
        (suite,) = ElementTree.fromstring(told.stdout.encode()).iter("testsuite")
        for word, kind in (("failures", "failure"), ("skipped", "skipped"), ("tests", "testcase")):
            assert int(suite.attrib[word]) == len(list(suite.iter(kind)))
        kinds = {case.attrib["name"]: [each.tag for each in case] for case in suite.iter("testcase")}
        assert kinds["no regression"] == (["failure"] if other is worse else ["skipped"])


@pytest.mark.parametrize("format", ["console", "markdown", "junit", "json"])
def test_names_cannot_do_anything(tmp_path: Path, format: str) -> None:
    """What stands in a directory's name, or in an experiment file, is escaped in each format."""
    one, two = (simulated(seed).write(tmp_path / f"{HOSTILE}{seed}") for seed in (1, 2))
    file = two / "experiment.yaml"
    file.write_text(file.read_text().replace("20}", f'20, extra-body: {{x: "<img src=x>|{HOSTILE.encode().hex()}"}}}}'))

    told = chaoskit("compare", one, two, "--format", format, "--despite", "experiment")

    assert told.exit_code == 0, told.stderr
    assert not {"\x1b", "\x07", "‮"} & set(told.stdout)
    if format == "markdown":
        assert set(re.findall(r"(?<!\\)<[^>]*>?", told.stdout)) <= {
            *("<details>", "<summary>", "</summary>", "</details>", "<sub>", "<br>", "</sub>")
        }
        assert "@you" not in told.stdout
        rows = [line for line in told.stdout.splitlines() if line.startswith("| ")]
        assert {line.replace(r"\|", "").count("|") for line in rows} == {8}
    if format == "junit":
        ElementTree.fromstring(told.stdout.encode())


@pytest.mark.parametrize("format", ["console", "markdown", "junit", "json"])
def test_a_file_gets_the_same(runs: tuple[Path, Path, Path], tmp_path: Path, format: str) -> None:
    """-o FILE is written whole; standard output stays empty, and standard error says the verdict."""
    out = tmp_path / "found"

    told = chaoskit("compare", *runs[:2], "--format", format, "-o", out)

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr.startswith(f"{out}: no regression shown: none of")
    if format != "console":
        assert out.read_text() == chaoskit("compare", *runs[:2], "--format", format).stdout


def test_a_mistake_is_one_sentence(runs: tuple[Path, Path, Path]) -> None:
    """What is missing, and what to type."""
    one, two, _ = runs

    for words, said in (
        ((), "write chaoskit compare RUNDIR RUNDIR"),
        ((one,), f"write chaoskit compare {one} RUNDIR"),
        ((one, one), "given twice"),
        (("--baseline", one), "--candidate is missing"),
        ((two, "--baseline", one, "--candidate", two), "belongs to neither side"),
        ((one, two, "--despite", "karnel"), "did you mean kernel?"),
        ((one, one.parent / "nothing"), "is no run directory"),
        ((one, two, "--tolerance", "5"), "write 5%"),
        ((one, two, "--out", one), "is a folder; write -o"),
        ((one, two, "-o", "found.html"), "no html, only console, json, markdown, junit; write -o found.md"),
        ((one, two, "-o", "found.parquet"), "no parquet"),
        ((one, two, "--tolerance", "-10%"), "write 10%"),
    ):
        told = chaoskit("compare", *words)
        assert isinstance(told.exception, SpecError), (words, told.output)
        assert said in str(told.exception)
        assert "\n" not in str(told.exception)
        assert "chaoskit report" not in str(told.exception)


@pytest.mark.parametrize(
    ("name", "format"),
    [("found.json", "json"), ("found.md", "markdown"), ("found.xml", "junit"), ("found.txt", "console")],
)
def test_the_ending_of_a_file_is_its_format(
    runs: tuple[Path, Path, Path], tmp_path: Path, name: str, format: str
) -> None:
    """As of a report; --format decides before it."""
    files = tmp_path / name, tmp_path / "same"

    assert chaoskit("compare", *runs[:2], "-o", files[0]).exit_code == 0
    assert chaoskit("compare", *runs[:2], "-o", files[1], "--format", format).exit_code == 0
    assert files[0].read_text() == files[1].read_text()
    assert chaoskit("compare", *runs[:2], "-o", tmp_path / "found.html", "--format", format).exit_code == 0


def test_several_values_are_repeated() -> None:
    """All words up to the next option belong to it."""
    options = ("--baseline", "--candidate")

    assert list(repeated(["--baseline", "a", "b", "--quiet", "c"], options)) == [
        *("--baseline", "a", "--baseline", "b", "--quiet", "c")
    ]
    assert list(repeated(["--candidate=a", "b", "--format", "json"], options)) == [
        *("--candidate=a", "--candidate", "b", "--format", "json")
    ]
    assert list(repeated(["a", "b"], options)) == ["a", "b"]
