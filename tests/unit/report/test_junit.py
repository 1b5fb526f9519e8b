"""JUnit XML: undecided is never passed, and what Jenkins and GitLab read is there.

`CONTENT` is what their readers know: the schema of Jenkins' xUnit plugin (junit-10.xsd), and GitLab's table of parsed
elements, of which a case is told from others by its class name and its name.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite
from made_runs import Made, plan

from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.report.formats import write
from chaoskit.report.formats.source import Source, load, of


@dataclass(frozen=True)
class Known:
    """What an element may have, and must have."""

    required: set[str]
    optional: set[str]
    children: set[str]


OUTCOME = Known(set(), {"type", "message"}, set())
CONTENT = {
    "testsuites": Known(set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": Known(
        {"name", "tests", "failures", "errors"},
        {"skipped", "time", "timestamp", "hostname", "id", "package", "file", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "properties": Known(set(), set(), {"property"}),
    "property": Known({"name", "value"}, set(), set()),
    "testcase": Known({"name", "classname"}, {"time"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    **dict.fromkeys(("skipped", "error", "failure"), OUTCOME),
    "system-out": Known(set(), set(), set()),
}
TIME = re.compile(r"[0-9]+\.[0-9]{3}")


def written(*sources: Source) -> bytes:
    """The document."""
    file = io.BytesIO()
    write("junit", sources, file)
    return file.getvalue()


def check(document: bytes) -> None:
    """Whether it has what readers know, and nothing else."""
    top = Xml.fromstring(document)
    assert top.tag == "testsuites"
    for element in top.iter():
        known = CONTENT[element.tag]
        assert known.required <= set(element.attrib) <= known.required | known.optional
        assert {child.tag for child in element} <= known.children
        assert TIME.fullmatch(element.get("time", "0.000"))
    for suite in top:
        cases = suite.findall("testcase")
        assert int(suite.attrib["tests"]) == len(cases)
        assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
        for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[name]) == len(suite.findall(f"testcase/{kind}"))


def read(*sources: Source) -> list[TestSuite]:
    """The suites, as another program reads them."""
    document = written(*sources)
    check(document)
    return list(JUnitXml.fromstring(document))


def outcomes(suite: TestSuite) -> dict[str, Sequence[object]]:
    """What is told of each case, by its name."""
    return {case.name: case.result for case in suite}


def run(folder: Path, *objectives: str, how: str = "finished", detail: str = "") -> Source:
    """A run of this end."""
    made = Made(plan(objectives), outcome={"how": how, "detail": detail}).phases().many(0, 30_000, 100)
    return load(made.write(folder))


def test_only_what_is_met_has_passed(tmp_path: Path) -> None:
    """Broken is a failure, undecided is skipped, each with its reason; the case of a phase lasts as long as that."""
    source = run(
        tmp_path, "ttft_p50 < 1s during wifi", "ttft_p50 < 1ms during wifi", "ttft_p99 < 1s during wifi", "itl_p50 < 1s"
    )

    (suite,) = read(source)

    told = outcomes(suite)
    assert told["the run ends and everything is restored"] == []
    assert told["ttft_p50 < 1s during wifi"] == []
    (failure,) = told["ttft_p50 < 1ms during wifi"]
    assert isinstance(failure, Failure)
    assert failure.message.startswith("100 ms over 101 streams")
    assert failure.text.startswith("ttft_p50 < 1ms during wifi is broken: 100 ms")
    (skipped,) = told["ttft_p99 < 1s during wifi"]
    assert isinstance(skipped, Skipped)
    assert skipped.message == source.runs[0].result.objectives[2].reason  # type: ignore[union-attr]
    assert {case.classname: case.time for case in suite} == {
        "made-by-hand": 30.08,
        "made-by-hand.wifi": 10.0,
        "made-by-hand.whole run": 30.08,
    }
    properties = {each.name: each.value for each in suite.properties()}  # type: ignore[no-untyped-call]  # it has no type
    assert properties["verdict"] == "broken"
    assert properties["exit-code"] == "1"
    assert properties["headline"].startswith("ttft_p50 < 1ms during wifi is broken")


@pytest.mark.parametrize("how", ["refused", "crashed", "dirty", "interrupted"])
def test_how_a_run_ended_is_an_error(how: str, tmp_path: Path) -> None:
    """And what it had met until then has not passed."""
    (suite,) = read(run(tmp_path, "ttft_p50 < 1s", how=how, detail="no disk"))

    told = outcomes(suite)
    (error,) = told["the run ends and everything is restored"]
    assert isinstance(error, Error)
    assert (error.type, error.message.startswith("after ")) == (how, True)
    assert "no disk" in error.message
    (skipped,) = told["ttft_p50 < 1s"]
    assert isinstance(skipped, Skipped)
    if how == "refused":
        assert skipped.message.endswith(", but the run was stopped before its end")
    else:
        assert skipped.message.startswith("met so far, after ")


def test_a_run_that_measured_nothing(tmp_path: Path) -> None:
    """Without objectives, and without a stream that was complete, it is skipped."""
    (suite,) = read(load(Made(plan()).phases().write(tmp_path)))

    ((skipped,),) = outcomes(suite).values()
    assert isinstance(skipped, Skipped)
    assert skipped.message == "requests.jsonl is missing: no stream can be counted"


def test_a_suite_for_each_variant(tmp_path: Path) -> None:
    """One that was not run is skipped, one that cannot be read is an error."""
    source = run(tmp_path, "ttft_p50 < 1s")
    rows = (
        VariantResult(name="a", values=("1",), result=source.runs[0].result),
        VariantResult(name="b", values=("2",), result=None, is_not_run=True),
        VariantResult(name="c", values=("3",), result=None, error="plan.json is damaged"),
    )
    found = MatrixResult(
        chaoskit="1", name="sizes", question="", status="finished", detail="", axes=("n",), variants=rows
    )

    suites = read(of(tmp_path, found), source)

    assert [suite.name for suite in suites] == ["sizes a", "sizes b", "sizes c", "made-by-hand"]
    assert [(suite.tests, suite.errors, suite.skipped) for suite in suites] == [
        (2, 0, 0),
        (1, 0, 1),
        (1, 1, 0),
        (2, 0, 0),
    ]


def test_a_hostile_run(hostile: Source) -> None:
    """It is well-formed, has the same cases as any, and stays below what GitLab takes."""
    document = written(hostile)

    check(document)
    assert len(document) < 4 << 20
    assert len(Xml.fromstring(document).findall("testsuite/testcase")) == 4
