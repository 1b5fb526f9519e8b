"""Reads the timers of Caddy: those of each reverse_proxy of a Caddyfile, and Caddy's defaults.

Defaults: https://caddyserver.com/docs/caddyfile/directives/reverse_proxy and .../options#timeouts; `dial_timeout` 3 s
is that of modules/caddyhttp/reverseproxy/httptransport.go. Event streams are never buffered, unless `response_buffers`
says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chaoskit.errors import SpecError
from chaoskit.timeouts import durations
from chaoskit.timeouts.caddy_syntax import Line, parse
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.timers import Callee, Hold, Kind, Reading, Retries, Route, Timer
from chaoskit.units import Duration

PROGRAM = "Caddy"
_TRANSPORT: dict[str, tuple[Kind, str]] = {
    "dial_timeout": ("connect", "3s"),
    "write_timeout": ("upload", ""),
    "response_header_timeout": ("first-byte", ""),
    "read_timeout": ("idle", ""),
}
_CONTEXTS = ("handle", "handle_path", "route")
_MATCHERS = ("/", "*", "@")
_ADDRESS = re.compile(r"(?:(https?|h2c)://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]*)(?::([0-9]{1,5}))?(/.*)?")


def defaults() -> Reading:
    """A Caddy of which no file is known."""
    site = Line((), "", 0, ())
    return Reading(PROGRAM, tuple(_own(None)), (_route(Line(("reverse_proxy",), "", 0, ()), site, None, ""),))


def read(path: str, files: Files) -> Reading:
    """The timers of this Caddyfile. Raises SpecError."""
    lines = parse(path, files)
    servers = next((each for line in lines[:1] if not line.words for each in line.all("servers")), None)
    timeouts = next(servers.all("timeouts"), None) if servers is not None else None
    sites = [each for each in lines if each.words and each.block is not None]
    is_one_site = lines and not any(_is_address(each) for each in sites)
    if is_one_site and lines[0].words:
        sites = [Line(lines[0].words, path, lines[0].line, lines[1:])]
    routes = [route for site in sites for route in _routes(site.block or (), site, timeouts, "")]
    if not routes:
        raise SpecError(f"{path}: has no reverse_proxy")
    return Reading(PROGRAM, tuple(_own(timeouts)), tuple(routes))


def _is_address(line: Line) -> bool:
    is_directive = line.name in (*_CONTEXTS, "reverse_proxy")
    return not is_directive and all(_ADDRESS.fullmatch(word.rstrip(",")) for word in line.words)


def _option(block: Line | None, name: str) -> Line | None:
    return next(block.all(name), None) if block is not None else None


def _timer(kind: Kind, name: str, default: str, block: Line | None, owner: Line | None) -> Timer:
    """The timer of this name in a block; where there is none, `owner` is the proxy that would have it."""
    found = _option(block, name)
    words = found.words[1] if found is not None and len(found.words) > 1 else default
    value = durations.go(words) if words else None
    where = ""
    if block is not None:
        where = f"the {block.name} block of {block.place}"
    elif owner is not None and owner.line:
        where = f"a transport http block of the {owner.name} of {owner.place}"
    return Timer(
        kind=kind,
        value=value if value or kind in ("reuse", "keep-alive") else None,
        name=name,
        place=found.place if found is not None else where,
        written=f"{name} {{}}s",
        is_default=found is None,
        program=PROGRAM,
    )


def _own(timeouts: Line | None) -> Iterator[Timer]:
    yield _timer("keep-alive", "idle", "5m", timeouts, None)
    yield _timer("request", "read_body", "", timeouts, None)


def _routes(lines: Sequence[Line], site: Line, timeouts: Line | None, path: str) -> Iterator[Route]:
    named = {each.name: _matched(each) for each in lines if each.name.startswith("@")}
    for each in lines:
        matcher = each.words[1] if len(each.words) > 1 and each.words[1].startswith(_MATCHERS) else ""
        below = path + named.get(matcher, matcher if matcher.startswith("/") else "").rstrip("*")
        if each.name in _CONTEXTS and each.block is not None:
            yield from _routes(each.block, site, timeouts, below)
        elif each.name == "reverse_proxy":
            yield _route(each, site, timeouts, below)


def _matched(matcher: Line) -> str:
    """The first path of a named matcher; "" where it has none."""
    lines = [matcher.words[1:], *(each.words for each in matcher.block or ())]
    return next((words[1] for words in lines if len(words) > 1 and words[0] == "path"), "")


def _route(proxy: Line, site: Line, timeouts: Line | None, path: str) -> Route:
    transport = _option(proxy, "transport")
    timers = [_timer(kind, name, default, transport, proxy) for name, (kind, default) in _TRANSPORT.items()]
    if _option(timeouts, "write") is not None:
        timers.append(_timer("total", "write", "", timeouts, None))
    kept = _option(transport, "keepalive")
    if kept is None or kept.words[1:] != ("off",):
        timers.append(_timer("reuse", "keepalive", "2m", transport, proxy))
    return Route(
        callees=tuple(_callees(proxy)),
        timers=tuple(timers),
        ports=frozenset(filter(None, (_port(word.rstrip(",")) for word in site.words))),
        path=path,
        retries=_retries(proxy, timers[0].value),
        holds=tuple(_holds(proxy)),
    )


def _port(address: str) -> int | None:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return None
    return int(found[3]) if found[3] else 80 if found[1] == "http" else 443


def _callees(proxy: Line) -> Iterator[Callee]:
    named = [(proxy, word) for word in proxy.words[1:] if not word.startswith(_MATCHERS)]
    named += [(to, word) for to in proxy.all("to") for word in to.words[1:]]
    for line, each in named:
        found = _ADDRESS.fullmatch(each)
        if found is not None and found[2]:
            port = int(found[3]) if found[3] else 443 if found[1] == "https" else 80
            yield Callee(found[2].strip("[]"), port, line.place)


def _retries(proxy: Line, connect: Duration | None) -> Retries:
    """A request that could not be sent is tried again: so often, or for so long."""
    count, length = _option(proxy, "lb_retries"), _option(proxy, "lb_try_duration")
    if count is not None and len(count.words) > 1 and count.words[1].isascii() and count.words[1].isdigit():
        return Retries(int(count.words[1][:6]), frozenset({"connect"}), "lb_retries", count.place)
    if length is not None and len(length.words) > 1 and connect:
        count_in_time = durations.go(length.words[1]) // connect
        return Retries(count_in_time, frozenset({"connect"}), "lb_try_duration", length.place)
    return Retries(0)


def _holds(proxy: Line) -> Iterator[Hold]:
    for name in ("response_buffers", "buffer_responses"):
        for each in proxy.all(name):
            yield Hold(f"buffers responses ({name} in {each.place})", f"remove {name} from {each.place}", True)
