"""Run directories: creation, outcome, and comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.records.directory import OUTCOME, conclude, create, first_difference


def outcome(run: Path) -> dict[str, str]:
    """The recorded outcome."""
    return dict(json.loads((run / OUTCOME).read_bytes()))


def test_a_run_is_interrupted_until_it_concludes(tmp_path: Path) -> None:
    """From its creation on a directory has the right outcome for a run that is killed."""
    run = create(tmp_path / "run", {"plan.json": "{}"})

    assert outcome(run)["how"] == "interrupted"
    assert (run / "plan.json").read_text() == "{}"


def test_the_outcome_needs_no_new_disk_space(tmp_path: Path) -> None:
    """The outcome fits into its preallocated block, however long its detail."""
    run = create(tmp_path / "run", {})
    room = (run / OUTCOME).stat().st_size

    conclude(run, "refused", "ü" * 10_000)

    assert (run / OUTCOME).stat().st_size <= room
    assert outcome(run)["how"] == "refused"


def test_a_non_empty_directory_is_refused(tmp_path: Path) -> None:
    """Nothing is written into it."""
    (tmp_path / "file").write_text("mine")

    with pytest.raises(SpecError, match="not empty"):
        create(tmp_path, {"plan.json": "{}"})

    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ({"a.jsonl": "1\n2\n"}, {"a.jsonl": "1\n2\n"}, ""),
        ({"a.jsonl": "1\n2\n"}, {"a.jsonl": "1\n3\n"}, "a.jsonl line 2: '2' and '3'"),
        ({"a.jsonl": "1\n2\n"}, {"a.jsonl": "1\n"}, "a.jsonl line 2: '2' and nothing"),
        ({"a.jsonl": "1\n", "b": "x"}, {"a.jsonl": "1\n"}, "b line 1: 'x' and nothing"),
        ({"guest.log": "1"}, {"guest.log": "2"}, ""),
        (
            {"a.jsonl": "1\n" + "x" * 200 + "1" + "y" * 100, "b": "x"},
            {"a.jsonl": "1\n" + "x" * 200 + "2" + "y" * 100, "b": "y"},
            f"a.jsonl line 2: ...'{'x' * 60}1{'y' * 39}' and ...'{'x' * 60}2{'y' * 39}'; also in b",
        ),
    ],
)
def test_the_first_difference_is_named(one: dict[str, str], other: dict[str, str], says: str, tmp_path: Path) -> None:
    """File, line and both texts; a console's log may differ."""
    for name, files in (("one", one), ("other", other)):
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)

    assert first_difference(tmp_path / "one", tmp_path / "other") == says


def test_a_folder_that_takes_no_directories_is_named() -> None:
    """The kernel calls the new name missing, which says nothing to whoever has typed it."""
    with pytest.raises(RefusedError, match="run directory /proc/x: nothing can be made in /proc; give another --out"):
        create(Path("/proc/x"), {})
