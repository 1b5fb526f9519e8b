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
from pathlib import PurePath
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from chaoskit.errors import RefusedError, SpecError

if TYPE_CHECKING:  # the table is a part of the help
    from chaoskit.report.formats.source import Source
    from chaoskit.report.formats.table_files import TableFormat


@dataclass(frozen=True)
class Format:
    """How a format is written. `file` is its name in a run directory, `help` one line about it.

    `library` is a module that it needs, and the extra that has it: `("pyarrow", "tables")`. Only a format that
    `shows_running` is written of a run that has not ended. One that `has_tables` is a folder of files, or an archive of
    them; `file` is the folder, and its module's `FORMAT` says how one table is written.
    """

    module: str
    file: str
    help: str
    holds_several: bool = False
    is_text: bool = True
    library: tuple[str, str] | None = None
    shows_running: bool = False
    has_tables: bool = False


FORMATS: dict[str, Format] = {
    "console": Format(
        "console_text",
        "report.txt",
        "what a terminal shows; in a file as plain text",
        holds_several=True,
        shows_running=True,
    ),
    "html": Format(
        "html_page", "report.html", "one page for a browser, with pictures; it loads nothing", shows_running=True
    ),
    "json": Format("json_document", "report.json", "everything, as in result.json; of several runs a list", True),
    "markdown": Format("markdown", "report.md", "for a pull request and a step's summary, below 1 MiB", True),
    "junit": Format("junit", "junit.xml", "a case for each objective, for Jenkins, GitLab and others", True),
    "openmetrics": Format("openmetrics", "metrics.txt", "numbers and verdicts for Prometheus and GitLab", True),
    "prometheus": Format(
        "prometheus_text", "metrics.prom", "the same for node_exporter's textfile collector and Pushgateway", True
    ),
    "github": Format("github", "annotations.txt", "annotations of a pull request, for the log of a step", True),
    "gitlab": Format("gitlab", "gl-code-quality-report.json", "the same for a merge request: Code Quality", True),
    "otlp": Format("otlp", "metrics.otlp.json", "histograms with OpenTelemetry's GenAI names, for a collector", True),
    "chaostoolkit": Format("chaostoolkit_journal", "chaostoolkit.json", "a journal of Chaos Toolkit"),
    "csv": Format(
        "csv_tables",
        "tables-csv",
        "tables of streams, tokens, stalls, phases, TCP, queues and hops: a file for each",
        holds_several=True,
        is_text=False,
        has_tables=True,
    ),
    "parquet": Format(
        "parquet_tables",
        "tables-parquet",
        "the same tables with types and units, for pandas, DuckDB, Polars",
        holds_several=True,
        is_text=False,
        library=("pyarrow", "tables"),
        has_tables=True,
    ),
    "perfetto": Format(
        "perfetto",
        "trace.json.gz",
        "every token, stall, phase and TCP sample in time, for ui.perfetto.dev and chrome://tracing",
        is_text=False,
    ),
    "png": Format(
        "png_plots", "plots.png", "the main plots as a picture", is_text=False, library=("matplotlib", "plots")
    ),
    "svg": Format("svg_plots", "plots.svg", "the same as a drawing", is_text=False, library=("matplotlib", "plots")),
}


_TEXTS = {".txt", ".log"}
_PICTURES = {".pdf", ".jpg", ".jpeg", ".gif", ".webp"}
_OTHER_NAMES = {
    "md": "markdown",
    "summary": "markdown",
    "xml": "junit",
    "prom": "prometheus",
    "textfile": "prometheus",
    "pushgateway": "prometheus",
    "metrics": "openmetrics",
    "text": "console",
    "txt": "console",
    "terminal": "console",
    "annotations": "github",
    "codequality": "gitlab",
    "opentelemetry": "otlp",
    "otel": "otlp",
    "trace": "perfetto",
    "chrome": "perfetto",
    "plot": "png",
    "pandas": "parquet",
}
"""What else people call them."""


class _Writer(Protocol):
    FORMAT: TableFormat

    def write(self, source: Source, file: BinaryIO) -> None:
        """Write the report of one run."""

    def write_all(self, sources: Sequence[Source], file: BinaryIO) -> None:
        """Write the report of several runs."""


def chosen(names: Iterable[str], known: Iterable[str] = FORMATS) -> tuple[str, ...]:
    """The formats of these names, each once. `known`: those that are told where one does not exist.

    Raises SpecError for one that does not exist, and RefusedError for one whose library is not installed.
    """
    found = dict.fromkeys(map(str.strip, names))
    for name in found:
        row = FORMATS.get(name)
        if row is None:
            meant = {each: each for each in known}
            meant |= {other: each for other, each in _OTHER_NAMES.items() if each in meant}
            near = get_close_matches(name.lower(), meant, n=1, cutoff=0.6)
            advice = f"did you mean {meant[near[0]]}?" if near else f"there are {', '.join(known)}"
            raise SpecError(f"{name!r} is no format of a report; {advice}")
        if row.library is not None and find_spec(row.library[0]) is None:
            raise RefusedError(f"{name} needs {row.library[0]}: pip install 'chaoskit[{row.library[1]}]'")
    return tuple(found)


def write(name: str, sources: Sequence[Source], file: BinaryIO) -> None:
    """Write these runs in this format. Raises SpecError for damaged records, and OSError."""
    if FORMATS[name].holds_several:
        _writer(name).write_all(sources, file)
    else:
        (source,) = sources
        _writer(name).write(source, file)


def format_of(file: str) -> str:
    """The format of a file of this name: markdown for `a.md`. Without an ending: console.

    Raises SpecError for an ending that no format has.
    """
    path = PurePath(file)
    found = [name for name, row in FORMATS.items() if path.name == row.file]
    found += sorted((name for name in FORMATS if file.endswith(_ending(name))), key=lambda name: -len(_ending(name)))
    if not found and path.suffix and path.suffix not in _TEXTS:
        raise SpecError(f"{file}: no format of a report ends with {path.suffix}; give one with --format NAME")
    return found[0] if found else "console"


def require_ending(name: str, file: PurePath) -> None:
    """Raises SpecError where a file of this format has the ending of another one."""
    own = PurePath(f"x{_ending(name)}").suffix
    others = {PurePath(f"x{_ending(other)}").suffix for other in FORMATS} | _PICTURES
    if file.suffix in others - _TEXTS - {own}:
        better = f"{file.with_suffix('')}{_ending(name)}"
        raise SpecError(f"{file} would hold {name}; write -o {better}, or another --format")


def _ending(name: str) -> str:
    row = FORMATS[name]
    return f".{name}" if row.has_tables else "".join(PurePath(row.file).suffixes)


def table_format(name: str) -> TableFormat:
    """How this format, which has tables, writes one."""
    return _writer(name).FORMAT


def _writer(name: str) -> _Writer:
    return cast("_Writer", import_module(f"{__name__}.{FORMATS[name].module}"))
