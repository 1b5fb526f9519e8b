"""Streams with the right content, framed in ways that few servers use, or compressed."""

from __future__ import annotations

import json

from chaoskit.server.malformations.malformation import IN_EVENTS, LAST, Malformation


def _two_in_one(data: bytes, number: int) -> bytes:
    """Without the blank line after every other event."""
    return data.removesuffix(b"\n") if number != LAST and number % 2 else data


def _several_lines(data: bytes, _number: int) -> bytes:
    lines = data.split(b"\n")
    for at, line in enumerate(lines):
        if line.startswith(b"data: {"):
            shown = json.dumps(json.loads(line[6:]), indent=1).encode()
            lines[at] = b"\n".join(b"data: " + each for each in shown.split(b"\n"))
    return b"\n".join(lines)


def _before(sign: bytes, data: bytes, number: int) -> bytes:
    return data if number == LAST else sign + data


FRAMING = (
    Malformation("crlf", "Lines end with CR LF.", rewrite=lambda data, _: data.replace(b"\n", b"\r\n")),
    Malformation("cr", "Lines end with CR.", IN_EVENTS, rewrite=lambda data, _: data.replace(b"\n", b"\r")),
    Malformation("bom", "A byte order mark before the first event.", IN_EVENTS, prefix=b"\xef\xbb\xbf"),
    Malformation(
        "no-space", "`data:` without a space.", IN_EVENTS, rewrite=lambda data, _: data.replace(b"data: ", b"data:")
    ),
    Malformation("several-lines", "The JSON of an event on several `data:` lines.", IN_EVENTS, rewrite=_several_lines),
    Malformation("two-json", "Two JSON values in one event: a blank line is missing.", IN_EVENTS, rewrite=_two_in_one),
    Malformation(
        "comments",
        "A comment before each event.",
        IN_EVENTS,
        rewrite=lambda data, n: _before(b": keepalive\n\n", data, n),
    ),
    Malformation(
        "pings",
        "`event: ping` before each event.",
        IN_EVENTS,
        rewrite=lambda data, n: _before(b'event: ping\ndata: {"type": "ping"}\n\n', data, n),
    ),
    Malformation(
        "empty-data",
        "An empty `data:` before each event.",
        IN_EVENTS,
        rewrite=lambda data, n: _before(b"data:\n\n", data, n),
    ),
    Malformation(
        "id-and-retry",
        "`id:` and `retry:` alone before each event.",
        IN_EVENTS,
        rewrite=lambda data, n: _before(b"id: 7\nretry: 3000\n\n", data, n),
    ),
    Malformation("blank-lines", "An empty line before each event.", rewrite=lambda data, n: _before(b"\n", data, n)),
    Malformation("single-bytes", "Every byte in a write of its own.", pieces=1),
    Malformation("held-4096", "Held back, and sent in pieces of 4096 bytes, as by a proxy that buffers.", pieces=4096),
    Malformation("gzip-unasked", "Compressed for a client that does not accept it.", compression="unasked"),
    Malformation("gzip-held", "Compressed without a flush: the events come together at the end.", compression="held"),
    Malformation("gzip-truncated", "Compressed, and the end is missing.", compression="truncated"),
    Malformation("gzip-plain", "`content-encoding: gzip`, and the body is not compressed.", compression="plain"),
    Malformation("gzip-bomb", "64 MB of spaces in 64 kB, before the stream.", compression="bomb"),
)
