"""Whatever a configuration holds, a reader answers with timers or with one sentence, and in little time."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_caddy import GATEWAY
from test_envoy import BOOTSTRAP
from test_haproxy import DEBIAN, NAMED
from test_litellm import CONFIG
from test_nginx import INHERITED

from chaoskit.errors import SpecError
from chaoskit.timeouts import durations
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.known_programs import reading_of

COMMANDS = {
    "nginx": ("nginx", "-p", ".", "-c", "x"),
    "haproxy": ("haproxy", "-f", "x"),
    "envoy": ("envoy", "-c", "x"),
    "caddy": ("caddy", "run", "--config", "x"),
    "litellm": ("litellm", "--config", "x"),
}
GOOD = {"nginx": [INHERITED], "haproxy": [DEBIAN, NAMED], "envoy": [BOOTSTRAP], "caddy": [GATEWAY], "litellm": [CONFIG]}


@pytest.mark.parametrize("name", COMMANDS)
@given(text=st.text())
def test_any_text_is_answered(name: str, text: str) -> None:
    """Of any characters."""
    reading_of(COMMANDS[name], Texts({"x": text}))


@pytest.mark.parametrize("name", COMMANDS)
@given(data=st.data())
def test_a_good_file_that_is_cut_and_mixed_is_answered(name: str, data: st.DataObject) -> None:
    """Pieces of real files in any order, with words that mean something in them."""
    words = st.sampled_from(
        [*"{};#\"'\\`\n:[]&*,-", "${", "<<END\n", "99999999999999999999", "include x;", "import x", "0"]
    )
    text = data.draw(st.sampled_from(GOOD[name]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] + data.draw(words) for a, b in pairwise([0, *cuts, len(text)])]
    if data.draw(st.booleans()):
        pieces.reverse()

    reading_of(COMMANDS[name], Texts({"x": "".join(pieces)}))


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("text", ["{" * 5000, "a {\n" * 5000, "[" * 5000, "- " * 5000, "a: " * 5000, '"' + "\\" * 9999])
def test_depth_has_an_end(name: str, text: str) -> None:
    """Nested thousands deep, a file is refused with a sentence."""
    assert reading_of(COMMANDS[name], Texts({"x": text})).remark


@given(words=st.text(alphabet="0123456789.smhduMwyµn ", max_size=30))
def test_a_duration_is_read_or_refused(words: str) -> None:
    """In every language, and never negative."""
    for read in (durations.nginx, durations.haproxy, durations.go, durations.protobuf, durations.seconds):
        with suppress(SpecError):
            assert read(words) >= 0


@pytest.mark.parametrize(
    ("read", "words", "ns"),
    [
        (durations.nginx, "1h30m", 5400 * 10**9),
        (durations.nginx, "60", 60 * 10**9),
        (durations.nginx, "2M", 60 * 86_400 * 10**9),
        (durations.haproxy, "50000", 50 * 10**9),
        (durations.haproxy, "5m", 300 * 10**9),
        (durations.go, "1h15m30.918s", 4_530_918_000_000),
        (durations.go, "0", 0),
        (durations.protobuf, "0.25s", 250_000_000),
        (durations.seconds, "4.5", 4_500_000_000),
    ],
)
def test_a_duration_has_the_unit_of_its_language(read: object, words: str, ns: int) -> None:
    """Without one it is seconds for nginx, and milliseconds for HAProxy."""
    assert callable(read)
    assert read(words) == ns
