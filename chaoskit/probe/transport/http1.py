"""Speaks HTTP/1.1 on one connection, one request after the other; llhttp (httptools) parses.

Rules: head and body of a request leave together; what comes before a request is no answer to it; a body without a
length ends with the connection, any other is cut by it; what was understood before an error is delivered first.
Some leniency, as curl has it: lines that end with LF alone, a length beside chunked coding, spaces after a size,
control characters in a header's value.
"""

from __future__ import annotations

import httptools

from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.transport.connection import Connection
from chaoskit.probe.transport.exchange import Exchange, Headers, Outgoing, StaleError
from chaoskit.probe.transport.foreign_bytes import describe
from chaoskit.probe.transport.stamps import ReadStamp

_MAX_WITHOUT_BODY = 102_400  # bytes in a row that bring nothing of the body: a chunk's line, trailers
_MAX_EARLY = 64 * 1024  # bytes that come before a request, until they are left in the kernel
_IDLE_TOO_LONG = b"408"  # what some servers say before they close an idle connection
_FIRST = 80  # bytes of a response that are kept to say what it is


class Http1:
    """HTTP/1.1 on one connection. `is_draining` is never so: it is of HTTP/2."""

    is_draining = False

    def __init__(self, connection: Connection, whole_url: bool, proxy_authorization: bytes) -> None:
        """`whole_url`: the connection leads to a proxy, which gets the whole URL."""
        self.connection = connection
        self.was_used = False
        self._whole_url = whole_url
        self._proxy_authorization = proxy_authorization
        self._can_be_kept = True
        self._early = b""  # came before a request
        self._early_stamp: ReadStamp | None = None
        self._exchange: Exchange | None = None
        connection.attach(self)

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent."""
        return self._can_be_kept and self._exchange is None and not self.connection.has_ended

    async def send(self, exchange: Exchange, request: Outgoing) -> None:
        """Send a request. Raises StaleError when the server has closed; MalformedError when it has talked already."""
        self.connection.poll()
        if self.was_used and self.connection.has_ended and self._early[9:12] in (b"", _IDLE_TOO_LONG):
            raise StaleError
        exchange.sending()
        early = self._early
        if early and (self.was_used or not early.startswith(b"HTTP/")):
            raise MalformedError(self._unasked())
        self.was_used = True
        self._exchange = exchange
        self._status = 0
        self._headers: Headers = []
        self._has_length = False
        self._is_informational = False
        self._is_over = False
        self._failure: MalformedError | None = None
        self._size = 0  # bytes of the head, or of the body
        self._without_body = 0
        self._first = b""
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_headers=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self.connection.write(self._head(request) + request.body, exchange.observer.uploaded)
        if early and self._early_stamp is not None:  # a refusal of the connection; a response cannot be
            self.receive(early, self._early_stamp)
        if self.connection.has_ended:
            self.connection_ended(self.connection.error)

    def cancel(self, exchange: Exchange) -> None:
        """Nobody reads the rest of this response."""
        if self._exchange is exchange:
            self._exchange = None
            self.connection.close()

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def receive(self, data: bytes, stamp: ReadStamp) -> None:
        """See `Receiver`."""
        exchange = self._exchange
        if exchange is None:
            self._early += data
            self._early_stamp = self._early_stamp or stamp
            if len(self._early) > _MAX_EARLY:
                self.connection.stop_reading()
            return
        exchange.has_bytes = True
        had_head = self._status != 0
        if len(self._first) < _FIRST and not had_head:
            self._first += data[: _FIRST - len(self._first)]
        error = self._parse(data)
        if self._status and not had_head:
            if self._early and self._status < 400:
                error = MalformedError("invalid HTTP: the response came before the request")
            version = self._parser.get_http_version()
            exchange.begin(self._status, f"HTTP/{version}", self._headers, stamp)
        if self._body:
            exchange.data(self._body[0] if len(self._body) == 1 else b"".join(self._body), stamp)
            self._body.clear()
        if self._is_over:
            self._exchange = None
            exchange.end()
        elif error is not None:
            self._fail(exchange, error)

    def connection_ended(self, error: Exception | None) -> None:
        """See `Receiver`."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if error is None and self._status and not self._has_length:
            exchange.end()
        else:
            exchange.connection_ended(error)

    def on_message_begin(self) -> None:
        """A message begins: after the final one it is nobody's."""
        if self._is_over:
            self._early = self._early or b"\n"

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of a head, or of trailers."""
        if not self._status:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self._is_over:
            return
        status = self._parser.get_status_code()
        if status == 101:
            self._failure = MalformedError("invalid HTTP: 101, though nothing was to be switched")
        self._is_informational = status < 200
        if self._is_informational:
            self._headers = []
            return
        self._status = status
        self._has_length = status in (204, 304) or any(
            name == b"content-length" or (name == b"transfer-encoding" and value.lower().endswith(b"chunked"))
            for name, value in self._headers
        )

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._is_over:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The response is complete, unless it was an informational one."""
        if not self._is_informational and not self._is_over:
            self._is_over = True
            self._can_be_kept = self._parser.should_keep_alive()

    def _parse(self, data: bytes) -> Exception | None:
        """What is wrong with the response, after this part of it."""
        had_head = self._status != 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # `on_headers_complete` has seen it
        except httptools.HttpParserError as error:
            if self._is_over:
                self._early = self._early or data
                return None
            return self._failure or self._invalid(error)
        if self._failure is not None:
            return self._failure
        if self._status and not self._first.lstrip(b"\r\n").startswith(b"HTTP/"):
            return MalformedError(f"invalid HTTP: the server answers with {describe(self._first)}")
        return self._excess(len(data), had_head)

    def _excess(self, size: int, had_head: bool) -> Exception | None:
        assert self._exchange is not None
        limits = self._exchange.limits
        self._size += size
        if not self._status and self._size > limits.headers:
            return TooLargeError(f"headers of more than {limits.headers}")
        if not had_head:
            if sum(len(name) + len(value) + 4 for name, value in self._headers) > limits.headers:
                return TooLargeError(f"headers of more than {limits.headers}")
            self._size = 0 if self._status else self._size
            return None
        if self._size > limits.body:
            return TooLargeError(f"a body of more than {limits.body}")
        self._without_body = 0 if self._body else self._without_body + size
        if self._without_body > _MAX_WITHOUT_BODY:
            return TooLargeError(f"a line of chunked coding, or trailers, of more than {_MAX_WITHOUT_BODY} bytes")
        return None

    def _invalid(self, error: Exception) -> MalformedError:
        begin = self._first.lstrip(b"\r\n")
        if not self._status and not begin.startswith(b"HTTP/"):
            return MalformedError(f"invalid HTTP: the server answers with {describe(begin)}")
        where = "the body" if self._status else "the head of the response"
        return MalformedError(f"invalid HTTP in {where}: {str(error).lower()}")

    def _fail(self, exchange: Exchange, error: Exception) -> None:
        self._can_be_kept = False
        self._exchange = None
        exchange.end(error)

    def _unasked(self) -> str:
        if not self.was_used:
            return f"invalid HTTP: before any request the server says {describe(self._early)}"
        return "invalid HTTP: more than the answer had come before the next request on a kept connection"

    def _head(self, request: Outgoing) -> bytes:
        target = request.path
        headers = request.headers
        if self._whole_url:
            host = next((value for name, value in headers if name.lower() == b"host"), request.host)
            target = request.scheme + b"://" + host + target
            if self._proxy_authorization:
                headers = [*headers, (b"Proxy-Authorization", self._proxy_authorization)]
        lines = [request.method + b" " + target + b" HTTP/1.1", *(name + b": " + value for name, value in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n"
