"""Speaks server-sent events and nothing else: `data: token` ... `data: [DONE]`."""

from __future__ import annotations

from urllib.parse import parse_qs

from chaoskit.server import fields
from chaoskit.server.formats import ollama
from chaoskit.server.formats.api import SSE, Api, CompletionRequest, Route, Stamp, data_event
from chaoskit.server.requests import BadRequestError, Request
from chaoskit.server.schedule import Part, PlannedResponse


def parse(request: Request, _name: str, query: str) -> CompletionRequest:
    """`GET` or `POST /sse?tokens=N`."""
    given = parse_qs(query)
    text = given.get("tokens", [None])[-1]
    if text is not None and not (text.isascii() and text.isdigit()):
        raise BadRequestError(f"tokens: expected an integer, found {text[:40]!r}")
    limit = fields.token_limit({"tokens": int(text[:9])}, "tokens") if text else None
    return CompletionRequest(
        api=API,
        model=fields.MODEL,
        tokens=limit or fields.TOKENS,
        limited=limit is not None,
        streamed=True,
        prompt=fields.prompt_tokens(request.body.decode("latin-1")),
        stream=fields.stream_number(request),
        script=fields.script_name(request, "") or given.get("script", [None])[-1],
    )


class PlainSse:
    """The encoder."""

    content_type = SSE

    def __init__(self, _completion: CompletionRequest, planned: PlannedResponse) -> None:
        self._planned = planned

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def begin(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes]:
        """An event: the stamps as a comment, the token as data."""
        of = f" {stamp.of}" if stamp.of is not None else ""
        count = f" {stamp.tokens}" if stamp.tokens != 1 or of else ""
        return f": chaoskit {stamp.seq} {stamp.due} ".encode(), f"{count}{of}\ndata: {text}\n\n".encode()

    def end(self, part: Part) -> bytes:
        """Nothing."""
        return b""

    def closing(self, tokens: int, finish: str) -> bytes:
        """[DONE], as OpenAI ends a stream."""
        return b"data: [DONE]\n\n"

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """The text."""
        return self._planned.whole().encode()


API = Api(
    name="sse",
    routes=(Route("/sse", ("GET", "POST"), parse),),
    own=("/sse",),
    encoder=PlainSse,
    error=ollama.error,
    error_event=lambda status, message: data_event(ollama.error(status, message)),
    reasons=False,
)
