"""Reads the timers of HAProxy: those of frontends and backends, `defaults` sections included.

HAProxy has no default timeouts: what is not written never runs out, and it warns of it. Its rules and the defaults of
`retries` (3), `retry-on` (conn-failure) and of timeouts that stand in for others are those of its configuration
manual, sections 2 and 4 (https://docs.haproxy.org/2.6/configuration.html).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from chaoskit.errors import SpecError
from chaoskit.timeouts import durations
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.timers import Callee, Hold, Kind, Reading, Retries, Route, Timer, mended

PROGRAM = "HAProxy"
_SECTIONS = ("defaults", "frontend", "backend", "listen")
_OTHERS = frozenset(
    [
        "global",
        "peers",
        "resolvers",
        "mailers",
        "userlist",
        "cache",
        "program",
        "ring",
        "log-forward",
        "http-errors",
        "fcgi-app",
        "crt-store",
        "traces",
        "acme",
        "log-profile",
    ]
)
_RETRIES = "3"
_TIMED_OUT = frozenset({"response-timeout", "all-retryable-errors"})
_MAX_LINES = 50_000
_WORD = re.compile(r"""(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s\\"'#])+|(#)""")
_ADDRESS = re.compile(r"(?:ipv[46]@)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+|\*?)(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class _Line:
    words: tuple[str, ...]
    place: str


@dataclass
class _Section:
    """One section, and the `defaults` that apply to it."""

    kind: str
    name: str
    place: str
    defaults: _Section | None = None
    lines: list[_Line] = field(default_factory=list)

    def last(self, *words: str) -> _Line | None:
        """The last line that begins with these words; that of `defaults` where there is none here."""
        found = [line for line in self.lines if line.words[: len(words)] == words]
        if found:
            return found[-1]
        return self.defaults.last(*words) if self.defaults is not None else None

    def all(self, word: str) -> Iterator[_Line]:
        return (line for line in self.lines if line.words[0] == word)

    def has_option(self, name: str) -> bool:
        lines = [
            line.words
            for line in self.lines
            if line.words[-2:] == ("option", name) or line.words[:2] == ("option", name)
        ]
        if lines:
            return lines[-1][0] == "option"
        return self.defaults.has_option(name) if self.defaults is not None else False

    @property
    def block(self) -> str:
        """Where a line of it would be written."""
        return f"the {self.kind} section of {self.place}"

    def timer(self, kind: Kind, name: str, *stand_ins: str) -> Timer:
        """A timeout by the last word of its name, or the first of those that stand in for it."""
        for each in (name, *stand_ins):
            line = self.last("timeout", each)
            if line is not None and len(line.words) > 2:
                value = durations.haproxy(line.words[2])
                return Timer(
                    kind, value or None, f"timeout {each}", line.place, f"timeout {each} {{}}s", program=PROGRAM
                )
        return Timer(kind, None, f"timeout {name}", self.block, f"timeout {name} {{}}s", True, PROGRAM)


def read(paths: Sequence[str], files: Files) -> Reading:
    """The timers of these files, which are one configuration. Raises SpecError."""
    sections = [each for each in _sections(_lines(paths, files)) if each.kind != "defaults"]
    backends = {each.name: each for each in sections if each.kind in ("backend", "listen")}
    front = [each for each in sections if each.kind in ("frontend", "listen")]
    if not front:
        raise SpecError(f"{paths[0]}: has no frontend and no listen section")
    routes = [_route(each, backend) for each in front for backend in _backends(each, backends)]
    return Reading(PROGRAM, tuple(_own(front[0])), tuple(routes))


def _lines(paths: Sequence[str], files: Files) -> Iterator[_Line]:
    for path in paths:
        lines = files.read(path).split("\n")
        if len(lines) > _MAX_LINES:
            raise SpecError(f"{path}: more than {_MAX_LINES} lines")
        for number, text in enumerate(lines, 1):
            if words := tuple(_words(text)):
                yield _Line(words, f"{path}:{number}")


def _words(text: str) -> Iterator[str]:
    """The words of a line up to a comment, without quotes and backslashes."""
    for found in _WORD.finditer(text):
        if found[1]:
            return
        yield re.sub(r"""\\(.)|["']""", r"\1", found[0])


def _sections(lines: Iterable[_Line]) -> Iterator[_Section]:
    defaults: dict[str, _Section] = {}
    current, latest = None, None
    for line in lines:
        kind = line.words[0]
        if kind in _SECTIONS:
            name = line.words[1] if len(line.words) > 1 and line.words[1] != "from" else ""
            base = line.words[line.words.index("from") + 1 :] if "from" in line.words else ()
            given = defaults.get(base[0]) if base else (latest if kind != "defaults" else None)
            current = _Section(kind, name, line.place, given)
            if kind == "defaults":
                latest = defaults[name] = current
            yield current
        elif kind in _OTHERS:
            current = None
        elif current is not None:
            current.lines.append(line)


def _backends(front: _Section, backends: dict[str, _Section]) -> Iterator[_Section]:
    """The section itself, where it has servers, and those that it names."""
    if front.kind == "listen" and any(front.all("server")):
        yield front
    names = (line.words[1] for word in ("use_backend", "default_backend") for line in front.all(word) if line.words[1:])
    yield from (backends[name] for name in dict.fromkeys(names) if name in backends and backends[name] is not front)


def _own(front: _Section) -> Iterator[Timer]:
    yield front.timer("send", "client")
    yield front.timer("request", "http-request", "client")
    yield front.timer("keep-alive", "http-keep-alive", "http-request", "client")


def _route(front: _Section, back: _Section) -> Route:
    is_http = "http" in (_mode(front), _mode(back))
    idle = ("server",) if is_http else ("tunnel", "server")
    return Route(
        callees=tuple(_callees(back)),
        timers=(back.timer("connect", "connect"), back.timer("idle", *idle)),
        ports=frozenset(port for line in front.all("bind") for port in _ports(line)),
        retries=_retries(back),
        holds=tuple(_holds(front, back)) if is_http else (),
    )


def _mode(section: _Section) -> str:
    line = section.last("mode")
    return line.words[1] if line is not None and len(line.words) > 1 else "tcp"


def _ports(bind: _Line) -> Iterator[int]:
    for address in bind.words[1].split(",") if len(bind.words) > 1 else ():
        first, _, last = address.rpartition(":")[2].partition("-")
        if first.isascii() and first.isdigit() and len(first) <= 5:
            end = int(last) if last.isascii() and last.isdigit() and len(last) <= 5 else int(first)
            yield from range(int(first), min(end, 65_535) + 1)


def _callees(back: _Section) -> Iterator[Callee]:
    for word, at in (("server", 2), ("server-template", 3)):
        for line in back.all(word):
            found = _ADDRESS.fullmatch(line.words[at]) if len(line.words) > at else None
            if found is not None and found[1]:
                yield Callee(found[1].strip("[]"), int(found[2]) if found[2] else None, line.place)


def _retries(back: _Section) -> Retries:
    """Connections that fail are tried again; a server that is late only where `retry-on` says so."""
    line, on = back.last("retries"), back.last("retry-on")
    words = line.words[1] if line is not None and len(line.words) > 1 else _RETRIES
    if not (words.isascii() and words.isdigit() and len(words) < 10):
        raise SpecError(f"{words[:40]!r} is no number of retries")
    conditions = set(on.words[1:]) if on is not None else {"conn-failure"}
    after: set[Kind] = set()
    if {"conn-failure", "all-retryable-errors"} & conditions:
        after.add("connect")
    if conditions & _TIMED_OUT:
        after.add("idle")
    place = line.place if line is not None else back.block
    return Retries(int(words), frozenset(after), "retries", place, line is None)


def _holds(front: _Section, back: _Section) -> Iterator[Hold]:
    if front.has_option("http-no-delay") or back.has_option("http-no-delay"):
        return
    mend = mended("option http-no-delay", front.block)
    yield Hold("merges small pieces of a response, for up to 200 ms (it has no option http-no-delay)", mend, True)
