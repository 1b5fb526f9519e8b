"""Reads the secrets of a target, the API key and secret headers, and keeps them in memory only.

Rules: they are read once, before the first request; they are put into headers when a request is sent; no message, no
record and no log has one of them; `hide` takes them out of a text of the server.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from chaoskit.errors import SpecError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.target import Target
from chaoskit.spec.access import HEADER_NAME, HEADER_VALUE
from chaoskit.spec.endpoint import query_values
from chaoskit.spec.workload import Protocol

_AUTHORIZATION = "authorization"
_LARGEST_KEY = 16 * 1024  # bytes; the largest tokens of OpenID Connect have a few thousand
_MIN_SECRET = 6  # characters; shorter values occur in texts by chance


class Credentials:
    """The secrets of one target. Raises SpecError for one that is missing, or that no header can carry."""

    def __init__(self, target: Target, protocol: Protocol, environment: Mapping[str, str] = os.environ) -> None:
        _check_headers(target.headers)
        key = _key(target, environment)
        name = target.key_header or PROTOCOLS[protocol].key.name
        prefix = target.key_prefix or ("Bearer" if name == _AUTHORIZATION else "")
        self._headers = {
            header.lower(): _of_environment(variable, environment) for header, variable in target.header_env.items()
        }
        if key:
            self._headers[name] = f"{prefix} {key}" if prefix else key
        self._key = key
        given = {value for name, value in target.headers.items() if name.lower() != "accept-encoding"}
        others = {*query_values(target.url), *given, *self._headers.values()}
        self._hidden = sorted((value for value in others if len(value) >= _MIN_SECRET), key=len, reverse=True)

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The secret headers, for a request that is about to be sent."""
        return [(name.encode(), value.encode()) for name, value in self._headers.items()]

    def hide(self, text: str) -> str:
        """The text without the API key and other values of the request that a server may echo."""
        if self._key:
            text = text.replace(self._key, "(the API key)")
        for value in self._hidden:
            text = text.replace(value, "(hidden)")
        return text


def warnings(target: Target) -> Iterator[str]:
    """What is careless about the files of its secrets."""
    for file, what in ((target.key_file, "the API key"), (target.client_key, "the client's private key")):
        if file is None or not file.is_file():
            continue
        status = file.stat()
        readers = [who for bit, who in ((stat.S_IRGRP, "group"), (stat.S_IROTH, "others")) if status.st_mode & bit]
        if readers:
            yield f"{file} holds {what} and can be read by {' and '.join(readers)}: chmod go= {file}"
        elif status.st_uid not in (0, os.geteuid(), int(os.environ.get("SUDO_UID", "0") or 0)):
            yield f"{file} holds {what} and is owned by user {status.st_uid}, who can read and replace it"


def _key(target: Target, environment: Mapping[str, str]) -> str:
    if target.key_env:
        return _of_environment(target.key_env, environment)
    return _of_file(target.key_file) if target.key_file else ""


def _of_environment(variable: str, environment: Mapping[str, str]) -> str:
    value = environment.get(variable, "").strip()
    if not value:
        raise SpecError(
            f"variable {variable} is not set: export {variable}=..., and with sudo --preserve-env={variable}"
        )
    if not HEADER_VALUE.fullmatch(value):
        raise SpecError(f"variable {variable} holds characters that no HTTP header can carry; set it anew")
    return value


def _of_file(file: Path) -> str:
    """The key in this file, without the white space around it."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:  # noqa: PTH123  a descriptor, not a path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SpecError(f"{file} is no regular file; give the path of a file that holds the key alone")
            raw = opened.read(_LARGEST_KEY + 1).strip()
    except OSError as error:
        raise SpecError(f"{file}: {error.strerror}; give the path of a file that holds the key alone") from None
    if not raw:
        raise SpecError(f"{file} is empty; write the key into it")
    key = raw.decode("latin-1")
    if len(raw) > _LARGEST_KEY or not HEADER_VALUE.fullmatch(key):
        raise SpecError(f"{file} holds something else than a key on one line; give a file that holds the key alone")
    return key


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raise SpecError before anything is sent. The message has no values: they may be secret."""
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name) or (value and not HEADER_VALUE.fullmatch(value)):
            raise SpecError(f"the header {name!r} has characters that HTTP does not allow; give ASCII on one line")
