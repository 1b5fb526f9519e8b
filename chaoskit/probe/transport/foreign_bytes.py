"""Says what bytes are that should have been HTTP, by how they begin."""

from __future__ import annotations

TLS_ADVICE = "write https:// instead of http://"
HTTP1_ADVICE = "ask for HTTP/1.1: --http 1.1, in a file http: 1.1"
HTTP2_ADVICE = "ask for HTTP/2: --http 2, in a file http: 2"
_SHOWN = 60  # bytes
_TLS_RECORDS = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake; RFC 8446, 5.1
_SETTINGS = 4  # the type of HTTP/2's first frame; RFC 9113, 3.4


def describe(first: bytes) -> str:
    """What the answer is instead of HTTP/1.1, for a person. It may quote the server: redact it."""
    if first.startswith(_TLS_RECORDS):
        return f"a TLS alert or handshake: the port speaks TLS, {TLS_ADVICE}"
    if len(first) > 8 and first[3] == _SETTINGS and first[5:9] == bytes(4):
        return f"HTTP/2; {HTTP2_ADVICE}"
    return f"{quoted(first)}, which is no HTTP"


def describe_instead_of_http2(first: bytes) -> str:
    """The same for an answer instead of HTTP/2."""
    if first.startswith(b"HTTP/"):
        return f"HTTP/1.1: the port does not know HTTP/2; {HTTP1_ADVICE}"
    if first.startswith(_TLS_RECORDS):
        return describe(first)
    return f"{quoted(first)}, which is no HTTP/2"


def quoted(first: bytes) -> str:
    """The first line of it, as far as it is text; else its first bytes as numbers."""
    line = first.lstrip(b"\r\n")[:_SHOWN].splitlines()[:1]
    text = line[0].decode("latin-1") if line else ""
    if text and text.isprintable():
        return repr(text)
    return f"bytes {first[:8].hex(' ')}"
