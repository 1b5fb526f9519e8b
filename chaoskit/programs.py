"""Which programs chaoskit starts, and how: none of them is found, and no code is loaded, by the current directory.

Rules: a Python is started by `python` or `python_in_guest` and in no other way, a tool by the path that `find` gives.
The current directory may be anybody's, while we may be root: it is no part of Python's module search path, nor of the
search path for tools, whatever PATH and PYTHONPATH say.
"""

from __future__ import annotations

import errno
import os
import shutil
import site
import sys
from collections.abc import Mapping
from pathlib import Path

from chaoskit import safe_start

_HOME = str(Path(__file__).resolve().parents[1])


def python(module: str, *words: str) -> tuple[str, ...]:
    """The command line that runs a module of chaoskit with this interpreter, deaf to all PYTHON* variables."""
    return (sys.executable, "-E", *_launch(module, *words))


def python_in_guest(module: str, *words: str) -> tuple[str, ...]:
    """The same where the environment is of our making, and says how strings are hashed."""
    return (sys.executable, *_launch(module, *words))


def first_python(module: str, *words: str) -> tuple[str, ...]:
    """The same for the first process of a guest: nothing that is installed, nothing written, so that it starts soon."""
    return (sys.executable, "-E", "-S", "-B", *_launch(module, *words))


def find(tool: str) -> str | None:
    """Where a tool is; None when there is none of that name. A path is found where it leads."""
    return shutil.which(tool, path=tool_path(os.environ))


def tool(name: str) -> tuple[str]:
    """The first word of a tool's command line. FileNotFoundError, which names it, when it is not there."""
    found = find(name)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return (found,)


def tool_path(environment: Mapping[str, str]) -> str:
    """PATH without the entries that mean the current directory, or one in it."""
    return _absolute(environment.get("PATH", os.defpath))


def only_absolute(environment: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """These search paths of an environment, as far as they are set, by their absolute entries."""
    kept = {name: _absolute(environment[name]) for name in names if name in environment}
    return {name: value for name, value in kept.items() if value}


def _launch(module: str, *words: str) -> tuple[str, ...]:
    """-P: neither the current directory nor the script's own is searched (Python 3.11)."""
    more = _absolute(os.environ.get("PYTHONPATH", "")) if not sys.flags.ignore_environment else ""
    places = os.pathsep.join(filter(None, (_HOME, more)))
    own = () if site.ENABLE_USER_SITE else ("-s",)
    return ("-P", *own, safe_start.__file__, places, module, *words)


def _absolute(entries: str) -> str:
    return os.pathsep.join(entry for entry in entries.split(os.pathsep) if entry.startswith("/"))
