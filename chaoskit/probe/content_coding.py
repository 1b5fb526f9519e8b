"""Decodes the content coding of a response, read by read: gzip, deflate, br and zstd (RFC 9110, 8.4).

Rules: what a read completes is decoded at once, as SDKs do; at most 64 kB are decoded at a time, so that a small body
that grows without end is stopped by the caller's own limit, and one read gives at most 4 MB, so that decoding it does
not hold up other streams. br and, before Python 3.14, zstd need a package of their own; a window of zstd has 8 MB at
most (RFC 9659).
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from chaoskit.errors import SpecError
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.units import Size

DEFAULT = "gzip, deflate"
"""What the SDKs of OpenAI and Anthropic for Python accept."""
_AT_A_TIME = 64 * 1024  # bytes
_MOST_OF_A_READ = Size(4_000_000)  # bytes: some 15 ms of the event loop; 60 times what a read brings
_GZIP = 16 + zlib.MAX_WBITS
_ZSTD_WINDOW = 23  # log2 of bytes
_NAMES = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate", "br": "br", "zstd": "zstd"}
_PACKAGES = {"br": ("brotli",), "zstd": ("compression.zstd", "backports.zstd")}
"""The modules that decode a coding, any of them, and are not there in every Python."""
_NO_CODING = ("", "identity")


class Decoder(Protocol):
    """Decodes one response."""

    @property
    def has_ended(self) -> bool:
        """Whether the coding's own end has come."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What this read completes, piece by piece. Raises MalformedError."""


class _Gzip:
    """gzip, with one member or more."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(_GZIP)

    @property
    def has_ended(self) -> bool:
        """As `Decoder.has_ended`."""
        return self._object.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """As `Decoder.feed`."""
        while data:
            if self._object.eof:
                if not data.startswith(b"\x1f"):  # what follows the last member is no data
                    return
                self._object = zlib.decompressobj(_GZIP)
            yield from _inflated(self._object, data, "gzip")
            data = self._object.unused_data


class _Deflate:
    """deflate: with zlib's header, as it should be, or without, as some send it. The first two bytes tell."""

    def __init__(self) -> None:
        self._object: zlib._Decompress | None = None
        self._first = b""

    @property
    def has_ended(self) -> bool:
        """As `Decoder.has_ended`."""
        return self._object is not None and self._object.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """As `Decoder.feed`."""
        if self._object is None:
            self._first += data
            if len(self._first) < 2:
                return
            data, check = self._first, int.from_bytes(self._first[:2])
            has_header = self._first[0] & 15 == zlib.DEFLATED and check % 31 == 0  # RFC 1950, 2.2
            self._object = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        yield from _inflated(self._object, data, "deflate")


def _inflated(state: zlib._Decompress, data: bytes, name: str) -> Iterator[bytes]:
    """What these bytes decode to, piece by piece."""
    try:
        while data and not state.eof:
            yield state.decompress(data, _AT_A_TIME)
            data = state.unconsumed_tail
    except zlib.error as error:
        raise MalformedError(f"broken {name} data") from error


class _Brotli:
    """br."""

    def __init__(self) -> None:
        import brotli

        self._error = brotli.error
        self._object = brotli.Decompressor()

    @property
    def has_ended(self) -> bool:
        """As `Decoder.has_ended`."""
        return bool(self._object.is_finished())

    def feed(self, data: bytes) -> Iterator[bytes]:
        """As `Decoder.feed`."""
        try:
            piece = self._object.process(data, output_buffer_limit=_AT_A_TIME)
            while piece or not self._object.can_accept_more_data():
                yield piece
                piece = self._object.process(b"", output_buffer_limit=_AT_A_TIME)
        except self._error as error:
            raise MalformedError("broken br data") from error


class _Zstd:
    """zstd, with one frame or more."""

    def __init__(self) -> None:
        self._zstd: Any = importlib.import_module(next(filter(_is_there, _PACKAGES["zstd"])))
        self._object = self._frame()

    def _frame(self) -> Any:
        return self._zstd.ZstdDecompressor(options={self._zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW})

    @property
    def has_ended(self) -> bool:
        """As `Decoder.has_ended`."""
        return bool(self._object.eof)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """As `Decoder.feed`."""
        try:
            while data or not (self._object.needs_input or self._object.eof):
                if self._object.eof:
                    self._object = self._frame()
                yield self._object.decompress(data, _AT_A_TIME)
                data = self._object.unused_data if self._object.eof else b""
        except self._zstd.ZstdError as error:
            raise MalformedError("broken zstd data") from error


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


def decoder(coding: str) -> Decoder | None:
    """The decoder of a `content-encoding`; None where nothing is coded. Raises MalformedError for one it has not."""
    name = coding.strip().lower()
    if name in _NO_CODING:
        return None
    if name not in _NAMES:
        raise MalformedError(f"content-encoding {coding}, which was not asked for and is not known here")
    if package := _missing_package(_NAMES[name]):
        raise MalformedError(f"content-encoding {name}, which was not asked for and needs the package {package}")
    return _DECODERS[_NAMES[name]]()


def decoded(decoder: Decoder | None, data: bytes) -> Iterator[bytes]:
    """What this read completes, piece by piece. Raises MalformedError, and TooLargeError for what expands too far."""
    if decoder is None:
        yield data
        return
    size = 0
    for piece in decoder.feed(data):
        size += len(piece)
        if size > _MOST_OF_A_READ:
            raise TooLargeError(f"one read that decompresses to more than {_MOST_OF_A_READ}")
        yield piece


def check_accepted(value: str) -> None:
    """Raise SpecError when a response to this `accept-encoding` could not be read."""
    for each in value.split(","):
        name, _, weight = (part.strip().lower() for part in each.partition(";"))
        if weight.replace(" ", "") in ("q=0", "q=0.0"):
            continue
        if name not in (*_NAMES, *_NO_CODING):
            raise SpecError(
                f"accept-encoding: {name!r} is not known here; expected gzip, deflate, br, zstd or identity"
            )
        if package := _missing_package(name):
            raise SpecError(
                f"accept-encoding: {name} needs the package {package}; type: pip install 'chaoskit[{name}]'"
            )


def _missing_package(name: str) -> str:
    """The package that is needed to decode this coding; "" where nothing is missing."""
    modules = _PACKAGES.get(name, ())
    return modules[-1] if modules and not any(map(_is_there, modules)) else ""


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that it is in
        return False
