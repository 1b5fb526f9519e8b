"""Asks Docker's and Podman's API for the process of a container, on unix sockets that root trusts.

Rules: only a socket that belongs to root or to this user is asked, in folders that nobody else can write, because its
answer decides which namespace is entered; every wait and every answer has a bound; the process that an engine names is
checked to be that container's, because an engine in a virtual machine, or another PID namespace, counts differently.
"""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from chaoskit import file_trust
from chaoskit.errors import RefusedError

_DOCKER, _PODMAN, _ROOTLESS = "/var/run/docker.sock", "/run/podman/podman.sock", "podman/podman.sock"
_TIMEOUT = 5.0  # s for a whole answer
_MAX_ANSWER = 4 << 20  # bytes; an inspection has some 10 kB
_NOT_FOUND, _OK = 404, 200
_START_TOLERANCE = 60.0  # s between an engine's and the kernel's time of the start
_INSTEAD = "or give its process: --pid PID"


@dataclass(frozen=True)
class Container:
    """A running container, as an engine describes it. `started` is its date, "" where the engine tells none."""

    id: str
    pid: int
    started: str = ""

    def has_process(self, process: Path) -> bool:
        """Whether the process with this folder in /proc is the container's, by its cgroup or by its start."""
        with suppress(OSError):
            if len(self.id) >= 12 and self.id in (process / "cgroup").read_text():
                return True
        with suppress(OSError, ValueError, StopIteration):
            return abs(_start_time(process) - datetime.fromisoformat(self.started).timestamp()) < _START_TOLERANCE
        return False


def find_container(name: str, environment: Mapping[str, str], uid: int) -> Container:
    """The running container with this name or id. Raises RefusedError with what each engine answered."""
    found: dict[str, Container] = {}
    answers: list[str] = []
    for path in _sockets(environment):
        try:
            container = _inspect(_trusted(path, uid), name)
            found.setdefault(container.id, container)
        except RefusedError as error:
            answers.append(str(error))
    if len(found) > 1:
        raise RefusedError(f"Docker and Podman each have a container {name}: give its id, {_INSTEAD}")
    if not found:
        none = f"neither {_DOCKER} nor {_PODMAN} is there: start Docker, or podman.socket"
        raise RefusedError(f"container {name} not found: {'; '.join(answers) or none}; {_INSTEAD}")
    return next(iter(found.values()))


def _sockets(environment: Mapping[str, str]) -> Iterator[Path]:
    """Where an engine may listen: $DOCKER_HOST alone, or each usual place that exists. Raises RefusedError."""
    if host := environment.get("DOCKER_HOST"):
        scheme, _, path = host.partition("://")
        if scheme != "unix" or not path.startswith("/"):
            raise RefusedError(
                f"DOCKER_HOST is {host[:80]!r}, and only an engine on this machine has namespaces here: "
                f"unset DOCKER_HOST, {_INSTEAD}"
            )
        yield Path(path)
        return
    runtime = environment.get("XDG_RUNTIME_DIR")
    for path in (_DOCKER, _PODMAN, *([f"{runtime}/{_ROOTLESS}"] if runtime else [])):
        if Path(path).exists():
            yield Path(path)


def _trusted(path: Path, uid: int) -> Path:
    """The socket without symbolic links. Raises RefusedError where another user could answer in its place."""
    try:
        socket = path.resolve(strict=True)
        found = socket.lstat()
    except (OSError, RuntimeError) as error:
        raise RefusedError(f"{path}: {getattr(error, 'strerror', None) or 'too many links'}") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise RefusedError(f"{path} is no socket")
    if found.st_uid not in (0, uid):
        raise RefusedError(f"{path} belongs to user {found.st_uid}, so it is not asked")
    if reason := file_trust.untrusted(socket.parent, uid, is_parent=True):
        raise RefusedError(f"{reason}, so {path} is not asked")
    return socket


def _inspect(socket: Path, name: str) -> Container:
    """Raises RefusedError, a sentence about this engine."""
    try:
        status, body = asyncio.run(asyncio.wait_for(_get(socket, f"/containers/{name}/json"), _TIMEOUT))
    except TimeoutError:
        raise RefusedError(f"{socket} did not answer within {_TIMEOUT:g} s") from None
    except (httpx.HTTPError, OSError) as error:
        raise RefusedError(f"{socket} does not answer ({error or type(error).__name__})") from None
    if status == _NOT_FOUND:
        raise RefusedError(f"{socket} has no such container (docker ps shows those that run)")
    answer = _parse(body)
    if status != _OK:
        raise RefusedError(f"{socket} answered {status} {str(answer.get('message', ''))[:200]!r}")
    state = answer.get("State")
    if not isinstance(state, dict) or not isinstance(answer.get("Id"), str) or type(state.get("Pid")) is not int:
        raise RefusedError(f"{socket} gave an answer that is not Docker's")
    if state["Pid"] <= 0:
        raise RefusedError(
            f"{socket}: it does not run ({str(state.get('Status', 'stopped'))[:40]}); docker start {name}"
        )
    return Container(answer["Id"], state["Pid"], str(state.get("StartedAt", "")))


def _parse(body: bytes) -> dict[str, Any]:
    with suppress(ValueError, RecursionError):
        answer = json.loads(body)
        if isinstance(answer, dict):
            return answer
    return {}


async def _get(socket: Path, path: str) -> tuple[int, bytes]:
    """Status and body. Raises RefusedError for a body beyond the limit, httpx.HTTPError and OSError."""
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with (
        httpx.AsyncClient(transport=transport, trust_env=False, timeout=_TIMEOUT) as client,
        client.stream("GET", f"http://localhost{path}", headers={"Accept-Encoding": "identity"}) as response,
    ):
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > _MAX_ANSWER:
                raise RefusedError(f"{socket} gave an answer of more than {_MAX_ANSWER >> 20} MB")
        return response.status_code, body


def _start_time(process: Path) -> float:
    """When the process started, seconds since the epoch, see proc(5). Raises OSError, ValueError and StopIteration."""
    ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
    lines = Path("/proc/stat").read_text().splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime "))
    return booted + ticks / os.sysconf("SC_CLK_TCK")
