"""The history file: locked, full, foreign, newer, damaged, somebody else's; many writers at once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from made_history import run_of, runs_of
from warm import chaoskit

from chaoskit.analysis.analyse import analyse
from chaoskit.errors import RefusedError, SpecError
from chaoskit.history import file
from chaoskit.history.adding import add, origin, results_in
from chaoskit.history.checkout import Revision
from chaoskit.history.file import history_file, reading, writing
from chaoskit.history.sql_tables import APPLICATION, TABLES, VERSION

QUICK = "import chaoskit.history.file as f; f.WAIT = 0.3"
ROOT = os.geteuid() == 0


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose parents nobody else can change, as pytest's own are not bound to be."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def one(place: Path) -> Path:
    """A history of one run."""
    path = place / "history.sqlite3"
    add(path, results_in(run_of(place / "run", 1)))
    return path


def rows(path: Path) -> list[int]:
    """How many rows each table has; the file is sound."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        return [connection.execute(f"SELECT count(*) FROM {each.name}").fetchone()[0] for each in TABLES]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("runs", "runs/history.sqlite3"),
        ("a.sqlite3", "a.sqlite3"),
        ("b/c.db", "b/c.db"),
        ("d.x", "d.x/history.sqlite3"),
    ],
)
def test_a_directory_or_a_file(place: Path, given: str, meant: str) -> None:
    """By its suffix where nothing is there yet."""
    assert history_file(place / given) == place / meant


def test_a_directory_with_the_suffix_of_a_file(place: Path) -> None:
    """What is there decides."""
    (place / "x.db").mkdir()
    (place / "plain").touch()

    assert history_file(place / "x.db") == place / "x.db" / "history.sqlite3"
    assert history_file(place / "plain") == place / "plain"


def test_the_file_says_what_it_is(one: Path) -> None:
    """By its application_id and user_version; its tables and columns are those of the schema."""
    with closing(sqlite3.connect(one)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,)
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        for table in TABLES:
            columns = connection.execute(f"SELECT name, type FROM pragma_table_info('{table.name}')").fetchall()
            assert columns == [(each.name, each.kind) for each in table.columns]


@pytest.mark.parametrize("way", [reading, writing], ids=["reading", "writing"])
@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (f"PRAGMA user_version = {VERSION + 1}", RefusedError, "is of a newer chaoskit"),
        ("PRAGMA application_id = 7", SpecError, "is an SQLite file of another program"),
    ],
)
def test_what_is_not_ours_is_left_as_it_is(
    one: Path, way: object, change: str, error: type[Exception], said: str
) -> None:
    """A newer schema, another program's file: one sentence, and not a byte changed."""
    with closing(sqlite3.connect(one)) as connection:
        connection.execute(change)
        connection.commit()
    before = one.read_bytes()

    with pytest.raises(error, match=said), way(one):  # type: ignore[operator]
        pass

    assert one.read_bytes() == before


@pytest.mark.parametrize("content", [b"name: wifi\n" * 100, b"SQLite format 3\0" + b"\xff" * 5000, b"x"])
@pytest.mark.parametrize("way", [reading, writing], ids=["reading", "writing"])
def test_no_sqlite_file_is_left_as_it_is(place: Path, content: bytes, way: object) -> None:
    """Whatever it is."""
    path = place / "history.sqlite3"
    path.write_bytes(content)

    with pytest.raises((SpecError, RefusedError), match=r"history\.sqlite3"), way(path):  # type: ignore[operator]
        pass

    assert path.read_bytes() == content


def test_a_damaged_column_is_told(one: Path) -> None:
    """SQLite takes a text where a number should be."""
    with closing(sqlite3.connect(one)) as connection:
        connection.execute("UPDATE objectives SET value = 'much'")
        connection.commit()

    told = chaoskit("history", "--history", str(one))

    assert told.returncode == 2
    assert "is damaged: a column holds what is no number" in told.stderr


def test_a_fifo_is_not_waited_for(place: Path) -> None:
    """It is no file."""
    os.mkfifo(place / "history.sqlite3")

    told = chaoskit("history", "--history", str(place))

    assert told.returncode == 2
    assert "is not a regular file" in told.stderr


def test_a_link_is_followed_and_a_broken_one_refused(one: Path, place: Path) -> None:
    """A link to a history is that history; one to nothing would be a file in a place that nobody named."""
    (place / "other").mkdir()
    (place / "other" / "history.sqlite3").symlink_to(one)
    (place / "broken.sqlite3").symlink_to(place / "nothing")

    add(place / "other" / "history.sqlite3", results_in(run_of(place / "second", 2)))

    assert rows(one)[0] == 2
    with pytest.raises(RefusedError, match="symbolic link to nothing"), writing(place / "broken.sqlite3"):
        pass
    assert not (place / "nothing").exists()


