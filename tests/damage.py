"""Damages run directories as crashes, disks and people do: the same seed makes the same damage.

One to three files are damaged, each in one of the ways below.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_NUMBERS = (
    -1,
    -(10**9),
    0,
    1,
    10**6,
    2**31,
    10**15,
    2**60 - 1,
    2**60,
    2**63,
    2**64 - 1,
    2**64,
    10**30,
    10**400,
    0.5,
    1e300,
    True,
)
_WORDS = ("", "x", "drain", "\u202e", "\x1b[31m", "\U0001f600", "a" * 5000, "-1", "None")
_RAW = ("NaN", "Infinity", "-Infinity", "1e999", '"\\ud800"', "[" * 100_000, "{}", "[]", "null", "9" * 5000, "nonsense")
_LONG = 3 << 20  # bytes


def damage(run: Path, seed: int) -> list[str]:
    """Damage a run directory. Returns descriptions of the damage."""
    chance = random.Random(seed)
    files = sorted(path for path in run.iterdir() if path.is_file())
    chosen = chance.sample(files, min(len(files), chance.choice((1, 1, 2, 3))))
    descriptions = []
    for path in chosen:
        way = chance.choice(WAYS)
        way(path, chance)
        descriptions.append(f"{way.__name__.strip('_')} {path.name}")
    return descriptions


def mend(run: Path) -> None:
    """Make the directory removable."""
    for path in run.iterdir():
        if path.is_file() and not path.is_symlink():
            path.chmod(0o644)


def _cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) + 1)])


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 5, 50)) if data else 0):
        data[chance.randrange(len(data))] = chance.randrange(256)
    path.write_bytes(data)


def _insert(path: Path, chance: random.Random) -> None:
    data, at = path.read_bytes(), chance.randrange(path.stat().st_size + 1)
    extra = chance.choice((b"\xff\xfe", b"\0" * 4096, b"\r\n", b"\n\n", b"{", b"]", b"-", b" ", b"1", b"\xc3"))
    path.write_bytes(data[:at] + extra + data[at:])


def _value(path: Path, chance: random.Random) -> None:
    """Another value somewhere in one JSON value of the file."""
    _change(path, chance, lambda value: _replaced(value, chance, chance.choice((*_NUMBERS, *_WORDS, None, [], {}))))


def _key(path: Path, chance: random.Random) -> None:
    """Remove, add or rename a key or an item."""

    def change(value: Any) -> Any:
        inner = [key for key, held in value.items() if isinstance(held, dict | list)] if isinstance(value, dict) else []
        if inner and chance.random() < 0.7:
            key = chance.choice(sorted(inner))
            return {**value, key: change(value[key])}
        if isinstance(value, dict) and value:
            key = chance.choice(sorted(value))
            held = value.pop(key)
            return chance.choice((value, {**value, f"{key}s": held}, {**value, key: held, "more": 1}))
        if isinstance(value, list) and value:
            return chance.choice((value[:-1], [*value, 1], [value], value[1:]))
        return [value]

    _change(path, chance, change)


def _raw(path: Path, chance: random.Random) -> None:
    """A word that JSON does not have, or too much of it, in the place of a number or text."""
    mark = "\u2603mark"
    _change(path, chance, lambda value: _replaced(value, chance, mark))
    text = path.read_text(errors="surrogateescape").replace(json.dumps(mark), chance.choice(_RAW))
    path.write_text(text, errors="surrogateescape")


def _schema(path: Path, chance: random.Random) -> None:
    version = chance.choice((0, 1, 3, 99, -1, "2", None, 2.5, 10**30))
    _change(path, chance, lambda value: {**value, "schema_version": version} if isinstance(value, dict) else value)


def _order(path: Path, chance: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    chance.shuffle(lines)
    path.write_bytes(b"".join(lines))


def _repeat(path: Path, chance: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if lines:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    path.write_bytes(b"".join(lines))


def _leave_out(path: Path, chance: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(line for line in lines if chance.random() < 0.5))


def _other_file(path: Path, chance: random.Random) -> None:
    others = sorted(other for other in path.parent.iterdir() if other.is_file() and not other.is_symlink())
    path.write_bytes(chance.choice(others).read_bytes())


def _no_file(path: Path, chance: random.Random) -> None:
    """Something else in its place."""
    shutil.copy(path, path.with_name("kept"))
    path.unlink()
    match chance.randrange(8):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to("nowhere")
        case 3:
            path.symlink_to(path)
        case 4:
            path.symlink_to("/dev/zero")
        case 5:
            path.symlink_to("kept")
        case 6:
            path.write_bytes(b"")
        case 7:
            pass
    if not path.is_symlink():
        path.with_name("kept").unlink()


def _unreadable(path: Path, _: random.Random) -> None:
    path.chmod(0)


def _long_line(path: Path, chance: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    long = chance.choice((b"[" + b"1," * (_LONG // 2) + b"1]", b'{"x":"' + b"y" * _LONG + b'"}', b" " * _LONG))
    lines.insert(chance.randrange(len(lines) + 1), long + chance.choice((b"\n", b"")))
    path.write_bytes(b"".join(lines))


WAYS: tuple[Callable[[Path, random.Random], None], ...] = (
    _cut,
    _flip,
    _insert,
    _value,
    _value,
    _value,
    _value,
    _key,
    _key,
    _raw,
    _raw,
    _schema,
    _order,
    _repeat,
    _leave_out,
    _other_file,
    _no_file,
    _no_file,
    _unreadable,
    _long_line,
)


def _change(path: Path, chance: random.Random, change: Callable[[Any], Any]) -> None:
    """Of a file that is one JSON value, this; of one that has a line for each, one of these."""
    text = path.read_text(errors="surrogateescape")
    try:
        path.write_text(json.dumps(change(json.loads(text))))
    except ValueError:
        lines = text.splitlines()
        for number in chance.sample(range(len(lines)), min(len(lines), 1)):
            try:
                lines[number] = json.dumps(change(json.loads(lines[number])), separators=(",", ":"))
            except (ValueError, RecursionError):
                continue
        path.write_text("".join(f"{line}\n" for line in lines), errors="surrogateescape")


def _replaced(value: Any, chance: random.Random, new: Any) -> Any:
    """A value with something else somewhere within it."""
    if isinstance(value, dict) and value:
        key = chance.choice(sorted(value))
        return {**value, key: _replaced(value[key], chance, new)}
    if isinstance(value, list) and value:
        place = chance.randrange(len(value))
        return [*value[:place], _replaced(value[place], chance, new), *value[place + 1 :]]
    return new
