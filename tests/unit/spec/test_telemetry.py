"""The key `telemetry` of experiment files."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.records.spans import Span
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import parse
from chaoskit.telemetry.endpoint import address
from chaoskit.telemetry.exported_span import ExportedSpan, Value
from chaoskit.telemetry.mapping import to_span

TARGET = "{target: 'http://127.0.0.1:8000/v1/chat/completions', interface: lo}"
SERVICE = "{lab: service, hosts: {app: {run: ./app}}, target: 'http://app:8000/v1/chat/completions'}"


def experiment(telemetry: str, stage: str = SERVICE) -> Experiment:
    """One with these words."""
    head = f"name: x\nquestion: What?\nstage: {stage}\nworkload: {{request-rate: 1/s}}\ntimeline: [{{baseline: 2s}}]\n"
    return parse(f"{head}telemetry: {telemetry}\n", "x.yaml")


def mapped(found: Experiment, name: str, **attributes: Value) -> Span:
    """A span with this name as the file maps it."""
    assert found.telemetry is not None
    exported = ExportedSpan("1" * 32, "1" * 16, None, "", name, 1, 2, attributes=attributes)
    return to_span(exported, "app", 0, found.telemetry.map.mapping)


def test_a_mapping_is_read() -> None:
    """One pattern or a list, by name or attribute; with outcomes and fallbacks of retrievals, and called hosts."""
    outcomes = "outcome: {miss: hits=0}, fallback: {cache: from=cache}"
    found = experiment(f"{{map: {{retrieval: ['search *', kind=rag], tool: call, {outcomes}, calls: {{app: call}}}}}}")

    search, call, by_kind = mapped(found, "search docs", hits=0), mapped(found, "call"), mapped(found, "x", kind="rag")

    assert (search.operation, search.attributes) == ("retrieval", {"chaoskit.retrieval.outcome": "miss"})
    assert (call.operation, by_kind.operation) == ("tool", "retrieval")
    assert call.attributes == {"server.address": "app"}
    assert mapped(experiment("{map: {tool: call, calls: {shop: call}}}", TARGET), "call").attributes == {
        "server.address": "shop"
    }
    assert mapped(found, "x", kind="rag", **{"from": "cache"}).attributes == {"chaoskit.retrieval.fallback": "cache"}


@pytest.mark.parametrize(
    ("listen", "parts"),
    [("127.0.0.1:4318", ("127.0.0.1", 4318)), ("'[::1]:9'", ("::1", 9)), ("0.0.0.0:80", ("0.0.0.0", 80))],
)
def test_a_target_exports_to_an_address(listen: str, parts: tuple[str, int]) -> None:
    """Of this machine, with a port."""
    found = experiment(f"{{listen: {listen}}}", TARGET)

    assert found.telemetry is not None
    assert address(found.telemetry.listen or "") == parts


@pytest.mark.parametrize(
    ("telemetry", "stage", "sentence"),
    [
        ("{listen: 4318}", TARGET, "write an address of this machine and a port, for example 127.0.0.1:4318"),
        ("{listen: localhost:4318}", TARGET, "write an address of this machine"),
        ("{listen: 127.0.0.300:4318}", TARGET, "127.0.0.300 is no address"),
        ("{listen: 127.0.0.1:99999}", TARGET, "found '127.0.0.1:99999'"),
        ("{listen: 127.0.0.1:4318}", SERVICE, "hosts of a lab export to their own 127.0.0.1:4318; remove listen"),
        ("{}", "{lab: edge}", "exports no spans; remove telemetry"),
        ("{map: {retrieval: []}}", SERVICE, "telemetry.map.retrieval"),
        ("{map: {retrieval: '=x'}}", SERVICE, "expected the name of a span, or ATTRIBUTE=VALUE"),
        ("{map: {retrieval: '*********'}}", SERVICE, "more than 8 times"),
        ("{map: {retreival: x}}", SERVICE, "did you mean retrieval?"),
        ("{map: {outcome: {found: x}}}", SERVICE, "hit"),
        ("{map: {calls: {ap: x}}}", SERVICE, "'ap' is no host of this lab; did you mean app?"),
    ],
)
def test_mistakes_are_told(telemetry: str, stage: str, sentence: str) -> None:
    """Each with what to write instead."""
    with pytest.raises(SpecError) as found:
        experiment(telemetry, stage)

    assert sentence in str(found.value)
