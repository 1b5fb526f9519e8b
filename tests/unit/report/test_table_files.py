"""The tables of runs as CSV and Parquet: what other programs read is what was measured."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from zipfile import ZipFile

import pandas
import pyarrow.parquet as pq
import pytest
from hostile_text import HOSTILE, hostile_run
from made_runs import Made, plan, write_with_workload
from random_runs import random_run
from typer.testing import CliRunner

import chaoskit
from chaoskit.analysis.tables.run_tables import load_tables
from chaoskit.analysis.tables.table_columns import SCHEMAS
from chaoskit.cli.app import app
from chaoskit.errors import RefusedError, SpecError
from chaoskit.report.formats.csv_tables import cell
from chaoskit.report.formats.destinations import write_reports
from chaoskit.report.formats.source import load

NAMES = [schema.name for schema in SCHEMAS]
MATRIX = """\
name: delays
question: Does the delay matter?
stage: {lab: edge}
workload: {request-rate: 10/s, output-tokens: 5}
faults: {wifi: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]
matrix: {faults.wifi.netem.delay: [30ms, 60ms]}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a record of every kind."""
    return random_run(3, streams=30).write(tmp_path_factory.mktemp("runs") / "run")


def report(*words: object) -> None:
    """`chaoskit report` with these words. Raises what it raises."""
    told = CliRunner().invoke(app, ["report", *map(str, words)])
    if told.exception is not None and not isinstance(told.exception, SystemExit):
        raise told.exception


def test_pandas_reads_parquet(run: Path, tmp_path: Path) -> None:
    """Each file has the table's columns, rows and values; what lacks is null."""
    report(run, "--format", "parquet", "-o", tmp_path / "tables")

    for table in load_tables(run):
        frame = pandas.read_parquet(tmp_path / "tables" / f"{table.name}.parquet", dtype_backend="numpy_nullable")
        assert tuple(frame.columns) == table.names
        rows = [tuple(None if value is pandas.NA else value for value in row) for row in frame.itertuples(index=False)]
        assert rows == list(table.rows())


def test_parquet_tells_units(run: Path, tmp_path: Path) -> None:
    """The metadata of each column has its unit and its meaning."""
    report(run, "--format", "parquet", "-o", tmp_path)

    field = pq.read_schema(tmp_path / "tokens.parquet").field("gap_ns")

    assert field.metadata[b"unit"] == b"ns"
    assert field.metadata[b"meaning"].startswith(b"Time to the next one")
    assert field.nullable
    assert str(field.type) == "int64"


def test_pandas_reads_csv(run: Path, tmp_path: Path) -> None:
    """The same rows as numbers and words; lines end with CRLF."""
    report(run, "--format", "csv", "-o", tmp_path / "tables")

    for table in load_tables(run):
        path = tmp_path / "tables" / f"{table.name}.csv"
        frame = pandas.read_csv(path, keep_default_na=False)
        assert tuple(frame.columns) == table.names
        assert len(frame) == len(table)
        assert path.read_bytes().count(b"\r\n") == len(table) + 1
    tokens = pandas.read_csv(tmp_path / "tables" / "tokens.csv", dtype={"gap_ns": "Int64"})
    assert tokens.gap_ns.sum() == load_tables(run).tokens["gap_ns"].sum()
    assert tokens.is_stall.dtype == bool


def test_one_table(run: Path, tmp_path: Path) -> None:
    """`--table` writes it to standard output, or into one file."""
    told = CliRunner().invoke(app, ["report", str(run), "--format", "csv", "--table", "stalls"])
    report(run, "--format", "csv", "--table", "stalls", "-o", tmp_path / "mine.csv")

    assert told.stdout_bytes == (tmp_path / "mine.csv").read_bytes()
    assert len(list(csv.reader(io.StringIO(told.stdout)))) == len(load_tables(run).stalls) + 1


def test_an_archive(run: Path, tmp_path: Path) -> None:
    """`-o FILE.zip` has a file for each table; twice the same bytes."""
    report(run, "--format", "csv", "-o", tmp_path / "one.zip")
    report(run, "--format", "csv", "-o", tmp_path / "two.zip")

    with ZipFile(tmp_path / "one.zip") as archive:
        assert archive.namelist() == [f"{name}.csv" for name in NAMES]
        assert archive.testzip() is None
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_variants_and_runs_have_columns_of_their_own(tmp_path: Path, form: str) -> None:
    """The rows of a matrix's variants follow one another, after `variant`; those of several runs after `run`."""
    top = tmp_path / "matrix"
    top.mkdir()
    (top / "experiment.yaml").write_text(MATRIX)
    for name, streams in (("delay=30ms", 2), ("delay=60ms", 3)):
        Made(plan()).phases().many(0, streams * 1000, 1000).write(top / name)
    Made().phases().many(0, 4000, 1000).write(tmp_path / "run")

    report(top, "--format", form, "-o", tmp_path / "one")
    report(top, tmp_path / "run", "--format", form, "-o", tmp_path / "two")

    read = pandas.read_csv if form == "csv" else pandas.read_parquet
    one = read(tmp_path / "one" / f"streams.{form}")
    two = read(tmp_path / "two" / f"streams.{form}")
    assert one.variant.tolist() == ["delay=30ms"] * 2 + ["delay=60ms"] * 3
    assert list(two.columns[:2]) == ["run", "variant"]
    assert two.run.tolist() == ["matrix"] * 5 + ["run"] * 4


