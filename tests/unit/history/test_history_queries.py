"""The queries in docs/history.md work on a history file of real rows, and answer something."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made_history import run_of

from chaoskit.history.adding import add, results_in

PAGE = Path(__file__).parents[3] / "docs" / "history.md"
QUERIES = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of the experiment that the page asks for, with verdicts that flap."""
    place = tmp_path_factory.mktemp("history")
    objectives = ("ttft_p95 < 140ms during wifi",)
    for day, ttft in enumerate((100, 150, 101), 1):
        run = run_of(place / str(day), day, ttft, commit="a" * 40, objectives=objectives, every=50)
        plan = run / "plan.json"
        plan.write_text(plan.read_text().replace('"made-by-hand"', '"release-gate"'))
        add(place / "history.sqlite3", results_in(run))
    return place / "history.sqlite3"


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_in_the_page_answers(history: Path, query: str) -> None:
    """With rows, none of whose columns is empty everywhere."""
    with closing(sqlite3.connect(history)) as connection:
        rows = connection.execute(query).fetchall()

    assert rows
    assert all(any(row[at] is not None for row in rows) for at in range(len(rows[0])) if "git_branch" not in query)


def test_the_page_has_queries() -> None:
    """Half a dozen."""
    assert len(QUERIES) >= 6
