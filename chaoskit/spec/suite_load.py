"""Loads a suite file, and every experiment that it names, with file and line in every error.

Rules: a path is relative to the suite file; a pattern passes over suite files, and must match an experiment; two runs
never have the same name. Nothing here runs a command or looks at the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.seed import source
from chaoskit.spec.load import (
    EXPERIMENT,
    Document,
    DocumentKind,
    Location,
    display_name,
    is_suite,
    parse_document,
    read_text,
)
from chaoskit.spec.matrix import Variants
from chaoskit.spec.misnamed_files import meant_instead
from chaoskit.spec.suite import Entry, Expectation, Suite, SuiteCommand
from chaoskit.spec.suite_values import load_with_values
from chaoskit.units import Duration

SUITE = DocumentKind("a suite", "name: and experiments:", "see chaoskit schema --suite")
_MOST = 1000  # files that a pattern may match, and runs of a suite
_PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class SuiteRun:
    """One run of a suite: the file, all its variants, and the one that is run; None: the file as it is.

    `length` is the time of its timeline, or the longest one of a run until all is decided.
    """

    name: str
    file: Path
    variants: Variants
    variant: str | None
    overrides: Mapping[str, Any]
    expect: Expectation
    until_decided: Duration | None
    owner: str
    hypothesis: str
    question: str
    before: tuple[SuiteCommand, ...]
    after: tuple[SuiteCommand, ...]

    @property
    def length(self) -> Duration:
        """The planned time of all its phases."""
        chosen = self.variants.each if self.variant is None else (self.variants.named(self.variant),)
        if self.until_decided is not None:
            return Duration(self.until_decided * len(chosen))
        each = (one.experiment for one in chosen)
        return Duration(sum(one.repeats * sum(span.length for span in one.timeline) for one in each))


@dataclass(frozen=True)
class LoadedSuite:
    """A suite file and its runs in the order in which they begin. `fingerprint`: of its text and its experiments'."""

    file: Path
    suite: Suite
    runs: tuple[SuiteRun, ...]
    fingerprint: str

    def only(self, names: list[str]) -> tuple[SuiteRun, ...]:
        """The runs of these names; all without names. Raises SpecError."""
        known = [run.name for run in self.runs]
        for name in names:
            if name not in known:
                raise SpecError(f"--only: {name!r} is no run of {self.file}; {suggestion(name, known)}")
        return tuple(run for run in self.runs if not names or run.name in names)


def load_suite(path: Path) -> LoadedSuite:
    """The suite in this file. Raises SpecError with one line for each error found."""
    text = read_text(path, SUITE)
    document = parse_document(text, display_name(path), SUITE)
    if "timeline" in document.words and not is_suite(document.words):
        raise SpecError(f"{path} is an experiment, and a suite is expected: chaoskit run {path}")
    with document.every_error():
        suite = document.read_as(Suite)
        runs = _runs(document, suite, path)
    fingerprint = hashlib.sha256(repr([text, *((run.name, run.variants.text) for run in runs)]).encode()).hexdigest()
    if suite.order == "shuffled":
        source(suite.seed, "order").shuffle(runs)
    return LoadedSuite(path, suite, tuple(runs), fingerprint)


def is_suite_file(path: Path) -> bool:
    """Whether this file is a suite; not one that cannot be read, nor standard input, which is read once."""
    if str(path) == "-":
        return False
    try:
        return is_suite(parse_document(read_text(path, EXPERIMENT), display_name(path), EXPERIMENT).words)
    except SpecError:
        return False


def _runs(document: Document, suite: Suite, path: Path) -> list[SuiteRun]:
    found: dict[str, tuple[SuiteRun, int]] = {}
    errors: list[str] = []
    for number, entry in enumerate(suite.experiments):
        where = ("experiments", number)
        try:
            for run in _of_entry(document, where, entry, path, suite.owner or ""):
                if run.name in found:
                    other, first = found[run.name]
                    raise document.error_at(
                        f"two runs are called {run.name}: {run.file} and, in experiments.{first}, {other.file}; "
                        "give this one another name",
                        where,
                    )
                found[run.name] = run, number
        except SpecError as error:
            errors += str(error).splitlines()
    if errors:
        raise SpecError("\n".join(errors))
    return [run for run, _ in found.values()]


def _of_entry(document: Document, where: Location, entry: Entry, path: Path, owner: str) -> Iterator[SuiteRun]:
    files = _files(document, where, entry, path)
    if entry.name is not None and len(files) > 1:
        raise document.error_at(f"would name {len(files)} files alike; write an entry for each", (*where, "name"))
    for file in files:
        loaded = load_with_values(document, (*where, "set"), file, entry.set_)
        if entry.expect == "broken" and not _has_objectives(loaded):
            sentence = f"{file} has no objectives, and so cannot be broken; write objectives: there, or remove expect"
            raise document.error_at(sentence, (*where, "expect"))
        first = loaded.each[0].experiment
        name = entry.name or first.name
        for variant in entry.variants or (None,):
            if variant is not None:
                _check_variant(document, (*where, "variants"), loaded, variant)
            yield SuiteRun(
                name=name if variant is None else f"{name}.{variant}",
                file=file,
                variants=loaded,
                variant=variant,
                overrides=entry.set_,
                expect=entry.expect,
                until_decided=entry.until_decided,
                owner=entry.owner or owner,
                hypothesis=entry.hypothesis or "",
                question=first.question,
                before=entry.before,
                after=entry.after,
            )


def _has_objectives(loaded: Variants) -> bool:
    return any(
        each.experiment.objectives or any(other.objectives for other in each.experiment.workloads.values())
        for each in loaded.each
    )


def _check_variant(document: Document, where: Location, loaded: Variants, variant: str) -> None:
    try:
        loaded.named(variant)
    except SpecError as error:
        raise document.error_at(str(error).removeprefix("--variant: "), where) from None


def _files(document: Document, where: Location, entry: Entry, path: Path) -> list[Path]:
    """The experiment files that an entry names, sorted. Raises SpecError."""
    place = (*where, "file") if document.has((*where, "file")) else where
    folder = path.parent
    if not _PATTERN & set(entry.file):
        file = folder / entry.file
        if not file.is_file():
            raise document.error_at(f"{file} does not exist; {meant_instead(file)}", place)
        if is_suite_file(file):
            raise document.error_at(f"{file} is a suite, and a suite holds experiments only; name those", place)
        return [file]
    try:
        matched = sorted(each for each in islice(_matches(folder, entry.file), _MOST + 1) if each.is_file())
    except (ValueError, OSError, NotImplementedError, IndexError) as error:
        raise document.error_at(f"{entry.file!r} is no pattern of files: {error}", place) from None
    if len(matched) > _MOST:
        raise document.error_at(f"{entry.file!r} matches more than {_MOST} files; write a narrower one", place)
    found = [each for each in matched if each.suffix in (".yaml", ".yml") and not is_suite_file(each)]
    if not found:
        raise document.error_at(f"{entry.file!r} matches no experiment file in {folder.absolute()}", place)
    return found


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    """The files that match; an absolute pattern begins at the root."""
    return Path("/").glob(pattern.lstrip("/")) if pattern.startswith("/") else folder.glob(pattern)
