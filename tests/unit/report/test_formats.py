"""Every format of the registry: what a server said is never obeyed, and every kind of run has a report."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made_runs import Made, plan

from chaoskit.errors import RefusedError, SpecError
from chaoskit.report.formats import FORMATS, chosen, format_of, require_ending, write
from chaoskit.report.formats.source import Source, load

MATRIX = """\
name: prompt-sizes
question: Do the sizes matter?
stage: {lab: edge}
workload: {request-rate: 10/s, output-tokens: 5}
faults: {wifi: {link: client-router, direction: down, netem: {delay: 30ms}}}
timeline: [{baseline: 10s}, {wifi: 10s}, {recovery: 10s}]
objectives: [ttft_p95 < 150ms during wifi]
matrix: {faults.wifi.netem.delay: [30ms, 60ms, 90ms]}
"""


def made(run: Path, *objectives: str) -> Path:
    """A run directory."""
    return Made(plan(objectives)).phases().many(0, 30_000, 100).counters("wifi", 900, 100, 10_000, 20_000).write(run)


def made_matrix(top: Path) -> Path:
    """The folder of a matrix: one variant met its objective, one has damaged records, one was not run."""
    top.mkdir()
    (top / "experiment.yaml").write_text(MATRIX)
    made(top / "delay=30ms", "ttft_p95 < 150ms during wifi")
    made(top / "delay=60ms")
    (top / "delay=60ms" / "requests.jsonl").write_text("[]\n")
    return top


def written(name: str, sources: Sequence[Source]) -> bytes:
    """What this format writes."""
    file = io.BytesIO()
    write(name, sources, file)
    return file.getvalue()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Source]:
    """One run of each kind."""
    top = tmp_path_factory.mktemp("kinds")
    Made(plan(["ttft_p95 < 150ms during wifi"]), outcome=None).phases().write(top / "killed")
    Made(None).many(0, 3000, 100).write(top / "probe")
    made(top / "met", "ttft_p95 < 1s")
    made(top / "broken", "ttft_p95 < 1ms during wifi")
    made_matrix(top / "matrix")
    return {name: load(top / name) for name in ("killed", "probe", "met", "broken", "matrix")}


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("png", "svg")])  # slow: see test_plots
def test_no_reader_obeys_what_a_server_said(name: str, hostile: Source) -> None:
    """A text format has valid UTF-8 without any sign that a terminal would obey or hide; its size stays bounded.

    What else its reader would interpret is tested with the format.
    """
    document = written(name, [hostile])

    assert 0 < len(document) < 8 << 20
    if FORMATS[name].is_text:
        said = document.decode()
        assert not {sign for sign in set(said) - {"\n", " "} if unicodedata.category(sign)[0] in "CZ"}
        ours = r"^::(error|warning|notice) file=[^:]*::" if name == "github" else r"(?!)"  # its purpose is commands
        commands = re.findall(r"^\s*::\w+.*::|##\w*\[", re.sub(ours, "", said, flags=re.MULTILINE), re.MULTILINE)
        assert not commands


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_run_has_a_report(name: str, kinds: dict[str, Source]) -> None:
    """One that was killed, one without an experiment, a matrix with a damaged variant and one that was not run."""
    documents = [written(name, [kind]) for kind in kinds.values()]

    assert all(documents)
    # two runs that differ in their objective have the same tables, and of what is met there is nothing to annotate
    alike = FORMATS[name].has_tables or name == "gitlab"
    assert len(set(documents)) == len(documents) - alike


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.holds_several])
def test_several_runs_fit_in_one_document(name: str, kinds: dict[str, Source]) -> None:
    """Runs, and a matrix."""
    assert len(written(name, [*kinds.values()])) > max(len(written(name, [kind])) for kind in kinds.values())


def test_the_tables_of_a_run_are_read_once(kinds: dict[str, Source]) -> None:
    """For all formats that are written of it."""
    (whole,) = [source for source in kinds.values() if len(source.runs) == 1][:1]

    assert whole.runs[0].tables is whole.runs[0].tables


def test_every_file_of_a_run_directory_has_its_own_name() -> None:
    """No report of one format replaces another's, nor a file of the run."""
    names = [row.file for row in FORMATS.values()]

    assert len(set(names)) == len(names)
    assert not {"result.json", "plan.json", "experiment.yaml", "outcome.json"} & set(names)


def test_a_format_that_does_not_exist() -> None:
    """The nearest one is named; without a near one, all."""
    with pytest.raises(SpecError, match="did you mean json"):
        chosen(["console", "jsn"])
    with pytest.raises(SpecError, match="there are console, html, json"):
        chosen(["qqqqqq"])


def test_a_library_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What to type is said before anything is done."""
    monkeypatch.setitem(FORMATS, "made", replace(FORMATS["json"], library=("no_such_library", "tables")))

    with pytest.raises(RefusedError, match=r"made needs no_such_library: pip install 'chaoskit\[tables\]'"):
        chosen(["made"])


def test_how_to_repeat(tmp_path: Path) -> None:
    """The command names a file that can be run."""
    run = made(tmp_path / "run")
    (run / "experiment.yaml").write_text("name: x\n")

    source = load(run)

    assert source.command == f"chaoskit run {run}/experiment.yaml"
    assert source.experiment_text == "name: x\n"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.md", "markdown"),
        ("report.xml", "junit"),
        ("a.json", "json"),
        ("a.otlp.json", "otlp"),
        ("a.json.gz", "perfetto"),
        ("chaoskit.prom", "prometheus"),
        ("streams.csv", "csv"),
        ("a.txt", "console"),
        ("Makefile", "console"),
        ("-", "console"),
        ("build/metrics.txt", "openmetrics"),
        ("gl-code-quality-report.json", "gitlab"),
    ],
)
def test_a_file_is_of_the_format_of_its_ending(file: str, name: str) -> None:
    """The longest ending that fits; a format's own file name before that."""
    assert format_of(file) == name


@pytest.mark.parametrize("file", ["x.pdf", "x.tar", "x.docx"])
def test_an_ending_that_no_format_has(file: str) -> None:
    """It is asked for a format, and does not become a text."""
    with pytest.raises(SpecError, match=f"{file}: no format of a report ends with"):
        format_of(file)


@pytest.mark.parametrize(
    ("name", "file", "advice"),
    [
        ("png", "x.svg", "x.png"),
        ("png", "x.jpg", "x.png"),
        ("html", "x.json", "x.html"),
        ("perfetto", "x.json", "x.json.gz"),
    ],
)
def test_a_file_with_the_ending_of_another_format_is_refused(name: str, file: str, advice: str) -> None:
    """With one that fits."""
    with pytest.raises(SpecError, match=f"would hold {name}; write -o {advice}"):
        require_ending(name, Path(file))


@pytest.mark.parametrize(
    ("name", "file"), [("gitlab", "a.json"), ("github", "a.txt"), ("markdown", "summary"), ("otlp", "a.json")]
)
def test_a_file_may_have_any_name_of_its_kind(name: str, file: str) -> None:
    """Or none."""
    require_ending(name, Path(file))


@pytest.mark.parametrize(("word", "name"), [("md", "markdown"), ("xml", "junit"), ("otel", "otlp"), ("Junit", "junit")])
def test_another_name_is_understood(word: str, name: str) -> None:
    """It is advised, not taken."""
    with pytest.raises(SpecError, match=f"did you mean {name}"):
        chosen([word])
