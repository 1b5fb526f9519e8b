"""The table of report formats, and how one of them is written.

A format is one module here, with `write(source, file)`, or `write_all(sources, file)` where it holds several runs; and
one row in `FORMATS`. The module is imported only when it is used. A format shows a matrix, too (`Source.runs`), and one
function of its own escapes all its text: the docstring of `terminal` says what.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from chaoskit.errors import RefusedError, SpecError

if TYPE_CHECKING:  # the table is a part of the help
    from chaoskit.report.formats.source import Source


@dataclass(frozen=True)
class Format:
    """How a format is written. `file` is its name in a run directory, `help` one line about it.

    `library` is a module that it needs, and the extra that has it: `("pyarrow", "tables")`. Only a format that
    `shows_running` is written of a run that has not ended.
    """

    module: str
    file: str
    help: str
    holds_several: bool = False
    is_text: bool = True
    library: tuple[str, str] | None = None
    shows_running: bool = False


FORMATS: dict[str, Format] = {
    "console": Format(
        "console_text",
        "report.txt",
        "what a terminal shows; in a file as plain text",
        holds_several=True,
        shows_running=True,
    ),
    "json": Format("json_document", "report.json", "everything, as in result.json; of several runs a list", True),
    "markdown": Format("markdown", "report.md", "for a pull request and a step's summary, below 1 MiB", True),
    "junit": Format("junit", "junit.xml", "a case for each objective, for Jenkins, GitLab and others", True),
    "openmetrics": Format("openmetrics", "metrics.txt", "numbers and verdicts for Prometheus and GitLab", True),
    "prometheus": Format(
        "prometheus_text", "metrics.prom", "the same for node_exporter's textfile collector and Pushgateway", True
    ),
}


class _Writer(Protocol):
    def write(self, source: Source, file: BinaryIO) -> None:
        """Write the report of one run."""

    def write_all(self, sources: Sequence[Source], file: BinaryIO) -> None:
        """Write the report of several runs."""


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The formats of these names, each once.

    Raises SpecError for one that does not exist, and RefusedError for one whose library is not installed.
    """
    found = dict.fromkeys(map(str.strip, names))
    for name in found:
        row = FORMATS.get(name)
        if row is None:
            near = get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(FORMATS)}"
            raise SpecError(f"{name!r} is no format of a report; {advice}")
        if row.library is not None and find_spec(row.library[0]) is None:
            raise RefusedError(f"{name} needs {row.library[0]}: pip install 'chaoskit[{row.library[1]}]'")
    return tuple(found)


def write(name: str, sources: Sequence[Source], file: BinaryIO) -> None:
    """Write these runs in this format. Raises SpecError for damaged records, and OSError."""
    row = FORMATS[name]
    writer = cast("_Writer", import_module(f"{__name__}.{row.module}"))
    if row.holds_several:
        writer.write_all(sources, file)
    else:
        (source,) = sources
        writer.write(source, file)
