"""Reads the timers of nginx: those of each location, inherited ones included, and its defaults.

Defaults are those of https://nginx.org/en/docs/http/: ngx_http_core_module, ngx_http_proxy_module,
ngx_http_grpc_module, ngx_http_fastcgi_module, ngx_http_uwsgi_module, ngx_http_upstream_module, ngx_http_gzip_module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaoskit.errors import SpecError
from chaoskit.timeouts import durations
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.nginx_syntax import Directive, parse
from chaoskit.timeouts.timers import Callee, Hold, Kind, Reading, Retries, Route, Timer, mended
from chaoskit.units import Duration

PROGRAM = "nginx"
_PASSES = {f"{module}_pass": module for module in ("proxy", "grpc", "fastcgi", "uwsgi", "scgi")}
_OF_CALLS: dict[str, tuple[Kind, str]] = {
    "connect_timeout": ("connect", "60s"),
    "send_timeout": ("upload", "60s"),
    "read_timeout": ("idle", "60s"),
}
_OWN: dict[str, tuple[Kind, str]] = {
    "keepalive_timeout": ("keep-alive", "75s"),
    "send_timeout": ("send", "60s"),
    "client_header_timeout": ("request", "60s"),
    "client_body_timeout": ("request", "60s"),
}
_REUSE = "60s"  # keepalive_timeout of an upstream
_CONTEXTS = ("server", "location", "if", "limit_except")
_URL = re.compile(r"(?:(?:https?|grpcs?)://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?(?:/.*)?")
_PLAIN_PREFIX = re.compile(r"[A-Za-z0-9_/-]*")
_EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class _Scope:
    """What is in force in a context: the last directive of each name, of this context or of one around it."""

    opened: Directive | None = None
    directives: dict[str, Directive] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    ports: frozenset[int] = frozenset()
    path: str = ""

    def entered(self, block: Directive) -> _Scope:
        inside = block.block or ()
        own = {each.name: each for each in inside if each.block is None}
        variables = {each.words[0]: each.words[1] for each in inside if each.name == "set" and len(each.words) == 2}
        ports, path = self.ports, self.path
        if block.name == "server":
            ports = frozenset(filter(None, (_port(each) for each in inside if each.name == "listen"))) or frozenset(
                {80}
            )
        if block.name == "location" and block.words:
            path = _prefix(block.words)
        return _Scope(block, {**self.directives, **own}, {**self.variables, **variables}, ports, path)

    def word(self, name: str, default: str) -> str:
        """The first word of a directive."""
        found = self.directives.get(name)
        return found.words[0] if found is not None and found.words else default

    def place(self, name: str) -> str:
        """The line of a directive, or, where it is nowhere, the block that it would be written in."""
        if name in self.directives:
            return self.directives[name].place
        return f"the {self.opened.name} of {self.opened.place}" if self.opened is not None else "the http block"

    def timer(self, name: str, kind: Kind, default: str) -> Timer:
        value = durations.nginx(self.word(name, default))
        return Timer(
            kind=kind,
            value=value if value or kind in ("keep-alive", "reuse") else None,
            name=name,
            place=self.place(name),
            written=f"{name} {{}}s;",
            is_default=name not in self.directives,
            program=PROGRAM,
        )


def defaults() -> Reading:
    """An nginx of which no file is known."""
    return Reading(PROGRAM, tuple(_own(_Scope())), (_route(_Scope(), "proxy", (), None),))


def read(path: str, files: Files) -> Reading:
    """The timers of this configuration. Raises SpecError."""
    found = parse(path, files)
    http = [each for each in found if each.name == "http" and each.block is not None]
    if not http:
        raise SpecError(f"{path}: has no http block")
    routes: list[Route] = []
    own: tuple[Timer, ...] = ()
    for each in http:
        scope = _Scope().entered(each)
        own = own or tuple(_own(next(_servers(each, scope), scope)))
        upstreams = {
            inner.words[0]: inner for inner in each.block or () if inner.name == "upstream" and len(inner.words) == 1
        }
        routes += _routes(each, scope, upstreams)
    return Reading(PROGRAM, own, tuple(routes))


def _own(scope: _Scope) -> Iterator[Timer]:
    for name, (kind, default) in _OWN.items():
        yield scope.timer(name, kind, default)


def _servers(http: Directive, scope: _Scope) -> Iterator[_Scope]:
    return (scope.entered(each) for each in http.block or () if each.name == "server")


def _routes(context: Directive, scope: _Scope, upstreams: dict[str, Directive]) -> Iterator[Route]:
    for each in context.block or ():
        if each.name in _CONTEXTS and each.block is not None:
            yield from _routes(each, scope.entered(each), upstreams)
        elif module := _PASSES.get(each.name):
            upstream, callees = _callees(each, scope, upstreams)
            yield _route(scope, module, callees, upstream)


def _callees(
    passed: Directive, scope: _Scope, upstreams: dict[str, Directive]
) -> tuple[Directive | None, tuple[Callee, ...]]:
    """The upstream block that is passed to, if it is one, and the hosts."""
    words = passed.words[0] if passed.words else ""
    for name in sorted(scope.variables, key=len, reverse=True):
        words = words.replace("${" + name.removeprefix("$") + "}", scope.variables[name])
        words = words.replace(name, scope.variables[name])
    split = _URL.fullmatch(words)
    if split is None:
        return None, ()
    upstream = upstreams.get(split[1]) if split[2] is None else None
    if upstream is None:
        port = int(split[2]) if split[2] else 443 if words.startswith(("https:", "grpcs:")) else 80
        return None, (Callee(split[1].strip("[]"), port, passed.place),)
    servers = (each for each in upstream.block or () if each.name == "server" and each.words)
    split_servers = ((each, _URL.fullmatch(each.words[0])) for each in servers)
    return upstream, tuple(
        Callee(found[1].strip("[]"), int(found[2] or 80), each.place) for each, found in split_servers if found
    )


def _route(scope: _Scope, module: str, callees: tuple[Callee, ...], upstream: Directive | None) -> Route:
    timers = [scope.timer(f"{module}_{name}", kind, default) for name, (kind, default) in _OF_CALLS.items()]
    inside = _Scope().entered(upstream) if upstream is not None else _Scope()
    if "keepalive" in inside.directives:
        timers.append(inside.timer("keepalive_timeout", "reuse", _REUSE))
    return Route(
        callees=callees,
        timers=tuple(timers),
        ports=scope.ports,
        path=scope.path,
        retries=_retries(scope, module, len(callees), timers[0].value),
        holds=tuple(_holds(scope, module)),
    )


def _retries(scope: _Scope, module: str, servers: int, connect: Duration | None) -> Retries:
    """A request goes to another server of its upstream, to each once; a POST that has been sent does not."""
    name = f"{module}_next_upstream"
    found = scope.directives.get(name)
    words = found.words if found is not None else ("error", "timeout")
    if "off" in words or not {"error", "timeout"} & set(words):
        return Retries(0, name=name, place=scope.place(name), is_default=found is None)
    most = max(servers, 1) - 1
    tries = _number(scope.word(f"{name}_tries", "0"))
    if tries:
        most = min(most, tries - 1)
    limit = durations.nginx(scope.word(f"{name}_timeout", "0"))
    if limit and connect:
        most = min(most, limit // connect)
    after: frozenset[Kind] = frozenset({"connect"})
    if {"timeout", "non_idempotent"} <= set(words):
        after |= {"idle"}
    return Retries(most, after, name, scope.place(name), is_default=found is None)


def _number(words: str) -> int:
    return int(words) if words.isascii() and words.isdigit() and len(words) < 10 else 0


def _holds(scope: _Scope, module: str) -> Iterator[Hold]:
    """What keeps tokens back; where it is a matter of the upstream's chunks it is not certain."""
    name = f"{module}_buffering"
    if module == "grpc" or scope.word(name, "on") != "on":
        return
    mend = mended(f"{name} off;", scope.place(name))
    types = scope.directives.get("gzip_types")
    if scope.word("gzip", "off") == "on" and types is not None and {_EVENT_STREAM, "*"} & set(types.words):
        gzip = scope.directives["gzip"].place
        yield Hold(f"compresses event streams (gzip in {gzip}) and buffers them: tokens come in one piece", mend, True)
        return
    says = f"{name} in {scope.place(name)}" if name in scope.directives else f"nginx's default {name}"
    version = scope.directives.get("proxy_http_version")
    if module == "proxy" and (version is None or version.words == ("1.0",)):
        asks = "asks by HTTP/1.0" + (", as nginx before 1.29.7 does" if version is None else "")
        yield Hold(f"buffers ({says}) and {asks}: without chunks tokens wait for a full buffer", mend, True)
    else:
        yield Hold(f"buffers ({says}): tokens of a response without chunks wait for a full buffer", mend, False)


def _port(listen: Directive) -> int | None:
    words = listen.words[0] if listen.words else ""
    if words.startswith("unix:"):
        return None
    last = words.rpartition(":")[2] if not words.endswith("]") else ""
    return _number(last) or 80


def _prefix(words: tuple[str, ...]) -> str:
    """The beginning of the paths of a location: of a regular expression what is plain text in it."""
    if words[0] in ("~", "~*") and len(words) > 1:
        found = _PLAIN_PREFIX.match(words[1].removeprefix("^"))
        return found[0] if found and words[1].startswith("^") else ""
    if words[0].startswith("@"):
        return words[0]
    return words[1] if words[0] in ("=", "^~") and len(words) > 1 else words[0]
