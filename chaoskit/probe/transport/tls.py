"""Encrypts and decrypts the bytes of one connection, without a socket; makes TLS contexts."""

from __future__ import annotations

import ssl
from importlib import import_module

import httpx

from chaoskit.errors import SpecError
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.target import Target

_MAX_HANDSHAKE = 1 << 20  # bytes of TLS without application data; a certificate chain has some kB
_ALERT, _NO_APPLICATION_PROTOCOL = b"\x15", b"\x78"  # RFC 7301, 3.2; OpenSSL's error has no number for it
NO_COMMON_HTTP = "the server knows no HTTP version of those offered to it (ALPN)"
_READ = 64 * 1024  # bytes


class TlsState:
    """The client's side of one TLS connection. `error` and `has_ended` say why nothing more can be decrypted.

    A handshake and messages without data are bounded.
    """

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.is_established = False
        self.has_ended = False
        self.error: Exception | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._without_data = 0
        self._first = b""

    @property
    def alpn(self) -> str | None:
        """The protocol that was negotiated."""
        return self._ssl.selected_alpn_protocol()

    def feed(self, data: bytes) -> None:
        """Take what the peer has sent; b"": it has closed."""
        if data:
            self._first = self._first or data[:7]
            self._without_data += len(data)
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    @property
    def has_to_send(self) -> bool:
        """Whether TLS itself has something to send."""
        return self._outgoing.pending > 0

    def to_send(self) -> bytes:
        """What TLS itself has to send: handshake, alerts."""
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """It as it goes to the peer."""
        if data:
            self._ssl.write(data)
        return self._outgoing.read()

    def continue_handshake(self) -> None:
        """Raises ssl.SSLError; MalformedError for a server without TLS; TooLargeError."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            if self._without_data > _MAX_HANDSHAKE:
                raise TooLargeError(f"a TLS handshake of more than {_MAX_HANDSHAKE} bytes") from None
        except ssl.SSLZeroReturnError:  # before Python 3.11.4
            raise ssl.SSLEOFError("closed during the handshake") from None
        except ssl.SSLError:
            if self._first[:1] == _ALERT and self._first[6:] == _NO_APPLICATION_PROTOCOL:
                raise MalformedError(f"TLS: {NO_COMMON_HTTP}") from None
            if self._first[:5] == b"HTTP/":
                raise MalformedError("TLS: the server answers in plain HTTP: http:// instead of https://") from None
            raise
        else:
            self.is_established = True

    def decrypt(self) -> bytes:
        """All that can be decrypted now. Raises TooLargeError."""
        parts = []
        try:
            while part := self._ssl.read(_READ):
                parts.append(part)
            self._end()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._end()
        except ssl.SSLError as error:
            self.error = error
        if parts:
            self._without_data = 0
        elif self._without_data > _MAX_HANDSHAKE:
            raise TooLargeError(f"more than {_MAX_HANDSHAKE} bytes of TLS without data")
        return b"".join(parts)

    def _end(self) -> None:
        """Before Python 3.11.4, EOF without close_notify looked like EOF with it."""
        if self._incoming.eof:
            self.error = ssl.SSLEOFError("closed without close_notify")
        else:
            self.has_ended = True


def tls_context(target: Target, http: str) -> ssl.SSLContext | None:
    """The TLS context for its server; None without TLS. Created once, because that takes 30 ms or more.

    Raises SpecError for a file that holds no certificates.
    """
    if not target.url.lower().startswith("https:"):
        return None
    import_module("encodings.idna")  # else the first handshake would load it, in its own time
    context = httpx.create_ssl_context(verify=target.verify)
    context.set_alpn_protocols(["h2", "http/1.1"] if http == "2" else ["http/1.1"])
    if target.ca_file is not None:
        try:
            context.load_verify_locations(target.ca_file)
        except OSError as error:
            reason = error.strerror or "it holds no certificates"
            raise SpecError(f"{target.ca_file}: {reason}; give a file of certificates in PEM") from None
    if target.client_cert is not None:
        _load_client_certificate(context, target)
    return context


def _load_client_certificate(context: ssl.SSLContext, target: Target) -> None:
    assert target.client_cert is not None
    both = [path for path in (target.client_cert, target.client_key) if path is not None]
    names = " and ".join(map(str, both))
    for path in both:
        try:
            path.open("rb").close()
        except OSError as error:
            raise SpecError(f"{path}: {error.strerror}; give a certificate and its key in PEM") from None
    try:
        context.load_cert_chain(target.client_cert, target.client_key, password=lambda: "")
    except OSError as error:
        reason = getattr(error, "reason", None)
        why = f" ({str(reason).replace('_', ' ').lower()})" if reason else ""
        raise SpecError(
            f"{names}: no certificate with its key{why}; give both in PEM, the key without a passphrase: "
            "openssl pkey -in KEY -out PLAIN"
        ) from None