def test_a_locked_file_is_waited_for_and_told(one: Path, place: Path) -> None:
    """After a bounded time, in one sentence; reading works meanwhile."""
    run = run_of(place / "second", 2)
    with closing(sqlite3.connect(one, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        told = chaoskit("history", "add", str(run), "--history", str(one), before=QUICK)
        shown = chaoskit("history", "--history", str(one), before=QUICK)

    assert told.returncode == 3
    assert "another program has had it locked" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert shown.returncode == 0


def test_a_full_disk_leaves_nothing_half_written(place: Path) -> None:
    """The runs that were there are still there, whole, and one sentence says so."""
    path = place / "history.sqlite3"
    runs = runs_of(place, [100, 101, 102, 103, 104, 105])
    add(path, results_in(Path(runs[0])))
    before, size = rows(path), path.stat().st_size
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"

    told = chaoskit("history", "add", *runs[1:], "--history", str(path), before=full)

    assert told.returncode == 3
    assert "the disk is full or cannot be written; free some space" in told.stderr
    assert rows(path) == before


def test_a_writer_that_is_killed_leaves_no_half_run(one: Path, place: Path) -> None:
    """kill -9 between two rows: the next one finds what was there before."""
    before = rows(one)
    writer = (
        "import sys, pathlib, os, signal\n"
        "from chaoskit.history.file import writing\n"
        "from chaoskit.history.sql_tables import RUNS\n"
        f"with writing(pathlib.Path({str(one)!r})) as connection:\n"
        "    connection.execute('PRAGMA cache_size = 1')\n"
        "    row = list(connection.execute('SELECT * FROM runs').fetchone())\n"
        "    for number in range(3000):\n"
        "        connection.execute(RUNS.insertion, [f'{number}', *row[1:]])\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = subprocess.run([sys.executable, "-c", writer], check=False)

    assert ended.returncode == -signal.SIGKILL
    assert one.with_name("history.sqlite3-journal").exists()
    add(one, results_in(run_of(place / "second", 2)))
    assert rows(one)[0] == before[0] + 1


def test_two_commands_write_at_once(place: Path) -> None:
    """Four processes with three runs each, begun together on a file that is not there yet: every run is in it."""
    lists = [runs_of(place / str(writer), [100.0 + writer + 10 * day for day in range(3)]) for writer in range(4)]

    words = [[sys.executable, "-m", "chaoskit", "history", "add", *each, "--history", str(place)] for each in lists]
    writers = [subprocess.Popen(each, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for each in words]
    said = [(*writer.communicate(timeout=120), writer.returncode) for writer in writers]

    assert [code for _, _, code in said] == [0] * 4, said
    assert rows(place / "history.sqlite3")[0] == 12


def test_a_history_that_cannot_be_written_is_shown(one: Path) -> None:
    """From a read-only folder, by somebody else."""
    second = run_of(one.parent / "second", 2)
    one.chmod(0o444)
    one.parent.chmod(0o555)
    other = "import os; os.setgroups([]); os.setuid(65534)" if ROOT else ""

    shown = chaoskit("history", "--history", str(one), before=other)
    added = chaoskit("history", "add", str(second), "--history", str(one), before=other)
    one.parent.chmod(0o755)

    assert (shown.returncode, added.returncode) == (0, 3)
    assert "made-by-hand" in shown.stdout
    assert len(added.stderr.splitlines()) == 1


@pytest.mark.skipif(not ROOT, reason="whom root trusts is asked of root alone")
@pytest.mark.parametrize("which", ["file", "directory", "owner"])
def test_root_writes_nothing_that_others_can_change(one: Path, which: str) -> None:
    """The sentence names what can be changed, and how to end that; the file stays as it is."""
    match which:
        case "file":
            one.chmod(0o666)
        case "directory":
            one.parent.chmod(0o777)
        case _:
            os.chown(one, 65534, 65534)
    before = one.read_bytes()

    told = chaoskit("history", "add", str(one.parent / "run"), "--history", str(one))

    assert told.returncode == 3
    assert "so chaoskit does not write" in told.stderr
    assert one.read_bytes() == before


def test_rows_match_the_result(one: Path, place: Path) -> None:
    """The objectives' numbers, and every metric of every phase, are those of result.json."""
    result = analyse(place / "run")
    with closing(sqlite3.connect(one)) as connection:
        connection.row_factory = sqlite3.Row
        objectives = connection.execute("SELECT * FROM objectives ORDER BY number").fetchall()
        metrics = {(row["phase"], row["metric"]): row for row in connection.execute("SELECT * FROM metrics")}
        phases = connection.execute("SELECT phase FROM phases ORDER BY number").fetchall()

    for row, each in zip(objectives, result.objectives, strict=True):
        assert (row["value"], row["low"], row["high"]) == (each.observed.value, each.observed.low, each.observed.high)
        assert (row["text"], row["verdict"], row["n"]) == (each.text, each.verdict, each.streams)
    for phase in result.phases:
        assert metrics[phase.name, "ttft_p95"]["value"] == phase.metrics.ttft.p95_ms
        assert metrics[phase.name, "interruption_rate"]["value"] == phase.metrics.interruption_rate.value
    assert metrics["wifi", "ttft_p50"]["low"] == result.objectives[0].observed.low
    assert [each["phase"] for each in phases] == [each.name for each in result.phases]


def test_the_origin_is_in_the_records(place: Path) -> None:
    """When it began, in UTC, what was asked, and at which commit."""
    found = origin(run_of(place / "run", 3))

    assert found.started == "2026-11-03T09:00:00Z"
    assert found.commit == f"{3:040x}"
    assert found.is_dirty is False


def test_a_run_is_of_the_commit_it_was_made_at(place: Path) -> None:
    """A command that goes on after a checkout of another commit adds the runs from before as they were."""
    run = run_of(place / "run", 3)

    before = origin(run, Revision("d" * 40, "later", True))
    same = origin(run, Revision(f"{3:040x}", "main", True))

    assert (before.commit, before.branch, before.is_dirty) == (f"{3:040x}", None, False)
    assert (same.commit, same.branch, same.is_dirty) == (f"{3:040x}", "main", True)


def test_waiting_is_bounded() -> None:
    """Some seconds, not minutes."""
    assert 1 < file.WAIT <= 30
