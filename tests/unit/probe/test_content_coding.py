"""A compressed response is decoded read by read, within the limits of one that is not."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator

import brotli
import pytest
from backports import zstd
from far_side import DONE, END, HEAD, Outcome, ask, chunk, far_side, saying, token, workload

from chaoskit.errors import SpecError
from chaoskit.probe.content_coding import check_accepted, decoder
from chaoskit.probe.framing import MalformedError

TEXT = b"".join(b"data: %d %s\n\n" % (n, b"word" * (n % 7)) for n in range(300))


def raw_deflate(data: bytes) -> bytes:
    """Without zlib's header, as some servers send it."""
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def two_members(data: bytes) -> bytes:
    """gzip allows several, one after the other."""
    return gzip.compress(data[:1000]) + gzip.compress(data[1000:])


def two_frames(data: bytes) -> bytes:
    """zstd allows several, one after the other."""
    return zstd.compress(data[:1000]) + zstd.compress(data[1000:])


CODED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip, two members": ("gzip", two_members),
    "x-gzip": ("x-gzip", gzip.compress),
    "GZIP": ("GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without header": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "zstd, two frames": ("zstd", two_frames),
}


def decoded(coding: str, pieces: Iterator[bytes]) -> bytes:
    """What comes out of these reads."""
    one = decoder(coding)
    assert one is not None
    found = b"".join(part for piece in pieces for part in one.feed(piece))
    assert one.has_ended
    return found


@pytest.mark.parametrize("kind", CODED)
def test_a_missing_end_is_noticed(kind: str) -> None:
    """All of the text, and not the coding's own last bytes."""
    coding, code = CODED[kind]
    one = decoder(coding)
    assert one is not None
    assert not one.has_ended
    for _ in one.feed(code(TEXT)[:-1]):
        pass
    assert not one.has_ended


@pytest.mark.parametrize("kind", CODED)
@pytest.mark.parametrize("size", [1, 2, 7, 100, 10_000])
def test_every_cut_decodes_alike(kind: str, size: int) -> None:
    """Byte by byte, or at once."""
    coding, code = CODED[kind]
    body = code(TEXT)

    assert decoded(coding, (body[first : first + size] for first in range(0, len(body), size))) == TEXT


@pytest.mark.parametrize(
    ("coding", "code"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("br", brotli.compress), ("zstd", zstd.compress)],
)
def test_a_bomb_comes_in_pieces(coding: str, code: Callable[[bytes], bytes]) -> None:
    """Ten megabytes in some kilobytes are never in memory at once."""
    one = decoder(coding)
    assert one is not None
    sizes = [len(piece) for piece in one.feed(code(bytes(10**7)))]

    assert sum(sizes) == 10**7
    assert max(sizes) <= 1 << 17


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_what_is_not_coded_is_broken(coding: str) -> None:
    """Plain text that says that it is compressed."""
    with pytest.raises(MalformedError, match=f"broken {coding} data"):
        decoded(coding, iter([b"data: hello\n\n" * 100]))


def test_what_cannot_be_read_is_not_asked_for() -> None:
    """An unknown coding is refused before anything is sent; one that is forbidden is not asked for."""
    check_accepted("gzip;q=0.5, deflate, br, zstd, identity, dcb;q=0")
    with pytest.raises(SpecError, match="'dcb' is not known here"):
        check_accepted("gzip, dcb")


def test_a_coding_without_its_package_is_not_asked_for() -> None:
    """The sentence names the package's extra; without it the decoder says what is missing. In a Python of its own."""
    code = """if True:
        import sys
        sys.modules.update({"brotli": None, "backports": None, "backports.zstd": None, "compression.zstd": None})
        from chaoskit.errors import SpecError
        from chaoskit.probe.content_coding import check_accepted, decoder
        from chaoskit.probe.framing import MalformedError
        for name in ("br", "zstd"):
            for ask in (check_accepted, decoder):
                try:
                    ask(name)
                except (SpecError, MalformedError) as error:
                    print(error)
    """
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "accept-encoding: br needs the package brotli; type: pip install 'chaoskit[br]'" in said
    assert "accept-encoding: zstd needs the package backports.zstd; type: pip install 'chaoskit[zstd]'" in said
    assert "content-encoding br, which was not asked for and needs the package brotli" in said
    assert "content-encoding zstd, which was not asked for and needs the package backports.zstd" in said


def test_a_window_of_more_than_8_mb_is_broken() -> None:
    """RFC 9659: no client keeps more; a frame that wants 64 MB of each stream is refused."""
    parameter = zstd.CompressionParameter
    wide = zstd.ZstdCompressor(options={parameter.window_log: 26})
    body = wide.compress(bytes(range(256)) * 40_000) + wide.flush()

    with pytest.raises(MalformedError, match="broken zstd data"):
        decoded("zstd", iter([body]))


def flushed(events: list[bytes]) -> list[bytes]:
    """Each event compressed and flushed by itself, as a chunk."""
    made = zlib.compressobj(wbits=31)
    return [chunk(made.compress(event) + made.flush(zlib.Z_SYNC_FLUSH)) for event in events] + [chunk(made.flush())]


def asked(*parts: bytes, **words: object) -> Outcome:
    """One stream of a server that sends these parts, a moment apart."""
    head = HEAD.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n")

    async def main() -> Outcome:
        async with far_side(saying(head, *parts, END)) as url:
            return await ask(url, workload(**words))

    return asyncio.run(main())


def test_events_have_the_stamps_of_their_reads() -> None:
    """A compressed stream is measured event by event, and its record names the coding."""
    outcome = asked(*flushed([token(), token(), token(), DONE]))

    assert (outcome.request.completion, outcome.request.tokens, outcome.request.coding) == ("complete", 3, "gzip")


def test_a_bomb_is_too_large() -> None:
    """The limit of the body holds for what is decoded."""
    outcome = asked(*flushed([token(), b":" + bytes(10**7)]), limits={"body": "1MB"})

    assert (outcome.request.completion, outcome.request.detail) == ("too_large", "a body of more than 1MB")


def test_one_read_does_not_hold_up_the_loop() -> None:
    """A read that expands without end is given up after 4 MB, long before the limits of an event; 3 MB are taken."""
    bomb = asked(*flushed([token(), b":" + bytes(10**7)]))
    large = asked(*flushed([token(), b":" + b" " * 3_000_000 + b"\n\n", DONE]))

    assert bomb.ending == ("too_large", "one read that decompresses to more than 4MB")
    assert large.ending == ("complete", "")
