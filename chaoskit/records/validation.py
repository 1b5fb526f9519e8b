"""What a record may hold, read off its dataclass. Every record that is read passes here, and nowhere else.

| annotation       | holds                                                             |
|------------------|-------------------------------------------------------------------|
| `int`            | a whole number from 0 to 2^60; below 0 only where `_SIGNED` says  |
| `dict[str, int]` | names with whole numbers from 0 to 2^64, as the kernel gives them |
| `str`            | text that can be written as UTF-8                                 |
| `Literal`        | one of its words                                                  |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from chaoskit.records.model import KINDS, TOKENS, Event, Read, Record, Signs
from chaoskit.records.untrusted_files import MOST, excerpt, is_text

R = TypeVar("R")

_SIGNED = ("lag", "late")  # a clock may be read before the time that was meant
_KERNELS_MOST = 2**64
_HEAD, _EVENT = 5, 4  # numbers of a read's line before its events, and of each event


class _Field(NamedTuple):
    is_right: Callable[[Any], bool]
    expected: str


def record(kind: type[R], value: Any) -> R:
    """The record that a line's JSON value stands for. Raises ValueError with a sentence."""
    if kind is Read:
        return _read(value)  # type: ignore[return-value]
    if kind is Signs:
        return _signs(value)  # type: ignore[return-value]
    fields, needed = _FIELDS[kind]
    if not isinstance(value, dict):
        raise ValueError(f"{excerpt(value)} instead of an object, as each {kind.__name__} is one")
    for name, found in value.items():
        field = fields.get(name)
        if field is None:
            raise ValueError(f"{excerpt(name)} is no part of a {kind.__name__}")
        if not field.is_right(found):
            raise ValueError(f"{name} is {excerpt(found)}, expected {field.expected}")
    for name in needed:
        if name not in value:
            raise ValueError(f"a {kind.__name__} without {name}")
    if "faults" in value:
        value["faults"] = tuple(value["faults"])
    return kind(**value)


def _fields(kind: Any) -> tuple[Mapping[str, _Field], tuple[str, ...]]:
    """How each field of a dataclass looks, and the names of those that must be there."""
    hints = get_type_hints(kind)
    needed = tuple(
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    return {name: _field(name, hint) for name, hint in hints.items()}, needed


def _field(name: str, hint: Any) -> _Field:
    origin, words = get_origin(hint), get_args(hint)
    if origin is UnionType and NoneType in words:
        (inner,) = (word for word in words if word is not NoneType)
        one = _field(name, inner)
        return _Field(lambda value: value is None or one.is_right(value), f"{one.expected}, or null")
    if origin is Literal:
        return _Field(lambda value: isinstance(value, str) and value in words, f"one of {', '.join(words)}")
    if origin is tuple:
        return _Field(lambda value: isinstance(value, list) and all(map(_is_text, value)), "a list of texts")
    if origin is dict:
        return _Field(_are_kernels, "names with whole numbers")
    if hint is bool:
        return _Field(lambda value: isinstance(value, bool), "true or false")
    if hint is str:
        return _Field(_is_text, "a text")
    assert hint is int, hint
    if name in _SIGNED:
        return _Field(lambda value: type(value) is int and -MOST < value < MOST, "a whole number")
    return _Field(_is_whole, "a whole number from 0 to 2^60")


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_text(value)


def _are_kernels(value: Any) -> bool:
    if not isinstance(value, dict) or not all(map(is_text, value)):
        return False
    numbers = value.values()
    return not value or (set(map(type, numbers)) == {int} and min(numbers) >= 0 and max(numbers) < _KERNELS_MOST)


def _read(value: Any) -> Read:
    if not isinstance(value, list) or len(value) < _HEAD + _EVENT or (len(value) - _HEAD) % _EVENT:
        raise ValueError(f"{excerpt(value)} instead of [stream, read, at, user, size, kind, seq, due, sent, ...]")
    for place, number in enumerate(value):
        is_stamp = place > _HEAD and (place - _HEAD) % _EVENT
        if not _is_whole(number) and not (is_stamp and number is None):
            raise ValueError(f"value {place + 1} is {excerpt(number)}, expected a whole number from 0 to 2^60")
    events = []
    for place in range(_HEAD, len(value), _EVENT):
        code, *stamps = value[place : place + _EVENT]
        if code >= len(TOKENS):
            raise ValueError(f"value {place + 1} is {excerpt(code)}, expected 0 for {TOKENS[0]} or 1 for {TOKENS[1]}")
        events.append(Event(KINDS[code], *stamps))
    stream, read, at, user, size = value[:_HEAD]
    return Read(stream, read, at, user, size, tuple(events))


def _signs(value: Any) -> Signs:
    names = [field.name for field in dataclasses.fields(Signs)]
    if not isinstance(value, list) or len(value) != len(names) or not all(map(_is_whole, value)):
        raise ValueError(f"{excerpt(value)} instead of whole numbers [{', '.join(names)}]")
    return Signs(*value)


_FIELDS: dict[Any, tuple[Mapping[str, _Field], tuple[str, ...]]] = {
    kind: _fields(kind) for kind in get_args(Record) if kind not in (Read, Signs)
}
