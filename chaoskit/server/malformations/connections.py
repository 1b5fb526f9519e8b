"""Responses whose connection breaks, falls silent, or does not speak HTTP."""

from __future__ import annotations

from chaoskit.server.deviations import CutBy
from chaoskit.server.formats.api import Api
from chaoskit.server.malformations.malformation import End, Malformation, half

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_PAUSE = 10 * 10**9  # ns
_ENDS: dict[CutBy, End] = {"reset": "reset", "close": "close", "chunk": "chunk", "end": "finish"}


def _nothing(_api: Api, _data: bytes) -> bytes:
    return b""


def cut(after: int, by: CutBy) -> Malformation:
    """The response breaks off after so many tokens."""
    return Malformation("cut", "", breaks_after=lambda tokens: min(after, tokens), closing=_nothing, end=_ENDS[by])


CONNECTIONS = (
    Malformation("pause", "Ten seconds without a byte in the middle of the stream.", pause=_PAUSE),
    Malformation("reset", "Reset after half of the tokens: RST, or RST_STREAM.", breaks_after=half, end="reset"),
    Malformation(
        "close", "Closed after half of the tokens, without the end of the body.", breaks_after=half, end="close"
    ),
    Malformation("chunk-cut", "Closed within a chunk, or a DATA frame, after half.", breaks_after=half, end="chunk"),
    Malformation("cut-clean", "The body ends properly after half of the tokens.", breaks_after=half, closing=_nothing),
    Malformation(
        "silence", "Nothing more after half of the tokens; the connection stays open.", breaks_after=half, end="silence"
    ),
    Malformation("no-answer", "No byte at all; the connection stays open.", raw=b"", end="silence"),
    Malformation("reset-first", "Reset in place of an answer.", raw=b"", end="reset"),
    Malformation("close-first", "Closed in place of an answer.", raw=b"", end="close"),
    Malformation("head-cut", "Closed within the header fields.", raw=_HEAD, end="close"),
    Malformation(
        "length-too-long",
        "Closed before as many bytes as `content-length` says.",
        raw=_HEAD + b"content-length: 1000\r\n\r\ndata: {}\n\n",
        end="close",
    ),
    Malformation(
        "bad-chunk",
        "A chunk whose size is no number.",
        raw=_HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\ndata: {}\n\n\r\n",
        end="close",
    ),
    Malformation("not-http", "Bytes that are no HTTP.", raw=b"SSH-2.0-OpenSSH_9.6\r\n", end="close"),
    Malformation("go-away", "HTTP/2: GOAWAY, and the response is finished all the same.", goes_away=True),
    Malformation("surplus", "A second answer that nobody asked for, after the first.", end="surplus"),
)
