"""What a result says of a degradation ladder, from the spans of switches and requests."""

from __future__ import annotations

from typing import Any

from chaoskit.analysis.chains.ladder import LadderResult, ladder_result
from chaoskit.records import span_names
from chaoskit.records.model import Request
from chaoskit.records.spans import Span
from chaoskit.tiers.ladder import LadderSettings, Step

S, MS = 10**9, 10**6
SETTINGS = LadderSettings(
    (Step("breadth", 0.6, 0.3, breadth=0.4), Step("concise", 1.0, 0.8, max_tokens=80)), hold=5 * S
)


def switch(at: int, step: str, is_entered: bool, signal: float) -> Span:
    """A switch of the gateway's ladder."""
    attributes: dict[str, Any] = {
        span_names.LADDER_STEP: step,
        span_names.LADDER_SWITCH: "entered" if is_entered else "released",
        span_names.LADDER_SIGNAL: f"{signal:.6g}",
    }
    return Span(f"{at:032x}", f"{at:016x}", None, "gateway", "degradation", "other", at, at, attributes=attributes)


def asked(number: int, at: int, steps: str, told: str | None, ttft: int, prompt: int) -> tuple[Request, list[Span]]:
    """A request and its spans."""
    trace = f"f{number:031x}"
    request = Request(
        number, at, at, at + S, "complete", status=200, first_token=at + ttft * MS, trace=trace, degraded=told
    )
    attributes: dict[str, Any] = {span_names.DEGRADED: steps} if steps else {}
    counts: dict[str, Any] = {span_names.MODEL_PROMPT_TOKENS: prompt, span_names.MODEL_OUTPUT_TOKENS: 100}
    return request, [
        Span(trace, "a" * 16, None, "gateway", "invoke_workflow", "workflow", at, at + S, attributes=attributes),
        Span(trace, "b" * 16, "a" * 16, "model", "chat", "model", at, at + S, attributes=counts),
    ]


def result(switches: list[Span], *requests: tuple[Request, list[Span]]) -> LadderResult:
    """Of these records; the last span ends at 100 s."""
    spans = [*switches, *(span for _, found in requests for span in found)]
    last = Span("e" * 32, "e" * 16, None, "model", "x", "other", 0, 100 * S)
    return ladder_result("gateway", SETTINGS, [request for request, _ in requests], [*spans, last])


def test_a_step_that_is_reached_released_and_told() -> None:
    """How long, from which signal, what its prompts are; the other one was never reached."""
    found = result(
        [switch(20 * S, "breadth", True, 0.65), switch(50 * S, "breadth", False, 0.1)],
        asked(1, 5 * S, "", None, 300, 2000),
        asked(2, 30 * S, "breadth", "breadth", 500, 900),
        asked(3, 60 * S, "", None, 300, 2000),
    )

    breadth, concise = found.steps
    assert (breadth.entered, breadth.released, breadth.seconds, breadth.signals) == (1, 1, 30.0, (0.65,))
    assert (breadth.requests, breadth.unmarked) == (1, ())
    assert (breadth.prompt_tokens, breadth.prompt_tokens_before) == (900, 2000)
    assert breadth.sentence == (
        "breadth was in force once, 30.0 s in all, first at saturation 0.65 (trigger 0.6); "
        "first token p50 500 ms, before 300 ms, prompt 900 tokens, before 2000 tokens, "
        "answer 100 tokens, before 100 tokens"
    )
    assert concise.sentence == "concise was never reached: saturation stayed below 1"
    assert (found.switches, found.oscillates, found.in_force_at_end) == (2, False, ())
    assert LadderResult.model_validate_json(found.model_dump_json()) == found


def test_a_step_that_comes_back_at_once_oscillates() -> None:
    """Within two holds of its release."""
    found = result(
        [
            switch(20 * S, "breadth", True, 0.7),
            switch(26 * S, "breadth", False, 0.2),
            switch(30 * S, "breadth", True, 0.8),
            switch(36 * S, "breadth", False, 0.2),
            switch(60 * S, "breadth", True, 0.8),
        ]
    )

    breadth = found.steps[0]
    assert (breadth.entered, breadth.released, breadth.re_entered) == (3, 2, 1)
    assert breadth.seconds == 6 + 6 + 40
    assert found.oscillates
    assert found.in_force_at_end == ("breadth",)
    assert "was not released before the end" in breadth.sentence
    assert "came back soon after its release 1 time: it oscillates" in breadth.sentence


def test_answers_that_do_not_say_that_they_are_degraded_are_told() -> None:
    """Only those that were answered can."""
    refused, spans = asked(4, 31 * S, "breadth", None, 500, 900)
    found = result(
        [switch(20 * S, "breadth", True, 0.65)],
        asked(2, 30 * S, "breadth", None, 500, 900),
        asked(3, 30 * S, "breadth", "concise,breadth", 500, 900),
        (
            Request(
                4, refused.scheduled, refused.started, refused.ended, "http_error", status=429, trace=refused.trace
            ),
            spans,
        ),
    )

    assert found.steps[0].unmarked == (2,)
    assert "1 of its 2 answers did not say so" in found.steps[0].sentence
