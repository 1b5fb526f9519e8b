"""A compressed stream loses no time: each event can be read when it has been sent."""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from asking import REQUESTS, post, stream
from serving import SCRIPT, Running, running

from chaoskit.server.coding import coder
from chaoskit.units import Duration

MS = 10**6


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that compresses for clients that accept it."""
    quick = replace(SCRIPT, first_token_median=Duration(MS), first_token_p99=Duration(MS), coding="gzip")
    with running(tmp_path_factory.mktemp("packed"), quick) as server:
        yield server


@pytest.mark.parametrize("api", REQUESTS)
def test_a_stream_is_compressed_for_those_who_accept(packed: Running, api: str) -> None:
    """With Accept-Encoding the same events come compressed, in every API; without it they come as they are."""
    coded = stream(packed, api, accept_encoding="gzip, deflate", x_chaoskit_stream="3")
    plain = stream(packed, api, x_chaoskit_stream="3")

    assert "content-encoding: gzip" in coded.head
    assert "vary: accept-encoding" in coded.head
    assert "content-encoding" not in plain.head
    assert without_stamps(coded.text) == without_stamps(plain.text)


def without_stamps(text: str) -> str:
    """The text without what differs in each run."""
    return re.sub(r'"(due|sent)":\d+|: chaoskit .*', "", text)


def test_each_event_is_flushed(packed: Running) -> None:
    """What has been sent of a compressed stream is whole events at any time: one chunk for each."""
    coded = stream(packed, "openai-chat", accept_encoding="gzip")
    chunks = re.split(rb"\r\n(?:[0-9a-f]+)\r\n", b"\r\n" + coded.raw.partition(b"\r\n\r\n")[2])[1:]
    inflate = zlib.decompressobj(31)
    events = [inflate.decompress(chunk) for chunk in chunks]

    assert sum(b'"chaoskit":' in event for event in events) == 6
    assert all(event.endswith(b"\n\n") for event in events if event)


def test_a_whole_answer_is_compressed(packed: Running) -> None:
    """Without streaming the body has its compressed length."""
    path, body = REQUESTS["openai-chat"]
    coded = post(packed, path, {**body, "stream": False}, accept_encoding="gzip")

    assert coded.is_complete
    assert b'"chat.completion"' in gzip.decompress(coded.body)


@pytest.mark.parametrize(
    ("accepted", "is_coded"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("deflate", False),
        ("", False),
    ],
)
def test_accept_encoding_is_read(accepted: str, is_coded: bool) -> None:
    """The client's list, its weights and its star decide."""
    assert (coder("gzip", accepted, None) is not None) == is_coded


def test_deflate_is_zlibs() -> None:
    """`deflate` is zlib's format, as the RFC has it."""
    found = coder("deflate", "deflate", None)
    assert found is not None

    assert zlib.decompress(found.code(b"one ") + found.end(b"two")) == b"one two"
