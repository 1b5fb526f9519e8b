"""What becomes of spans that others' programs export."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaoskit.records import span_names as names
from chaoskit.telemetry.exported_span import ExportedSpan
from chaoskit.telemetry.mapping import Rules, SpanMapping, to_span

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OFFSET = 10**18
TYPE = "haystack__component__fully_qualified_type"


def exported(name: str = "span", has_error: bool = False, exception: str | None = None, **given: Any) -> ExportedSpan:
    """A span of 5 ms with these attributes, whose dots are written `__`."""
    attributes = {key.replace("__", "."): value for key, value in given.items()}
    return ExportedSpan(
        TRACE, SPAN, None, "app", name, OFFSET + 10, OFFSET + 10 + 5_000_000, has_error, exception, attributes
    )


@pytest.mark.parametrize(
    ("given", "operation"),
    [
        ({"gen_ai__operation__name": "invoke_workflow"}, "workflow"),
        ({"gen_ai__operation__name": "invoke_agent"}, "workflow"),
        ({"gen_ai__operation__name": "retrieval"}, "retrieval"),
        ({"gen_ai__operation__name": "embeddings"}, "retrieval"),
        ({"gen_ai__operation__name": "execute_tool"}, "tool"),
        ({"gen_ai__operation__name": "chat"}, "model"),
        ({"gen_ai__operation__name": "generate_content"}, "model"),
        ({"gen_ai__operation__name": "text_completion"}, "model"),
        ({"gen_ai__operation__name": "acompletion"}, "model"),
        ({"gen_ai__operation__name": "amoderation"}, "policy"),
        ({"gen_ai__operation__name": "create_agent"}, "other"),
        ({"gen_ai__operation__name": 7}, "other"),
        ({"openinference__span__kind": "RETRIEVER"}, "retrieval"),
        ({"openinference__span__kind": "GUARDRAIL"}, "policy"),
        ({"traceloop__span__kind": "workflow"}, "workflow"),
        ({"llm__request__type": "chat"}, "model"),
        ({"mcp__method__name": "tools/call"}, "tool"),
        ({"mcp__method__name": "tools/list"}, "other"),
        ({"db__system__name": "qdrant"}, "retrieval"),
        ({"db__system": "postgresql"}, "other"),
        ({"gen_ai__latency__time_in_queue": 0.2}, "model"),
        ({"haystack__pipeline__execution_mode": "async"}, "workflow"),
        ({"haystack__agent__max_steps": 10}, "workflow"),
        ({"haystack__tool__name": "weather"}, "tool"),
        ({TYPE: "haystack.components.generators.chat.openai.OpenAIChatGenerator"}, "model"),
        ({TYPE: "haystack.components.retrievers.in_memory.bm25_retriever.InMemoryBM25Retriever"}, "retrieval"),
        ({TYPE: "haystack_integrations.components.retrievers.qdrant.retriever.QdrantEmbeddingRetriever"}, "retrieval"),
        ({TYPE: "haystack_integrations.components.rankers.cohere.ranker.CohereRanker"}, "retrieval"),
        ({TYPE: "haystack.components.builders.chat_prompt_builder.ChatPromptBuilder"}, "other"),
        ({TYPE: "my_app.generators.Mine"}, "other"),
        ({}, "other"),
    ],
)
def test_attributes_tell_the_operation(given: dict[str, Any], operation: str) -> None:
    """By the conventions of OpenTelemetry, OpenInference, Traceloop, vLLM and Haystack; any other is `other`."""
    assert to_span(exported(**given), "app", OFFSET).operation == operation


@pytest.mark.parametrize(
    ("given", "error", "outcome"),
    [
        ({}, None, None),
        ({"db__response__returned_rows": 4}, None, "hit"),
        ({"db__response__returned_rows": 0}, None, "miss"),
        ({"retrieval__documents__0__document__id": "a"}, None, "hit"),
        ({"error__type": "timeout"}, "timeout", "timeout"),
        ({"error__type": "504"}, "504", "timeout"),
        ({"error__type": "503"}, "503", "error"),
        ({"has_error": True}, "error", "error"),
        ({"has_error": True, "exception": "httpx.ReadTimeout"}, "ReadTimeout", "timeout"),
        ({"has_error": True, "exception": "builtins.KeyError"}, "KeyError", "error"),
        ({"chaoskit__retrieval__outcome": "degraded", "error__type": "x"}, "x", "degraded"),
        ({"chaoskit__retrieval__outcome": "superb"}, None, None),
    ],
)
def test_a_retrieval_tells_how_it_ended(given: dict[str, Any], error: str | None, outcome: str | None) -> None:
    """Its own word first, then its error, then what it found; where nothing tells a hit from a miss, no outcome."""
    span = to_span(exported(gen_ai__operation__name="retrieval", **given), "app", OFFSET)

    assert (span.error, span.attributes.get(names.RETRIEVAL_OUTCOME)) == (error, outcome)


def test_attributes_have_the_analysis_names() -> None:
    """Numbers and tiers of OpenAI's and vLLM's spans; those of a wrong type, and all others, are left out."""
    span = to_span(
        exported(
            gen_ai__latency__time_in_queue=0.25,
            gen_ai__latency__time_to_first_token=1,
            gen_ai__usage__input_tokens=900,
            gen_ai__usage__output_tokens=True,
            gen_ai__openai__request__service_tier="priority",
            gen_ai__openai__response__service_tier="default",
            http__request__resend_count=1,
            net__peer__name="model",
            chaoskit__hedge=True,
            chaoskit__queue_ns="long",
            http__url="http://model:8000/",
            chaoskit__class="x" * 1000,
        ),
        "app",
        OFFSET,
    )

    assert span.attributes == {
        names.MODEL_QUEUE: 250_000_000,
        names.FIRST_TOKEN: 1_000_000_000,
        names.MODEL_PROMPT_TOKENS: 900,
        names.TIER_ASKED: "priority",
        names.TIER_SERVED: "default",
        names.ATTEMPT: 2,
        names.SERVER_ADDRESS: "model",
        names.HEDGE: True,
        names.TRAFFIC_CLASS: "x" * 200,
    }


def test_the_address_of_who_answers_is_no_call() -> None:
    """A server's span names its own host; that of a client the host that it calls."""
    call = exported(server__address="model")

    assert to_span(call, "app", OFFSET).attributes == {names.SERVER_ADDRESS: "model"}
    assert to_span(replace(call, is_served=True), "app", OFFSET).attributes == {}


