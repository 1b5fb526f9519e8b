"""Spans that chaoskit's own tiers export are the same when they are received."""

from __future__ import annotations

import pytest

from chaoskit.records import span_names as names
from chaoskit.records.spans import OPERATIONS, Operation, Span
from chaoskit.telemetry.mapping import to_span
from chaoskit.telemetry.otlp_json import read_spans
from chaoskit.telemetry.span_export import export_body

OWN = {
    getattr(names, word): "text" if word in ("RETRIEVAL_FALLBACK", "TRAFFIC_CLASS", "TIER_SERVED", "DEGRADED") else 7
    for word in dir(names)
    if word.isupper() and not word.startswith(("LADDER", "ERROR", "HEDGE", "OPERATION", "RETRIEVAL_OUTCOME"))
    if word not in ("WORKFLOW_NAME", "SERVER_ADDRESS", "ADMISSION", "TIER_ASKED")
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_span_comes_back(operation: Operation) -> None:
    """Its identity, its times, its error, what it is for, and all of its attributes but those that name it."""
    told: dict[str, str | int | bool] = OWN | {names.HEDGE: True, names.SERVER_ADDRESS: "model"}
    found = Span("a" * 32, "b" * 16, "c" * 16, "gateway", "x", operation, 10, 30, "503", told)

    (back,) = read_spans(export_body([found], 5 * 10**18)).spans

    back_again = to_span(back, back.service, 5 * 10**18)
    kept = {key: value for key, value in back_again.attributes.items() if key != names.OPERATION_NAME}
    assert kept == told | ({names.RETRIEVAL_OUTCOME: "error"} if operation == "retrieval" else {})
    assert (back_again.trace, back_again.span, back_again.parent) == (found.trace, found.span, found.parent)
    assert (back_again.host, back_again.name, back_again.operation) == ("gateway", "x", operation)
    assert (back_again.begin, back_again.end, back_again.error) == (10, 30, "503")
