"""Tests the errors of invalid options and missing routes, each with what to type next."""

from __future__ import annotations

import pytest
from warm import chaoskit

from chaoskit.errors import RefusedError, SpecError
from chaoskit.pathmtu.prepare import prepare
from chaoskit.spec.options import parse_far_end


@pytest.mark.parametrize(
    ("words", "host", "port"),
    [
        ("api.example.com", "api.example.com", None),
        ("api.example.com:443", "api.example.com", 443),
        ("192.0.2.7", "192.0.2.7", None),
        ("192.0.2.7:80", "192.0.2.7", 80),
        ("2001:db8::7", "2001:db8::7", None),
        ("[2001:db8::7]:80", "2001:db8::7", 80),
    ],
)
def test_a_host_with_and_without_a_port(words: str, host: str, port: int | None) -> None:
    """In the syntax of inject."""
    to = parse_far_end(words)

    assert (to.host, to.port) == (host, port)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("10.0.0.0/8", "no single host"),
        (":443", "no single host"),
        ("https://api.example.com/", "is a URL"),
        ("api.example.com:", "ends in a colon"),
        ("api.example.com:99999", "^port: found .99999., expected 65535 or less$"),
        ("300.300.300.300", "is no host"),
        ("", "empty"),
        ("two words", "is no host"),
    ],
)
def test_an_invalid_host_is_refused(words: str, sentence: str) -> None:
    """With an example of what is."""
    with pytest.raises(SpecError, match=sentence):
        parse_far_end(words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"packets": 0}, "--max-packets: 0 is out of bounds; 20 to 10000, and 120 are enough for most paths"),
        ({"packets": 19}, "--max-packets: 19"),
        ({"packets": 10_001}, "--max-packets: 10001"),
        ({"time": "0s"}, "--max-time: 0s is out of bounds; 1s to 1h, and 30s are enough for most paths"),
        ({"time": "2h"}, "--max-time: 2h"),
        ({"time": "soon"}, "--max-time: "),
        ({"ip": "5"}, "--ip: found '5', expected 4 or 6"),
        ({"host": "127.0.0.1"}, "127.0.0.1 is this machine itself, which has no path: give another host"),
        ({"host": "localhost"}, "localhost is this machine itself"),
        ({"host": "::1"}, "::1 is this machine itself"),
        ({"host": "fe80::1"}, "fe80::1 is link-local, so its path is one link: give an address that routers forward"),
    ],
)
def test_invalid_options(words: dict[str, object], sentence: str) -> None:
    """Which, and what would."""
    asked: dict[str, object] = {"host": "127.0.0.1", "port": None, "ip": None, "packets": 120, "time": "30s"}

    with pytest.raises(SpecError) as complaint:
        prepare(**(asked | words))  # type: ignore[arg-type]

    assert str(complaint.value).startswith(sentence)


def test_a_name_without_an_address() -> None:
    """Is the machine's to refuse, in the words of the other commands."""
    with pytest.raises(RefusedError, match=r"does not resolve .*: check the name, or give its address"):
        prepare("no-such-host.invalid", None, None, 120, "30s")


def test_an_address_of_the_other_version() -> None:
    """Names the one that it has."""
    with pytest.raises(RefusedError, match=r"192\.0\.2\.7 has no IPv6 address, only 192\.0\.2\.7: try --ip 4"):
        prepare("192.0.2.7", None, "6", 120, "30s")


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["127.0.0.1"], 2, "this machine itself"),
        (["no-such-host.invalid"], 3, "does not resolve"),
        (["192.0.2.7", "--max-packets", "1"], 2, "--max-packets: 1"),
        (["10.0.0.0/8"], 2, "no single host"),
    ],
)
def test_the_command_says_one_sentence(words: list[str], code: int, sentence: str) -> None:
    """And ends with whose fault it is."""
    answer = chaoskit("pmtu", *words)

    assert answer.returncode == code
    assert answer.stdout == ""
    assert answer.stderr.startswith("chaoskit: ")
    assert sentence in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
