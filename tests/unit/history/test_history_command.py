"""`chaoskit history`: adds runs, shows trends, and fails on what it was told to fail on."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from cli_words import LIBRARY_PHRASES, chaoskit
from made_history import run_of, runs_of
from made_runs import Made, plan

from chaoskit.analysis.analyse import analyse
from chaoskit.history.adding import add, origin
from chaoskit.history.checkout import Revision
from chaoskit.history.file import writing

STEADY, SLOWER = [100.0, 104.0, 98.0, 101.0], [150.0, 152.0, 149.0]


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a history of fourteen runs, the last six of which are slower."""
    place = tmp_path_factory.mktemp("slower")
    assert (
        chaoskit("history", "add", *runs_of(place, [*STEADY * 2, *SLOWER * 2]), "--history", str(place)).returncode == 0
    )
    return place


def count(path: Path, table: str = "runs") -> int:
    """The rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_regression_is_told_with_its_commits(slower: Path) -> None:
    """What, by how much, and between which commits; and it fails only when asked to."""
    shown = chaoskit("history", "made-by-hand", "--history", str(slower))
    failed = chaoskit("history", "made-by-hand", "--history", str(slower), "--fail-on", "regression")

    text = " ".join(shown.stdout.split())
    assert "ttft_p50 during wifi is worse: 100 ms before, 150 ms after (+50 %), between" in text
    assert "between 00000000 (2026-11-08 09:00) and 00000000 (2026-11-09 09:00)" in text
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert (shown.returncode, failed.returncode) == (0, 1)
    assert shown.stdout == failed.stdout


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--tolerance", "60%"), 0),
        (("--tolerance", "40%"), 1),
        (("--since", "2026-11-09"), 0),
        (("--since", "0000000000000000000000000000000000000009"), 0),
        (("--metric", "interruption_rate"), 0),
        (("--metric", "ttft_p50", "--phase", "wifi"), 1),
        (("--metric", "ttft_p50", "--phase", "baseline"), 1),
        (("--fail-on", "flaky"), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_fails_can_be_chosen(slower: Path, more: tuple[str, ...], code: int) -> None:
    """By size, by date or commit, by metric and phase."""
    assert chaoskit("history", "--history", str(slower), "--fail-on", "regression", *more).returncode == code


def test_no_verdict_flaps_here(slower: Path) -> None:
    """Each run was at a commit of its own."""
    assert chaoskit("history", "--history", str(slower), "--fail-on", "flaky").returncode == 0


def test_verdicts_that_flap_fail_when_asked(tmp_path: Path) -> None:
    """Two runs of one file at one commit with different verdicts."""
    runs = [
        str(run_of(tmp_path / str(day), day, ttft, commit="c" * 40, objectives=("ttft_p50 < 140ms during wifi",)))
        for day, ttft in ((1, 100), (2, 150))
    ]
    chaoskit("history", "add", *runs, "--history", str(tmp_path))

    told = chaoskit("history", "--history", str(tmp_path), "--fail-on", "flaky")

    assert told.returncode == 1
    assert "the verdict flaps: 1 met, 1 broken, of the same file at commit cccccccc" in " ".join(told.stdout.split())


def test_json_has_everything(slower: Path) -> None:
    """Runs, series with points and states, changes."""
    (track,) = json.loads(chaoskit("history", "--history", str(slower), "--format", "json").stdout)["tracks"]

    series = {each["label"]: each for each in track["series"]}
    assert len(track["runs"]) == 14
    assert series["ttft_p50 during wifi"]["state"] == "worse"
    assert series["ttft_p50 during wifi"]["is_regression"]
    assert [each["state"] for each in series["ttft_p50 during wifi"]["points"]] == [1] * 8 + [2] * 6
    assert series["interruption_rate"]["changes"] == []


def test_csv_has_a_line_for_each_value(slower: Path) -> None:
    """With the interval and the count of streams."""
    rows = list(csv.DictReader(io.StringIO(chaoskit("history", "--history", str(slower), "--format", "csv").stdout)))

    wifi = [row for row in rows if row["label"] == "ttft_p50 during wifi"]
    assert len(rows) == 28
    assert [float(row["value"]) for row in wifi] == [*STEADY * 2, *SLOWER * 2]
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in wifi)
    assert {row["n"] for row in wifi} == {"20"}


def test_markdown_is_for_a_pull_request(slower: Path) -> None:
    """A table, and the regression in bold."""
    told = chaoskit("history", "--history", str(slower), "--format", "markdown").stdout

    assert "### made-by-hand" in told
    assert re.search(r"^\| ttft\\_p50 during wifi \| 14 \|.*\| worse \|$", told, re.MULTILINE)
    assert "**Regression:** ttft\\_p50 during wifi is worse" in told


def test_a_file_that_changed_is_another_series(tmp_path: Path) -> None:
    """The earlier file is told in a line, and taken together with the newest one when asked to."""
    old = [str(run_of(tmp_path / f"old-{day}", day, 100)) for day in range(1, 9)]
    new = [
        str(run_of(tmp_path / f"new-{day}", day, 150, text="name: made-by-hand\nserver: {tokens: 9}\n"))
        for day in range(9, 15)
    ]
    chaoskit("history", "add", *old, *new, "--history", str(tmp_path))

    apart = chaoskit("history", "--history", str(tmp_path), "--fail-on", "regression")
    together = chaoskit("history", "--history", str(tmp_path), "--fail-on", "regression", "--despite", "experiment")

    assert "8 earlier runs until 2026-11-08 09:00 had another file (44136fa3)" in " ".join(apart.stdout.split())
    assert (apart.returncode, together.returncode) == (0, 1)
    assert "2 different files" in together.stdout


def test_a_seed_is_no_other_file(tmp_path: Path) -> None:
    """Nor is what --set writes: the same keys in another form."""
    texts = [
        "name: made-by-hand\nworkload: {request-rate: 4/s}  # slow\n",
        "# --set seed=7\nname: made-by-hand\nworkload:\n  request-rate: 4/s\nseed: '7'\n",
        "# --set seed=8\nname: made-by-hand\nquestion: Why?\nseed: 8\nworkload:\n  request-rate: 4/s\n",
    ]
    runs = [str(run_of(tmp_path / str(day), day, text=text)) for day, text in enumerate(texts, 1)]

    chaoskit("history", "add", *runs, "--history", str(tmp_path))

    told = json.loads(chaoskit("history", "--history", str(tmp_path), "--format", "json").stdout)
    assert [len(track["runs"]) for track in told["tracks"]] == [3]


def test_the_list_counts_the_runs_of_other_files(tmp_path: Path) -> None:
    """So that no run seems to be lost."""
    texts = [f"name: made-by-hand\nserver: {{tokens: {tokens}}}\n" for tokens in (1, 2, 3, 3)]
    runs = [str(run_of(tmp_path / str(day), day, text=text)) for day, text in enumerate(texts, 1)]
    other = tmp_path / "other"
    Made(plan().model_copy(update={"name": "other"})).phases().many(0, 30_000, 500).write(other)
    chaoskit("history", "add", *runs, str(other), "--history", str(tmp_path))

    told = chaoskit("history", "--history", str(tmp_path)).stdout

    assert re.search(r"^experiment +runs +earlier +newest", told, re.MULTILINE)
    assert re.search(r"^made-by-hand +2 +2 +2026-11-04 09:00", told, re.MULTILINE)
    assert re.search(r"^other +1 +\S+ \S+ ", told, re.MULTILINE)
    assert "earlier: runs that had another file; --despite experiment takes them together" in told
    assert max(map(len, told.splitlines())) <= 80


def test_the_same_run_twice_is_one_row(tmp_path: Path) -> None:
    """Also under another name and from another place."""
    run = run_of(tmp_path / "run", 1)
    copy = run_of(tmp_path / "elsewhere" / "copy", 1)

    first = chaoskit("history", "add", str(run), "--history", str(tmp_path))
    again = chaoskit("history", "add", str(run), str(copy), "--history", str(tmp_path))

    assert first.stdout == f"1 run added to {tmp_path}/history.sqlite3\n"
    assert again.stdout == f"0 runs added to {tmp_path}/history.sqlite3; 2 runs were there\n"
    assert count(tmp_path / "history.sqlite3") == 1
    assert count(tmp_path / "history.sqlite3", "objectives") == 2


def test_a_row_that_is_there_stays(tmp_path: Path) -> None:
    """`run --history` saw the branch and the checkout; the records that are added later tell less."""
    run, path = run_of(tmp_path / "run", 1), tmp_path / "history.sqlite3"
    add(path, [(analyse(run), origin(run, Revision(f"{1:040x}", "main", True)))])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE runs SET added = '2026-11-01T09:01:00Z'")
        connection.commit()
        before = connection.execute("SELECT * FROM runs").fetchall()

    told = chaoskit("history", "add", str(run), "--history", str(path))

    assert told.stdout == f"0 runs added to {path}; 1 run was there\n"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM runs").fetchall() == before


def test_several_experiments_are_a_list(tmp_path: Path) -> None:
    """One line each, with the newest verdict; and below it what became worse."""
    runs = runs_of(tmp_path, [*STEADY * 2, *SLOWER * 2])
    other = tmp_path / "other"
    Made(plan().model_copy(update={"name": "other"})).phases().many(0, 30_000, 500).write(other)
    chaoskit("history", "add", *runs, str(other), "--history", str(tmp_path / "h.sqlite3"))

    told = chaoskit("history", "--history", str(tmp_path / "h.sqlite3")).stdout

    assert re.search(r"^made-by-hand +14 +2026-11-14 09:00 +00000000 +broken", told, re.MULTILINE)
    assert re.search(r"^other +1 ", told, re.MULTILINE)
    assert "ttft_p50 during wifi is worse" in told


def test_a_matrix_is_added_with_its_variants(tmp_path: Path) -> None:
    """Those that were run; and each is a series of its own."""
    text = (
        "name: sized\nquestion: Which?\nstage: {lab: edge}\nworkload: {request-rate: 10/s}\nfaults: {}\n"
        "timeline: [{baseline: 10s}]\nobjectives: []\nmatrix: {seed: [1, 2, 3]}\n"
    )
    top = tmp_path / "top"
    for seed in (1, 2):
        made = Made(plan(timeline="[{baseline: 10s}]").model_copy(update={"name": "sized"})).phases()
        made.many(0, 10_000, 500).write(top / f"seed={seed}")
        (top / f"seed={seed}" / "experiment.yaml").write_text(f"# the variant seed={seed}\nname: sized\n")
    (top / "experiment.yaml").write_text(text)
    (top / "outcome.json").write_text('{"how": "finished", "detail": ""}')

    added = chaoskit("history", "add", str(top), "--history", str(tmp_path))
    told = chaoskit("history", "sized", "--history", str(tmp_path))
    one = chaoskit("history", "sized", "--history", str(tmp_path), "--variant", "seed=2")

    assert added.stdout.startswith("2 runs added")
    assert re.findall(r"^sized seed=\d  1 run", told.stdout, re.MULTILINE) == [
        "sized seed=1  1 run",
        "sized seed=2  1 run",
    ]
    assert "seed=1" not in one.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nightly",), "has no run of the experiment 'nightly'; expected one of made-by-hand"),
        (("made-by-hnd",), "did you mean made-by-hand?"),
        (("made-by-hand", "too"), "'too' is one word too many"),
        (("--metric", "ttft"), "--metric: 'ttft' is not a metric"),
        (("--metric", "toolchain_p95"), "no such run that came to its end tells toolchain_p95"),
        (
            ("--metric", "ttft_p95", "--phase", "train"),
            "--phase: no such run has a phase 'train'; expected one of baseline, wifi",
        ),
        (("--phase", "wify"), "did you mean wifi?"),
        (("--metric", "ttfs"), "--metric: 'ttfs' is not a metric; did you mean ttft_p95?"),
        (("--fail-on", "broken"), "--fail-on: found 'broken', expected regression or flaky"),
        (("-o", "h.csv"), "has no option -o; it prints; to write a file: chaoskit history ... > h.csv"),
        (("--output=h.csv",), "it prints; to write a file: chaoskit history ... > h.csv"),
        (("-o", "json"), "has no option -o; did you mean --format"),
        (("--branch", "main"), "has no run of the branch 'main'; it has none at all"),
        (("--variant", "a"), "has no run of the variant 'a'; it has none at all"),
        (("--since", "yesterday"), "'yesterday' is no date, age or commit; write 2026-11-01, 14d, or a commit"),
        (("--since", "2027-01-01"), "has no such run since 2027-01-01T00:00:00Z"),
        (("--since", "abcdef0123"), "no run was made at commit abcdef0123"),
        (("--tolerance", "5"), "--tolerance: '5' has no unit; write 5%"),
        (("--format", "xml"), "--format"),
        (("--fail-on", "everything"), "--fail-on"),
        (("add", "/no/such/run"), "/no/such/run"),
        (("add",), "has no run of the experiment 'add'"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_a_mistake_gets_one_sentence(slower: Path, words: tuple[str, ...], said: str) -> None:
    """With what to write, and exit code 2."""
    told = chaoskit("history", *words, "--history", str(slower))

    assert told.returncode == 2, told.stdout
    assert said in told.stderr
    assert not LIBRARY_PHRASES.search(told.stderr), told.stderr


def test_without_a_history_it_says_how_to_begin_one(tmp_path: Path) -> None:
    """Nothing is made by looking."""
    told = chaoskit("history", "--history", str(tmp_path / "none"))

    assert told.returncode == 2
    assert (
        f"there is no history {tmp_path}/none/history.sqlite3; chaoskit run FILE --history {tmp_path}/none"
        in told.stderr
    )
    assert not (tmp_path / "none").exists()


def test_an_empty_history_is_told(tmp_path: Path) -> None:
    """One whose first run was refused has tables and no rows."""
    with writing(tmp_path / "history.sqlite3"):
        pass

    told = chaoskit("history", "--history", str(tmp_path))

    assert told.returncode == 2
    assert "has no run yet; chaoskit history add RUNDIR" in told.stderr


def test_hostile_text_is_escaped_in_each_form(tmp_path: Path) -> None:
    """What stands in a file that somebody gave is text, wherever it is shown."""
    run = run_of(tmp_path / "run", 1)
    chaoskit("history", "add", str(run), "--history", str(tmp_path))
    evil = "=cmd|'!A0\x1b[31m<b>`| @team\u202e"
    with closing(sqlite3.connect(tmp_path / "history.sqlite3")) as connection:
        connection.execute("UPDATE runs SET name = ?, git_commit = ?, kernel = ?", (evil, evil, evil))
        connection.execute("UPDATE objectives SET label = ?", (evil,))
        connection.commit()

    told = {
        name: chaoskit("history", "--history", str(tmp_path), "--format", name)
        for name in ("console", "csv", "markdown", "json")
    }

    for each in told.values():
        assert each.returncode == 0, each.stderr
        assert "\x1b" not in each.stdout
        assert "\u202e" not in each.stdout
    assert json.loads(told["json"].stdout)["tracks"][0]["name"] == evil
    assert next(csv.reader(told["csv"].stdout.splitlines()[1:]))[0].startswith("'=cmd")
    assert "<b>" not in told["markdown"].stdout
