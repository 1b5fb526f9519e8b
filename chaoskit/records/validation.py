"""Validates every record that is read, by the annotations of its dataclass.

| annotation       | valid values                                                      |
|------------------|-------------------------------------------------------------------|
| `int`            | an integer from 0 to 2^60; negative only for fields in `_SIGNED`  |
| `dict[str, int]` | names with integers from 0 to 2^64, as the kernel returns them    |
| other `dict`     | names with texts, integers of 61 bits, true or false              |
| `str`            | text that can be encoded in UTF-8                                 |
| tuple of tuples  | lists of five integers from 0 to 2^60                            |
| `Literal`        | one of its values                                                 |
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Literal, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from chaoskit.records.model import KINDS, TOKENS, Event, Keepalives, Record, SocketRead
from chaoskit.records.untrusted_files import MAX_NUMBER, excerpt, is_encodable

R = TypeVar("R")

_SIGNED = ("lag", "max_late", "code")  # a clock may be read before the due time; a signal may end a program
_COUNTER_LIMIT = 2**64
_LISTS = frozenset(
    ("faults", "remarks", "unreachable", "met", "broken", "undecided", "sent_again")
)  # fields that are tuples
_CODES = ", ".join(f"{code} for {kind}" for code, kind in enumerate(TOKENS))
_HEAD, _EVENT = 6, 4  # numbers of a SocketRead line before its events, and of each event


class _Field(NamedTuple):
    is_valid: Callable[[Any], bool]
    expected: str


def validate(kind: type[R], value: Any) -> R:
    """The record of a line's JSON value. Raises ValueError with a readable message."""
    if kind is SocketRead:
        return _read(value)  # type: ignore[return-value]
    if kind is Keepalives:
        return _keepalives(value)  # type: ignore[return-value]
    fields, required = _FIELDS[kind]
    if not isinstance(value, dict):
        raise ValueError(f"{excerpt(value)} instead of an object, as each {kind.__name__} is one")
    for name, found in value.items():
        field = fields.get(name)
        if field is None:
            raise ValueError(f"{excerpt(name)} is not a field of {kind.__name__}")
        if not field.is_valid(found):
            raise ValueError(f"{name} is {excerpt(found)}, expected {field.expected}")
    for name in required:
        if name not in value:
            raise ValueError(f"a {kind.__name__} without {name}")
    for name in _LISTS.intersection(value):
        value[name] = tuple(tuple(each) if isinstance(each, list) else each for each in value[name])
    return kind(**value)


def _fields(kind: Any) -> tuple[Mapping[str, _Field], tuple[str, ...]]:
    """The validation of each field of a dataclass, and the names of required fields."""
    hints = get_type_hints(kind)
    required = tuple(
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )
    return {name: _field(name, hint) for name, hint in hints.items()}, required


def _field(name: str, hint: Any) -> _Field:
    origin, values = get_origin(hint), get_args(hint)
    if NoneType in values:
        (inner,) = (value for value in values if value is not NoneType)
        one = _field(name, inner)
        return _Field(lambda value: value is None or one.is_valid(value), f"{one.expected}, or null")
    if origin is Literal:
        return _Field(lambda value: isinstance(value, str) and value in values, f"one of {', '.join(values)}")
    if hint == tuple[tuple[int, int, int, int, int], ...]:
        return _Field(
            lambda value: isinstance(value, list) and all(map(_are_five, value)), "lists of five whole numbers"
        )
    if origin is tuple:
        return _Field(lambda value: isinstance(value, list) and all(map(_is_text, value)), "a list of texts")
    if hint == dict[str, int]:
        return _Field(_is_kernel_counters, "names with whole numbers")
    if origin is dict:
        return _Field(_are_attributes, "names with texts, whole numbers, true or false")
    if hint is bool:
        return _Field(lambda value: isinstance(value, bool), "true or false")
    if hint is str:
        return _Field(_is_text, "a text")
    assert hint is int, hint
    if name in _SIGNED:
        return _Field(_is_signed, "a whole number")
    return _Field(_is_integer, "a whole number from 0 to 2^60")


def _is_integer(value: Any) -> bool:
    return type(value) is int and 0 <= value < MAX_NUMBER


def _are_five(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 5 and all(map(_is_integer, value))


def _is_signed(value: Any) -> bool:
    return type(value) is int and -MAX_NUMBER < value < MAX_NUMBER


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_encodable(value)


def _is_kernel_counters(value: Any) -> bool:
    if not isinstance(value, dict) or not all(map(is_encodable, value)):
        return False
    numbers = value.values()
    return not value or (set(map(type, numbers)) == {int} and min(numbers) >= 0 and max(numbers) < _COUNTER_LIMIT)


def _are_attributes(value: Any) -> bool:
    return isinstance(value, dict) and all(
        is_encodable(name) and (_is_text(found) or type(found) is bool or _is_signed(found))
        for name, found in value.items()
    )


def _read(value: Any) -> SocketRead:
    if not isinstance(value, list) or len(value) < _HEAD + _EVENT or (len(value) - _HEAD) % _EVENT:
        form = "[stream, number, at, read_at, looked_at, size, kind, seq, due, sent, ...]"
        raise ValueError(f"{excerpt(value)} instead of {form}")
    for place, found in enumerate(value):
        is_stamp = place > _HEAD and (place - _HEAD) % _EVENT
        if not _is_integer(found) and not (is_stamp and found is None):
            raise ValueError(f"value {place + 1} is {excerpt(found)}, expected a whole number from 0 to 2^60")
    events = []
    for place in range(_HEAD, len(value), _EVENT):
        code, *stamps = value[place : place + _EVENT]
        if code >= len(TOKENS):
            raise ValueError(f"value {place + 1} is {excerpt(code)}, expected {_CODES}")
        events.append(Event(KINDS[code], *stamps))
    stream, number, at, read_at, looked_at, size = value[:_HEAD]
    return SocketRead(stream, number, at, read_at, looked_at, size, tuple(events))


def _keepalives(value: Any) -> Keepalives:
    names = [field.name for field in dataclasses.fields(Keepalives)]
    if not isinstance(value, list) or len(value) != len(names) or not all(map(_is_integer, value)):
        raise ValueError(f"{excerpt(value)} instead of whole numbers [{', '.join(names)}]")
    return Keepalives(*value)


_FIELDS: dict[Any, tuple[Mapping[str, _Field], tuple[str, ...]]] = {
    kind: _fields(kind) for kind in get_args(Record) if kind not in (SocketRead, Keepalives)
}
