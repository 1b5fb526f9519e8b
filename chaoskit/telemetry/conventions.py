"""Knows what the attributes of others' spans mean: which operation, how it ended, what it took.

| who                 | operation                                 | page                                       |
|---------------------|-------------------------------------------|--------------------------------------------|
| OpenTelemetry GenAI | `gen_ai.operation.name`                   | opentelemetry.io/docs/specs/semconv/gen-ai |
| OpenTelemetry MCP   | `mcp.method.name`                         | the same                                   |
| OpenTelemetry       | `db.system.name` of a database of vectors | opentelemetry.io/docs/specs/semconv/db     |
| OpenInference       | `openinference.span.kind`                 | github.com/Arize-ai/openinference          |
| Traceloop           | `traceloop.span.kind`, `llm.request.type` | github.com/traceloop/openllmetry           |
| LiteLLM             | its call types in `gen_ai.operation.name` | docs.litellm.ai                            |
| Haystack            | the package of a component's class        | docs.haystack.deepset.ai/docs/tracing      |
| vLLM                | `gen_ai.latency.time_in_queue`, in s      | docs.vllm.ai                               |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from chaoskit.records import span_names as names
from chaoskit.records.spans import Operation, RetrievalOutcome
from chaoskit.telemetry.exported_span import ExportedSpan, Value

_VECTORS: Mapping[str, Operation] = dict.fromkeys(
    ("qdrant", "weaviate", "pinecone", "chroma", "chromadb", "milvus"), "retrieval"
)
_OPERATIONS: tuple[tuple[str, Mapping[str, Operation]], ...] = (
    (
        names.OPERATION_NAME,
        {
            "invoke_workflow": "workflow",
            "invoke_agent": "workflow",
            "retrieval": "retrieval",
            "embeddings": "retrieval",
            "execute_tool": "tool",
            "chat": "model",
            "text_completion": "model",
            "generate_content": "model",
            **dict.fromkeys(("completion", "acompletion", "atext_completion", "responses", "aresponses"), "model"),
            **dict.fromkeys(("anthropic_messages", "aanthropic_messages"), "model"),
            **dict.fromkeys(("embedding", "aembedding", "rerank", "arerank", "search", "asearch"), "retrieval"),
            **dict.fromkeys(("moderation", "amoderation"), "policy"),
        },
    ),
    (
        "openinference.span.kind",
        {
            "chain": "workflow",
            "agent": "workflow",
            "retriever": "retrieval",
            "embedding": "retrieval",
            "reranker": "retrieval",
            "tool": "tool",
            "llm": "model",
            "guardrail": "policy",
        },
    ),
    ("traceloop.span.kind", {"workflow": "workflow", "agent": "workflow", "tool": "tool"}),
    ("llm.request.type", {"chat": "model", "completion": "model", "embedding": "retrieval", "rerank": "retrieval"}),
    ("mcp.method.name", {"tools/call": "tool"}),
    ("db.system.name", _VECTORS),
    ("db.system", _VECTORS),
)
_HAYSTACK_TYPE = "haystack.component.fully_qualified_type"  # haystack.components.generators.chat.openai.OpenAI...
_HAYSTACK_PACKAGE = re.compile(r"haystack(?:_integrations)?\.components\.([a-z]+)\.")
_HAYSTACK_PACKAGES: Mapping[str, Operation] = {
    "generators": "model",
    **dict.fromkeys(("retrievers", "embedders", "rankers", "websearch"), "retrieval"),
}
_HAYSTACK: tuple[tuple[str, Operation], ...] = (
    ("haystack.pipeline.execution_mode", "workflow"),
    ("haystack.agent.max_steps", "workflow"),
    ("haystack.tool.name", "tool"),
)
_VLLM_QUEUE = "gen_ai.latency.time_in_queue"
_SECONDS = {
    _VLLM_QUEUE: names.MODEL_QUEUE,
    "gen_ai.latency.time_in_model_prefill": names.MODEL_PREFILL,
    "gen_ai.latency.time_to_first_token": names.FIRST_TOKEN,
}
_TEXTS = {
    "gen_ai.openai.request.service_tier": names.TIER_ASKED,
    "gen_ai.openai.response.service_tier": names.TIER_SERVED,
    "net.peer.name": names.SERVER_ADDRESS,  # its name before 2024
    **{
        name: name
        for name in (
            *(names.OPERATION_NAME, names.WORKFLOW_NAME, names.SERVER_ADDRESS, names.RETRIEVAL_FALLBACK),
            *(names.TRAFFIC_CLASS, names.ADMISSION, names.DEGRADED, names.TIER_ASKED, names.TIER_SERVED),
        )
    },
}
_NUMBERS = {
    "gen_ai.usage.prompt_tokens": names.MODEL_PROMPT_TOKENS,
    "gen_ai.usage.completion_tokens": names.MODEL_OUTPUT_TOKENS,
    "gen_ai.usage.input_tokens": names.MODEL_PROMPT_TOKENS,
    "gen_ai.usage.output_tokens": names.MODEL_OUTPUT_TOKENS,
    **{
        name: name
        for name in (
            *(names.ATTEMPT, names.CONNECT, names.FIRST_TOKEN, names.ADMISSION_QUEUE, names.MODEL_QUEUE),
            *(names.MODEL_PREFILL, names.MODEL_PREFILL_INTERFERENCE, names.MODEL_PREEMPTIONS, names.MODEL_PREEMPTED),
            *(names.MODEL_INTERFERENCE, names.MODEL_PROMPT_TOKENS, names.MODEL_OUTPUT_TOKENS),
        )
    },
}
_RESENT = "http.request.resend_count"
_MESSAGE = "asgi.event.type"
_ROWS = "db.response.returned_rows"
_DOCUMENTS = "retrieval.documents."  # OpenInference: retrieval.documents.0.document.id
_TIMEOUT = re.compile(r"time.?out|timed.?out|deadline|^(408|504)$", re.IGNORECASE)
_MOST_ERROR, _MOST_TEXT = 100, 200  # characters
_MOST_NUMBER, _NS = 2**60, 10**9


def is_message(span: ExportedSpan) -> bool:
    """Whether it is of one message within a request, as ASGI servers have one for each chunk of an answer."""
    return _MESSAGE in span.attributes


def operation(span: ExportedSpan) -> Operation:
    """What it is for, by its attributes; `other` where none of them says so."""
    for key, known in _OPERATIONS:
        value = span.attributes.get(key)
        if isinstance(value, str) and value.lower() in known:
            return known[value.lower()]
    return "model" if _VLLM_QUEUE in span.attributes else _of_haystack(span.attributes)


def _of_haystack(given: Mapping[str, Value]) -> Operation:
    found = _HAYSTACK_PACKAGE.match(str(given.get(_HAYSTACK_TYPE, "")))
    if found is not None:
        return _HAYSTACK_PACKAGES.get(found[1], "other")
    return next((operation for key, operation in _HAYSTACK if key in given), "other")


def error(span: ExportedSpan) -> str | None:
    """The type of its error: as the conventions name it, else of its exception; None where it has none."""
    kind = span.attributes.get(names.ERROR_TYPE)
    if isinstance(kind, str) and kind:
        return kind[:_MOST_ERROR]
    if not span.has_error:
        return None
    return (span.exception or "").rpartition(".")[2][:_MOST_ERROR] or "error"


def outcome(span: ExportedSpan, failure: str | None) -> RetrievalOutcome | None:
    """How a retrieval ended, with this error; None where nothing tells a hit from a miss."""
    told = span.attributes.get(names.RETRIEVAL_OUTCOME)
    match told:
        case "hit" | "miss" | "timeout" | "error" | "degraded":
            return told
    if failure is not None:
        return "timeout" if _TIMEOUT.search(failure) else "error"
    rows = span.attributes.get(_ROWS)
    if isinstance(rows, int):
        return "hit" if rows > 0 else "miss"
    return "hit" if any(name.startswith(_DOCUMENTS) for name in span.attributes) else None


def attributes(span: ExportedSpan) -> dict[str, str | int | bool]:
    """Those that the analysis knows, by its names."""
    found = dict(_known(span.attributes))
    if span.is_served:
        found.pop(names.SERVER_ADDRESS, None)
    return found


def _known(given: Mapping[str, Value]) -> Iterator[tuple[str, str | int | bool]]:
    for key, value in given.items():
        match value:
            case str() if key in _TEXTS:
                yield _TEXTS[key], value[:_MOST_TEXT]
            case bool():
                if key == names.HEDGE:
                    yield key, value
            case int() if key in _NUMBERS and 0 <= value < _MOST_NUMBER:
                yield _NUMBERS[key], value
            case int() if key == _RESENT and 0 <= value < _MOST_NUMBER:
                yield names.ATTEMPT, value + 1
            case int() | float() if key in _SECONDS and 0 <= value < _MOST_NUMBER / _NS:
                yield _SECONDS[key], round(value * _NS)