def test_the_file_names_the_host_that_a_span_calls() -> None:
    """Where the span does not tell: of hops alone, and never of who answers."""
    mapping = SpanMapping(operations=Rules.of([("tool", ["call *"])]), calls=Rules.of([("tools", ["call *", "tidy"])]))
    call = exported("call order-status")

    assert to_span(call, "app", OFFSET, mapping).attributes == {names.SERVER_ADDRESS: "tools"}
    assert to_span(exported("tidy"), "app", OFFSET, mapping).attributes == {}
    told = exported("call x", server__address="elsewhere")
    assert to_span(told, "app", OFFSET, mapping).attributes == {names.SERVER_ADDRESS: "elsewhere"}
    assert to_span(replace(call, is_served=True), "app", OFFSET, mapping).attributes == {}


def test_the_file_decides_before_the_conventions() -> None:
    """By a span's name or an attribute, `*` for any text; the first that fits."""
    mapping = SpanMapping(
        operations=Rules.of([("retrieval", ["search *", "db.system=pg*"]), ("policy", ["*guard*"])]),
        outcomes=Rules.of([("miss", ["rag.hits=0"]), ("degraded", ["rag.partial=true"])]),
        fallbacks=Rules.of([("no-context", ["rag.skipped=true"])]),
    )
    told: dict[str, Any] = {"gen_ai__operation__name": "chat", "rag__hits": 0, "rag__skipped": True}

    search = to_span(exported("search the [docs].+", **told), "app", OFFSET, mapping)
    database = to_span(exported("SELECT", db__system="pgvector", rag__partial=True), "app", OFFSET, mapping)
    model = to_span(exported("research", **told), "app", OFFSET, mapping)

    assert search.operation == "retrieval"
    assert search.attributes[names.RETRIEVAL_OUTCOME] == "miss"
    assert search.attributes[names.RETRIEVAL_FALLBACK] == "no-context"
    assert (database.operation, database.attributes) == ("retrieval", {names.RETRIEVAL_OUTCOME: "degraded"})
    assert (model.operation, names.RETRIEVAL_OUTCOME in model.attributes) == ("model", False)
    assert to_span(exported("a guardrail"), "app", OFFSET, mapping).operation == "policy"


def test_stamps_are_of_the_runs_clock() -> None:
    """The offset is taken away; a time before the clock's begin, or years away, is none of this run."""
    span = to_span(exported(), "app", OFFSET)

    assert (span.begin, span.end) == (10, 5_000_010)
    for offset in (OFFSET + 11, OFFSET - 2**60):
        with pytest.raises(ValueError, match="time"):
            to_span(exported(), "app", offset)
