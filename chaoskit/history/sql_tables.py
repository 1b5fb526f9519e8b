"""Defines the tables of a history file: the one place that says what each column holds.

Rules: plain tables with a row for each thing and no blob, so that DuckDB, Datasette and Grafana read them as they are;
times are milliseconds, shares lie between 0 and 1, as in `result.json`; a number that is not known is null, and one
that was never reached is null with `never` 1, because JSON and CSV have no infinity. `user_version` is the version of
the tables, `application_id` tells the file from those of other programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

APPLICATION = 0x43484B48
"""`application_id`: CHKH."""
VERSION = 1
"""`user_version`."""


@dataclass(frozen=True)
class Column:
    """A column: its name, its type, and what it holds. `is_required`: it is never null."""

    name: str
    kind: Literal["TEXT", "INTEGER", "REAL"]
    meaning: str
    is_required: bool = False


@dataclass(frozen=True)
class Table:
    """A table: what a row is, its columns, and those that name a row."""

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def statements(self) -> tuple[str, ...]:
        """What creates it. A row of a run is found by its run; a key of three texts would double the file."""
        columns = [f"{each.name} {each.kind}{' NOT NULL' if each.is_required else ''}" for each in self.columns]
        if self.key[0] != "run_id":
            return (f"CREATE TABLE {self.name} ({', '.join([*columns, f'PRIMARY KEY ({self.key[0]})'])})",)
        columns.append("FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE")
        return (
            f"CREATE TABLE {self.name} ({', '.join(columns)})",
            f"CREATE INDEX {self.name}_of_run ON {self.name} (run_id)",
        )

    @property
    def insertion(self) -> str:
        """What adds a row."""
        return f"INSERT INTO {self.name} VALUES ({', '.join('?' * len(self.columns))})"


RUN_ID = Column("run_id", "TEXT", "the run: `id` of `runs`", True)
UNIT = Column("unit", "TEXT", "`ms`, `share` of 1, `per-minute`, `per-second`, `ratio`", True)
NUMBERS = (
    Column("value", "REAL", "the value; null where there is none, or it was never reached"),
    Column("low", "REAL", "the lower end of its 95 % interval; null where it has none"),
    Column("high", "REAL", "the upper end; null where it has none"),
    Column("never", "INTEGER", "1 where the value was never reached: a first token that did not arrive", True),
    Column("n", "INTEGER", "how many streams, or gaps, it is computed from", True),
)
RUNS = Table(
    "runs",
    "a run, one variant of a matrix, or a probe",
    (
        Column("id", "TEXT", "a hash of what the run was and when it began: the same run is one row", True),
        Column("started", "TEXT", "when it began, UTC: `2026-11-29T21:50:00Z`", True),
        Column("added", "TEXT", "when the row was written, UTC", True),
        Column("name", "TEXT", "the name of the experiment; `probe` of a probe", True),
        Column("variant", "TEXT", "the variant of a matrix; empty without one", True),
        Column(
            "experiment",
            "TEXT",
            "SHA-256 of what was asked: the experiment file's keys but name, question and seed; a probe's options",
            True,
        ),
        Column("file", "TEXT", "the experiment file, as it was given"),
        Column("target", "TEXT", "the URL that was measured", True),
        Column("protocol", "TEXT", "the protocol and the HTTP version"),
        Column("model", "TEXT", "the model that was asked for"),
        Column("seed", "INTEGER", "the seed of the run", True),
        Column("clock", "TEXT", "`real` or `virtual`", True),
        Column("kernel", "TEXT", "the kernel that the run was made on", True),
        Column("chaoskit", "TEXT", "the version of chaoskit that made it", True),
        Column("git_commit", "TEXT", "the commit of the experiment file's repository, or that of the CI job"),
        Column("git_branch", "TEXT", "its branch, or that of the CI job"),
        Column("git_dirty", "INTEGER", "1 where the checkout had changes that are in no commit; null: not known"),
        Column("status", "TEXT", "`finished`, `interrupted`, `refused`, `crashed`, `dirty`", True),
        Column("verdict", "TEXT", "`met`, `broken`, `undecided`, or `none` without objectives", True),
        Column("reason", "TEXT", "why, in a sentence", True),
        Column("exit_code", "INTEGER", "the exit code of the run", True),
        Column("seconds", "REAL", "how long it took, by its own clock", True),
        Column("streams", "INTEGER", "streams that were started", True),
        Column("overloaded", "INTEGER", "1 where the client measured itself; such a run is in no trend", True),
        Column("run_directory", "TEXT", "where its records were; empty when they were not kept", True),
    ),
    ("id",),
)
OBJECTIVES = Table(
    "objectives",
    "an objective of a run, with its verdict",
    (
        RUN_ID,
        Column("number", "INTEGER", "its place in the file, from 1", True),
        Column("text", "TEXT", "the objective as it was written", True),
        Column("label", "TEXT", "the same without its bound: `ttft_p95 during wifi`", True),
        Column("metric", "TEXT", "the metric", True),
        Column("phase", "TEXT", "the phase; empty for the whole run", True),
        UNIT,
        Column("bound", "REAL", "the bound, in this unit", True),
        *NUMBERS,
        Column("verdict", "TEXT", "`met`, `broken`, `undecided`", True),
        Column("reason", "TEXT", "why, in a sentence", True),
    ),
    ("run_id", "number"),
)
PHASES = Table(
    "phases",
    "a phase of a run, all its rounds together",
    (
        RUN_ID,
        Column("number", "INTEGER", "its place in the timeline, from 1", True),
        Column("phase", "TEXT", "its name", True),
        Column("faults", "TEXT", "the faults in force, with commas between", True),
        Column("seconds", "REAL", "its length", True),
        Column("streams", "INTEGER", "streams that were started in it", True),
        Column("stalls", "INTEGER", "stalls of its streams", True),
        Column("interrupted", "INTEGER", "streams that were interrupted", True),
    ),
    ("run_id", "number"),
)
METRICS = Table(
    "metrics",
    "a metric in a phase, or in the whole run",
    (
        RUN_ID,
        Column("phase", "TEXT", "the phase; empty for the whole run without its warm-up", True),
        Column("metric", "TEXT", "the metric, as objectives call it: `ttft_p95`", True),
        UNIT,
        *NUMBERS,
    ),
    ("run_id", "phase", "metric"),
)
TABLES = (RUNS, OBJECTIVES, PHASES, METRICS)
