"""Recognises the proxies and servers whose timers can be read, from the words of a host's command.

| program                       | its configuration                                                          |
|-------------------------------|----------------------------------------------------------------------------|
| nginx                         | `-c FILE`; without it, nginx's defaults                                    |
| haproxy                       | `-f FILE`, several                                                         |
| envoy                         | `-c FILE`, `--config-path FILE`, `--config-yaml TEXT`                      |
| caddy                         | `run --config FILE`; without it, `Caddyfile`; `reverse-proxy --to ADDRESS` |
| litellm                       | `--config FILE`                                                            |
| uvicorn, gunicorn, hypercorn  | options, for how long they keep idle connections                           |
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from chaoskit.errors import SpecError
from chaoskit.timeouts import caddy, durations, envoy, haproxy, litellm, nginx
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.timers import Callee, Reading, Timer
from chaoskit.timeouts.yaml_lines import compose

_ENDS = frozenset({";", "&&", "||", "|", "&"})
_SERVERS = {
    "uvicorn": ("--timeout-keep-alive", "5"),
    "gunicorn": ("--keep-alive", "2"),
    "hypercorn": ("--keep-alive", "5"),
}
_STARTERS = ("exec", "env", "nice", "stdbuf", "setsid")
_PREFIXES = ("python", "python3")
KNOWN = ("nginx", "haproxy", "envoy", "caddy", "litellm", *_SERVERS)


def reading_of(command: Sequence[str], files: Files) -> Reading:
    """What the program of this command waits for; with a remark where it has a file that cannot be read."""
    name, options = _program(command)
    try:
        match name:
            case "nginx":
                return _nginx(options, files)
            case "haproxy":
                paths = tuple(map(_path, _values(options, "-f")))
                return haproxy.read(paths, files) if paths else Reading(haproxy.PROGRAM)
            case "envoy":
                return _envoy(options, files)
            case "caddy":
                return _caddy(options, files)
            case "litellm":
                return _litellm(options, files)
            case "":
                return Reading()
            case _:
                return _server(name, options)
    except SpecError as error:
        return Reading(name, remark=f"the timers of {name} are not read: {error}")


def _program(command: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The known program that a command starts, with its words; "" when there is none."""
    words = list(command)
    if tuple(words[:2]) == ("/bin/sh", "-c") and len(words) > 2:
        try:
            words = list(shlex.shlex(words[2], posix=True, punctuation_chars=True))
        except ValueError:
            return "", ()
    for index, word in enumerate(words):
        name = posixpath.basename(word)
        if name in KNOWN and _may_start(words[:index]):
            rest = words[index + 1 :]
            end = next((n for n, each in enumerate(rest) if each in _ENDS), len(rest))
            return name, rest[:end]
    return "", ()


def _may_start(before: Sequence[str]) -> bool:
    """Whether what is before a word is no program of its own: nothing, assignments, `exec`, `env`, `python -m`."""
    start = max((n + 1 for n, each in enumerate(before) if each in _ENDS), default=0)
    words = [each for each in before[start:] if "=" not in each]
    is_module = len(words) > 1 and posixpath.basename(words[-2]).startswith(_PREFIXES) and words[-1] == "-m"
    return is_module or all(each in _STARTERS or each.startswith("-") for each in words)


def _values(options: Sequence[str], *names: str) -> Iterator[str]:
    """The values of an option, in each way that it is written: `-c x`, `-cx`, `--config=x`."""
    for index, each in enumerate(options):
        for name in names:
            if each == name and index + 1 < len(options):
                yield options[index + 1]
            elif name.startswith("--") and each.startswith(f"{name}="):
                yield each[len(name) + 1 :]
            elif not name.startswith("--") and len(name) == 2 and each.startswith(name) and len(each) > 2:
                yield each[2:]


def _value(options: Sequence[str], *names: str) -> str:
    return next(_values(options, *names), "")


def _path(words: str) -> str:
    """A path as a shell would see it in the folder that the command is started in."""
    for folder in ("$PWD/", "${PWD}/"):
        words = words.removeprefix(folder)
    return posixpath.normpath(words)


def _nginx(options: Sequence[str], files: Files) -> Reading:
    path, prefix = _value(options, "-c"), _value(options, "-p")
    if not path:
        return nginx.defaults()
    found = nginx.read(_path(posixpath.join(prefix, path)), files)
    if prefix or path.startswith(("/", "$")):
        return found
    folder = "a folder of its own, in Debian /usr/share/nginx"
    return replace(found, remark=f"nginx looks for {path} in {folder}; add -p . to its command")


def _envoy(options: Sequence[str], files: Files) -> Reading:
    if text := _value(options, "--config-yaml"):
        return envoy.of_document(compose(text, "--config-yaml"))
    path = _value(options, "-c", "--config-path")
    return envoy.read(_path(path), files) if path else Reading(envoy.PROGRAM)


def _caddy(options: Sequence[str], files: Files) -> Reading:
    if options[:1] == ["reverse-proxy"]:
        (route,) = caddy.defaults().routes
        called = (each.removeprefix("http://").rpartition(":") for each in _values(options, "--to", "-t"))
        callees = tuple(Callee(host, int(port) if port.isdecimal() else None, "--to") for host, _, port in called)
        return replace(caddy.defaults(), routes=(replace(route, callees=callees),))
    path = _value(options, "--config", "-c")
    if not path and options[:1] == ["run"] and files.matching("Caddyfile"):
        path = "Caddyfile"
    if path.endswith(".json"):
        raise SpecError(f"{path}: of Caddy's files, Caddyfiles are read")
    return caddy.read(_path(path), files) if path else caddy.defaults()


def _litellm(options: Sequence[str], files: Files) -> Reading:
    kept = _value(options, "--keepalive_timeout")
    own = (_kept("uvicorn", "--keepalive_timeout", kept or "5", not kept),)
    path = _value(options, "--config", "-c")
    found = litellm.read(_path(path), files) if path else Reading(litellm.PROGRAM)
    return replace(found, own=own)


def _server(name: str, options: Sequence[str]) -> Reading:
    option, default = _SERVERS[name]
    given = _value(options, option)
    return Reading(name, (_kept(name, option, given or default, not given),))


def _kept(program: str, option: str, words: str, is_default: bool) -> Timer:
    return Timer("keep-alive", durations.seconds(words), option, "its command", f"{option} {{}}", is_default, program)
