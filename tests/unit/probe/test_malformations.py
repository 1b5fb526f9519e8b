"""The probe names each of the reference server's malformations for what it is, in every protocol that has it."""

import asyncio
import socket

import pytest
from far_side import Outcome, ask, workload

from chaoskit.server.app import serve
from chaoskit.server.deviations import Malformed
from chaoskit.server.formats import APIS
from chaoskit.server.malformations import BY_NAME
from chaoskit.server.schedule import Script
from chaoskit.units import Duration

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

MS = Duration.parse("1ms")
TOKENS = 20
SAID = "The engine has died."
ERROR, WHOLE = ("error_event", SAID), ("protocol_error", "although a stream was asked for")
CUT, RESET, CLOSED = ("truncated", "end marker"), ("reset", "ECONNRESET"), ("truncated", "closed during the response")
REFUSED_OF_ALL = {f"finish-{word}": ("error_event", "finish reason") for word in (
    "error", "network-error", "abort", "insufficient-system-resource"
)}  # fmt: skip
ENDINGS: dict[str, tuple[str, str]] = {
    **REFUSED_OF_ALL,
    **dict.fromkeys(("error-event", "error-first", "error-then-done", "error-object", "error-choice"), ERROR),
    **dict.fromkeys(("response-failed", "error-line", "error-named", "error-named-json", "error-unframed"), ERROR),
    "json-in-200": ERROR,
    "error-text": ("error_event", "Internal Server Error"),
    "text-in-200": ("error_event", "upstream connect error"),
    "html-in-200": ("error_event", "502 Bad Gateway"),
    "refused-429": ("http_error", "429, retry-after 1: The server refuses with 429"),
    "refused-503": ("http_error", "503: The server refuses with 503"),
    "refused-array": ("http_error", f"400: {SAID}"),
    "refused-detail": ("http_error", "422: body.model: Field required"),
    "refused-message": ("http_error", f"500: {SAID}"),
    "refused-text": ("http_error", "503: no healthy upstream"),
    "refused-html": ("http_error", "502, text/html: 502 Bad Gateway"),
    "refused-empty": ("http_error", "503"),
    **dict.fromkeys(("no-end-marker", "empty-body", "comments-only", "cut-clean"), CUT),
    **dict.fromkeys(("finish-repeated-reset", "reset", "reset-first"), RESET),
    **dict.fromkeys(("close", "chunk-cut", "length-too-long"), CLOSED),
    **dict.fromkeys(("close-first", "head-cut"), ("truncated", "closed before any response")),
    "not-json": ("protocol_error", "an event that is not JSON: {"),
    "whole-answer": WHOLE,
    **dict.fromkeys(("pause", "silence"), ("idle_timeout", "no token for")),
    "no-answer": ("first_token_timeout", "no response within"),
}
OF_ONE: dict[tuple[str, str], tuple[str, str]] = {
    ("gemini", "finish-missing"): CUT,  # it has no other end
    ("anthropic-messages", "no-done"): CUT,
    ("anthropic-messages", "finish-reset"): RESET,
    ("ollama", "whole-answer"): ("complete", ""),  # one line is a stream, too
    ("ollama-generate", "whole-answer"): ("complete", ""),
}
FLAGS = {"empty": "empty", "short": "short"}
REMARKS = {
    "finish-content-filter": "a content filter ended the answer",
    "refusal": "the model refused to answer",
    "finish-eos-token-found": "unknown finish reason",
    "done-instead-of-message-stop": "[DONE] instead of message_stop",
    "two-json": "several values in one event",
    "invalid-utf8": "bytes that are not UTF-8",
    "type-text": "content-type text/plain",
    "type-octets": "content-type application/octet-stream",
}
BELOW_THE_EVENTS = ("gzip", "bad-chunk", "not-http", "surplus", "held")  # HTTP's, not the protocol's
NAMES = [name for name in BY_NAME if not name.startswith(BELOW_THE_EVENTS)]


async def measured(api: str, name: str, http: str = "1.1") -> Outcome:
    """One request to a reference server that answers so."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    server = asyncio.create_task(serve(listener, Script(MS, MS, MS, seed=1, deviations=(Malformed(name),)), stop))
    try:
        timeouts = {"idle": "300ms", "first-token": "300ms"} if name in ("pause", "silence", "no-answer") else {}
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return await ask(url, workload(protocol=api, http=http, output_tokens=TOKENS, timeouts=timeouts))
    finally:
        stop.set()
        await server


@pytest.mark.parametrize("name", NAMES)
def test_a_malformation_is_named(name: str) -> None:
    """Its completion, its detail, its flag and its remark are those of its kind, and an honest end stays one."""

    async def main() -> None:
        fitting = [api.name for api in APIS if BY_NAME[name].fits(api)]
        outcomes = await asyncio.gather(*(measured(api, name) for api in fitting))
        for api, outcome in zip(fitting, outcomes, strict=True):
            found = outcome.request

            completion, detail = OF_ONE.get((api, name)) or ENDINGS.get(name, ("complete", ""))
            assert (found.completion, detail in found.detail) == (completion, True), (api, found.detail)
            assert found.flag == FLAGS.get(name), api
            if name in REMARKS and not (api.startswith("sse") and name == "two-json"):
                assert any(REMARKS[name] in remark for remark in found.remarks), (api, found.remarks)
            if found.flag:  # says it already
                assert not [remark for remark in found.remarks if "less than half" in remark]

    asyncio.run(main())


OVER_HTTP2 = {
    "last-line-without-newline": "complete",
    "done-without-blank-line": "complete",
    "finish-repeated": "complete",
    "finish-repeated-reset": "reset",
    "error-text": "error_event",
    "cut-clean": "truncated",
    "large-event": "complete",
    "single-bytes": "complete",
}


@pytest.mark.parametrize(("name", "completion"), OVER_HTTP2.items())
def test_http2_ends_a_body_as_properly(name: str, completion: str) -> None:
    """END_STREAM is a proper end, RST_STREAM is none, and frames are cut anywhere."""

    async def main() -> None:
        fitting = [api.name for api in APIS if BY_NAME[name].fits(api)]
        outcomes = await asyncio.gather(*(measured(api, name, http="2") for api in fitting))
        for api, outcome in zip(fitting, outcomes, strict=True):
            assert outcome.request.completion == completion, (api, outcome.request.detail)

    asyncio.run(main())


def test_a_compressed_body_without_its_end_is_remarked() -> None:
    """The events are whole, and so is the stream; what other clients stumble over is said."""

    async def main() -> None:
        for name, remarks in (("gzip-truncated", ("the compressed body has no end",)), ("gzip-unasked", ())):
            found = (await measured("openai-chat", name)).request
            assert (found.completion, found.remarks) == ("complete", remarks)

    asyncio.run(main())


def test_the_names_are_the_servers() -> None:
    """Every expectation is about a malformation that the server has."""
    expected = {*ENDINGS, *FLAGS, *REMARKS, *(name for _, name in OF_ONE)}

    assert expected <= set(BY_NAME)
