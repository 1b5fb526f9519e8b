"""Finds the options of an injection's words that were typed without, and the words that are missing."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

_INTERFACE = re.compile(r"(?:eth|en[opsx]|wl|lo$|ppp|tun|tap|veth|docker|bond|wg|br-)[\w.-]*")
_TO = re.compile(r"[\w.-]*\.\w[\w-]*(?::\d+|/\d+)?|:\d+|localhost")
_VERBS = ("add", "change", "replace", "dev", "root", "qdisc", "tc", "netem")
_TIME = re.compile(r"[0-9.]+(?:ms|s|m|min|h)")
_ENDED = ("--cut", "--idle-timeout")
_NEEDED = {"--to": "api.example.com:443", "--down": "delay 80ms", "--for": "60s"}
"""What an injection needs, with values for an example."""


def named(word: str) -> list[str]:
    """A word that is no file, as an interface, a host or a time; nothing of a word of tc's that has no meaning here."""
    if word == "-" or Path(word).exists():
        return [word]
    if word in _VERBS:
        return []
    if _TIME.fullmatch(word):
        return ["--for", word]
    is_interface = _INTERFACE.fullmatch(word) or word in (name for _, name in socket.if_nameindex())
    return ["--interface", word] if is_interface else ["--to", word] if _TO.fullmatch(word) else [word]


def still_needed(words: Sequence[str]) -> Iterator[str]:
    """The options that no injection can do without."""
    given = {word.partition("=")[0] for word in words}
    has = {"--to": given & {"--to", "--everything", "--local-port", "--ip", "--protocol"}}
    has |= {"--down": given & {"--down", "--up", "--size-drop-down", "--size-drop-up", "--mss-clamp", *_ENDED}}
    for option, example in _NEEDED.items():
        if not has.get(option, given & {option}):
            yield from (option, example)
