"""Defines the options of a run, creates its directory, and writes its result there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaoskit.analysis.result import Result
from chaoskit.clock import date_in_name
from chaoskit.conduct.provenance import collect
from chaoskit.errors import RefusedError
from chaoskit.history.adding import History
from chaoskit.records.directory import create, create_next, kept_records
from chaoskit.report.result_json import write_result
from chaoskit.spec.matrix import Variants
from chaoskit.substrate.selection import SubstrateOptions
from chaoskit.terminal import complain
from chaoskit.units import Duration


@dataclass(frozen=True)
class RunOptions:
    """Options of a run beside the file. `is_verified`: every run is done twice and compared.

    `is_named`: the directory was given, and must be new or empty. One that was not gets a number if it exists.
    `provenance` is what the run is made with: the content of `provenance.json`. With `max_time` a run ends when its
    objectives are decided, or after it. `reports` are the formats to write into the directory. Each
    result is added to the `history`, if there is one.
    """

    substrate: SubstrateOptions
    directory: Path
    is_named: bool
    is_verified: bool
    provenance: str
    max_time: Duration | None = None
    reports: tuple[str, ...] = ()
    history: History | None = None

    @classmethod
    def of(
        cls,
        loaded: Variants,
        substrate: SubstrateOptions,
        out: Path | None,
        max_time: Duration | None = None,
        is_verified: bool = False,
        reports: tuple[str, ...] = (),
        history: Path | None = None,
    ) -> RunOptions:
        """Those of a run of this file, in `out` or in runs/NAME-TIME; `history` is a file or its directory.

        Raises SpecError and RefusedError where that cannot be written.
        """
        directory = out or Path("runs") / f"{loaded.each[0].experiment.name}-{date_in_name()}"
        made_with = collect(loaded.file, loaded.text)
        kept = History.opened(history, Path(loaded.file)) if history is not None else None
        return cls(substrate, directory, out is not None, is_verified, made_with, max_time, reports, kept)

    @property
    def words(self) -> tuple[str, ...]:
        """The same of one run as words of a command line, without its directory, reports and history."""
        until = () if self.max_time is None else ("--until-decided", "--max-time", str(self.max_time))
        return (*self.substrate.words, *until, *(("--verify-repeatable",) if self.is_verified else ()))

    def create(self, files: dict[str, str]) -> Path:
        """Create the directory with these files. Raises RefusedError."""
        return (create if self.is_named else create_next)(self.directory, files)

    def keep(self, result: Result, directory: Path) -> None:
        """Write result.json, and a row of the history if there is one."""
        save(result, directory)
        if self.history is not None:
            self.history.keep(result, directory)

    def tell_history(self) -> None:
        """Say where the results were added, once all runs have ended."""
        if self.history is not None:
            self.history.tell()


def save(result: Result, directory: Path) -> None:
    """Write result.json. A verdict that was computed counts without it, too: it can be computed again."""
    try:
        write_result(result, directory)
    except RefusedError as error:
        complain(str(error))


@contextmanager
def names_records(directory: Path) -> Iterator[None]:
    """A Ctrl-C inside says where the records are."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept_records(directory)) from None