def test_workloads_have_a_column_of_their_own(tmp_path: Path) -> None:
    """Their streams follow those of the measured one; what belongs to the run is there once."""
    report(write_with_workload(tmp_path / "run"), "--format", "csv", "-o", tmp_path / "out")

    streams, phases = (pandas.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("streams", "phases"))
    assert streams.workload.fillna("").tolist() == ["", "", "upload"]
    assert streams.stream.tolist() == [0, 1, 1000]
    assert phases.phase.tolist() == ["baseline", "wifi", "recovery"]


TOLD = {name: text for name, text in HOSTILE.items() if name != "long"}


@pytest.mark.parametrize("text", TOLD.values(), ids=list(TOLD))
def test_no_cell_is_a_formula_or_a_line(tmp_path: Path, text: str) -> None:
    """Whatever a server said: a row stays a row, and no cell begins like a formula."""
    run = hostile_run(tmp_path / "run", text)

    report(run, "--format", "csv", "--table", "streams", "-o", tmp_path / "streams.csv")

    lines = (tmp_path / "streams.csv").read_bytes().decode().split("\r\n")
    rows = list(csv.reader(lines[:-1], strict=True))
    assert len({len(row) for row in rows}) == 1
    assert len(rows) == len(load_tables(run).streams) + 1
    detail = rows[0].index("detail")
    assert not [row[detail] for row in rows if row[detail].startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("text", [HOSTILE[name] for name in ("nul", "bidi", "formula")])
def test_parquet_keeps_the_exact_text(tmp_path: Path, text: str) -> None:
    """A program reads what the server said."""
    run = hostile_run(tmp_path / "run", text)

    report(run, "--format", "parquet", "--table", "streams", "-o", tmp_path / "streams.parquet")

    said = json.loads((run / "requests.jsonl").read_text().splitlines()[-1])["detail"]
    assert said in pq.read_table(tmp_path / "streams.parquet")["detail"].to_pylist()


def test_cells() -> None:
    """What a spreadsheet would compute gets an apostrophe; anything else is as it was."""
    assert cell("=1+1") == "'=1+1"
    assert cell("＝1") == "'＝1"
    assert cell("\t=1") == "'\\t=1"
    assert cell("a=1") == "a=1"
    assert cell("two\nlines") == "two\\nlines"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--format", "csv"), "csv is a file for each table; choose a folder, -o DIR"),
        (("--format", "csv", "-o", "x.csv"), "x.csv would be one file"),
        (("--format", "json", "--table", "tokens"), "json has no tables; write --format csv or --format parquet"),
        (("--format", "csv", "--table", "token"), "did you mean tokens"),
        (("--format", "csv", "--table", "q"), "there are streams, tokens"),
        (("--format", "csv", "-o", "no/such/folder"), "there is no folder no/such"),
    ],
)
def test_mistakes(run: Path, words: tuple[str, ...], said: str) -> None:
    """One sentence that says what to type."""
    with pytest.raises(SpecError, match=said):
        report(run, *words)


def test_a_file_in_the_place_of_the_folder(run: Path, tmp_path: Path) -> None:
    """It stays as it is."""
    (tmp_path / "out").write_text("mine")

    with pytest.raises(SpecError, match="is no folder"):
        report(run, "--format", "csv", "-o", tmp_path / "out")

    assert (tmp_path / "out").read_text() == "mine"


def test_a_folder_that_cannot_be_made(run: Path) -> None:
    """Nothing can be written in /proc."""
    with pytest.raises(RefusedError, match="cannot write /proc/tables: "):
        report(run, "--format", "csv", "-o", "/proc/tables")


def test_other_files_of_a_folder_stay(run: Path, tmp_path: Path) -> None:
    """Only files of the tables' names are replaced, and no draft is left."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "tokens.csv").write_text("old")

    report(run, "--format", "csv", "-o", tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["notes.txt", *(f"{name}.csv" for name in NAMES)])
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "tokens.csv").read_text().startswith("stream,")


def test_a_run_writes_its_tables_beside_its_records(tmp_path: Path) -> None:
    """`run --report csv` makes a folder in the run directory, and the run can be read as before."""
    run = random_run(3).write(tmp_path / "run")
    found = load(run).found

    write_reports(["csv", "parquet"], run, found)

    assert {path.name for path in (run / "tables-csv").iterdir()} == {f"{name}.csv" for name in NAMES}
    assert {path.name for path in (run / "tables-parquet").iterdir()} == {f"{name}.parquet" for name in NAMES}
    assert load(run).found == found


def test_the_page_shows_what_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines for pandas in docs/reports.md read what the command above them wrote."""
    page = (Path(chaoskit.__file__).parent.parent / "docs" / "reports.md").read_text()
    (cell_of_page,) = re.findall(r"^```python\n(import pandas.*?)^```", page, re.MULTILINE | re.DOTALL)
    run = random_run(3, streams=30).write(tmp_path / "run")
    report(run, "--format", "parquet", "-o", tmp_path / "tables")

    exec(compile(cell_of_page.replace('"tables/', f'"{tmp_path}/tables/'), "docs/reports.md", "exec"), {})

    assert re.fullmatch(r"[\d.]+ ms\n", capsys.readouterr().out)
