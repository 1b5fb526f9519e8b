"""Mutates bytes, JSON and YAML into new fuzz input."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import yaml

NASTY: tuple[str, ...] = (
    "", " ", "~", "null", "true", "no", "0", "-0", "-1", "1", "00", "1e999", "-1e999", "1e-999", "nan", "inf", "1_000",
    "9" * 30, "9" * 5000, "0x10", "0o7", "1.", ".5", "1/2", "50%", "101%", "-1%", "1e3%", "0.0000001%", "50", "50ms",
    "-50ms", "1h", "99999999h", "1ns", "0s", "1 s", "1mbit", "1kbps", "0bit", "1e30bit", "1GiB", "0B", "1MiB/s",
    "\ud800", "\x00", "\x1b[31m", "\u202e", "\ufeff", "٣", "½", "ß" * 300, "a" * 70_000, "../../etc/passwd", "/", "-",
    "::", "::1", "[::1]:80", "1.2.3.4/33", "fe80::1%eth0", "localhost", "http://[", "https://a:b@c:99999/d?e#f", "a.b",
    "*", "&a", "<<", "!!python/object:os.system", "{", "}", "[", "]", ":", "#", "'", '"', "|", ">", "%", "@", "`",
    "delay 1ms", "loss gemodel", "loss state 1%", "loss 1% 2% 3% 4%", "limit 0", "rate 1mbit 0 0 0", "slot 1ms",
    "ttft p95 < 1s", "stalls = 0", "p99.99.9 < 1", "phase", "base", "from 0s to 0s", "2024-01-01", "1:30", "=", "\\",
)  # fmt: skip
SPLICE = b"\x00\x01\x7f\x80\xff\n\r\t :,;%{}[]\"'\\"


def of_bytes(*words: bytes) -> Callable[[Random, list[bytes]], bytes]:
    """Flips, cuts, repeats, swaps and joins bytes; puts `words` in."""

    def mutate(random: Random, seeds: list[bytes]) -> bytes:
        data = bytearray(random.choice(seeds))
        for _ in range(random.choice((1, 1, 2, 3, 5, 9))):
            at = random.randrange(len(data) + 1)
            end = min(len(data), at + random.choice((1, 1, 2, 4, 9, 50)))
            match random.randrange(9):
                case 0 if data:
                    data[at % len(data)] ^= 1 << random.randrange(8)
                case 1 if data:
                    data[at % len(data)] = random.randrange(256)
                case 2:
                    del data[at:end]
                case 3:
                    data[at:at] = data[at:end] * random.choice((1, 2, 50))
                case 4:
                    data[at:at] = bytes(random.choice(SPLICE) for _ in range(random.choice((1, 2, 4))))
                case 5:
                    del data[at:]
                case 6:
                    other = random.choice(seeds)
                    cut = random.randrange(len(other) + 1)
                    data[at:] = other[cut:]
                case 7 if words:
                    data[at:end] = random.choice(words)
                case _:
                    data[at:end] = random.choice(NASTY).encode(errors="surrogatepass")[:300]
        return bytes(data[:200_000])

    return mutate


def of_yaml(random: Random, seeds: list[bytes]) -> bytes:
    """Changes the tree of a YAML text, and sometimes its bytes."""
    if random.random() < 0.25:
        return of_bytes(b"&a ", b"*a", b"- ", b"\n  ", b"<<: *a", b"|\n", b"? ")(random, seeds)
    trees = [tree for tree in (_yaml(random.choice(seeds)) for _ in range(2)) if isinstance(tree, dict)]
    if not trees:
        return random.choice(seeds)
    tree = trees[0]
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _change(random, tree, trees[-1])
    return yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass")


def of_json(random: Random, seeds: list[bytes]) -> bytes:
    """Changes the tree of one line of JSON, and sometimes the order of lines, or bytes."""
    if random.random() < 0.3:
        return of_bytes(b"{", b"[" * 5000, b"1e999", b"null", b"NaN", b"\\ud800")(random, seeds)
    lines = random.choice(seeds).splitlines(keepends=True)
    if not lines:
        return b""
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(lines))
        match random.randrange(6):
            case 0:
                del lines[at : at + 1]
            case 1:
                lines.insert(at, random.choice(lines))
            case 2:
                random.shuffle(lines)
            case _:
                lines[at] = _json(random, lines[at])
        if not lines:
            break
    return b"".join(lines)


def _json(random: Random, line: bytes) -> bytes:
    try:
        tree = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if isinstance(tree, dict | list):
        _change(random, tree, tree)
    return json.dumps(tree).encode() + b"\n"


def _yaml(text: bytes) -> Any:
    try:
        return yaml.load(text, yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return None


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Every container and key."""
    found = []
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else list(range(len(part)))
        for key in keys:
            found.append((part, key))
            if isinstance(part[key], dict | list):
                waiting.append(part[key])
    return found


def _change(random: Random, tree: Any, other: Any) -> None:
    places, others = _places(tree), _places(other)
    if not places:
        return
    part, key = random.choice(places)
    whence, which = random.choice(others) if others else (part, key)
    match random.randrange(9):
        case 0:
            del part[key]
        case 1:
            part[key] = [part[key]]
        case 2:
            part[key] = {str(key): part[key]}
        case 3:
            part[key] = json.loads(json.dumps(whence[which]))
        case 4 if isinstance(part, dict):
            part[random.choice((*map(str, part), str(which), random.choice(NASTY)))] = part.pop(key)
        case 5 if isinstance(part, list):
            part.extend([part[key]] * random.choice((1, 3, 30)))
        case 6:
            part[key] = random.choice(([], {}, None, 0, -1, 2**70, True, [[]], {"": None}, 1.5, ["a", "a"]))
        case _:
            part[key] = random.choice(NASTY) if random.random() < 0.7 else f"{part[key]}{random.choice(NASTY)}"
