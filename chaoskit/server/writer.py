"""Defines how a response is written, whatever the HTTP version."""

from __future__ import annotations

from typing import Literal, Protocol

from chaoskit.server.requests import Headers

Break = Literal["reset", "close", "chunk", "silence"]


class ResponseWriter(Protocol):
    """Writes one response: an HTTP/1.1 connection or an HTTP/2 stream."""

    @property
    def is_writable(self) -> bool:
        """Whether more can be sent. When it becomes true again, `ResponseStream.resume` is called."""

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Send the head and the first bytes of the body."""

    def send(self, data: bytes) -> None:
        """Send more of the body."""

    def finish(self, data: bytes) -> None:
        """Send the last bytes, and end the response."""

    def raw(self, data: bytes) -> None:
        """Send bytes on the connection, past HTTP."""

    def break_off(self, by: Break) -> None:
        """End the response without its end: by RST, by closing, by closing within a chunk, or not at all."""

    def go_away(self) -> None:
        """Take no further request on this connection, once this response is open: GOAWAY. HTTP/1.1 has no such sign."""

    def reserve(self, size: int) -> bool:
        """Reserve memory for `size` bytes until they are sent; False when there is none."""

    def tcp_info(self) -> dict[str, int]:
        """The connection's TCP_INFO."""

    def sent_again(self) -> tuple[int, int, int]:
        """The connection's segments that were sent again so far, the duplicates that the client reported, and how often
        it seemed that the path had changed the order."""
