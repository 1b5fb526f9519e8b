"""Builds the command lines of all programs that chaoskit starts.

Rules: Python is started only by `python`, `python_in_guest` or `python_as_init`, a tool by the path that `find`
returns. The current directory may belong to any user while chaoskit may be root: it is neither on Python's module
search path nor on the search path for tools, whatever PATH and PYTHONPATH contain.
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import shutil
import site
import sys
from collections.abc import Mapping
from pathlib import Path

from chaoskit import safe_start

_HOME = str(Path(__file__).resolve().parents[1])
_SUDO_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""sudo's own PATH (`secure_path`) as Debian, Ubuntu and Fedora set it; a virtual environment is not in it."""
_SUDO = re.compile(
    r"\bsudo (?:--preserve-env=\S+ )?(?=(?:apt-get|modprobe|sysctl|ip6?|tc|nft|ip6?tables[\w-]*|chown|chmod|rm|kill)\b"
    r"|\S*chaoskit\b)|, and with sudo --preserve-env=\S+"
)
"""sudo before a command in a sentence."""


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line that runs a module of chaoskit with this interpreter, ignoring PYTHON* variables."""
    return (sys.executable, "-E", *_launch(module, *arguments))


def python_in_guest(module: str, *arguments: str) -> tuple[str, ...]:
    """The same for a guest, whose environment chaoskit sets (PYTHONHASHSEED)."""
    return (sys.executable, *_launch(module, *arguments))


def python_as_init(module: str, *arguments: str) -> tuple[str, ...]:
    """The same for the first process of a guest: no site-packages, no bytecode files, for a quick start."""
    return (sys.executable, "-E", "-S", "-B", *_launch(module, *arguments))


def find(tool: str) -> str | None:
    """The path of a tool; None when it is not installed. A path is returned if it is executable."""
    return shutil.which(tool, path=tool_path(os.environ))


def tool(name: str) -> tuple[str]:
    """The first part of a tool's command line. Raises FileNotFoundError with its name when it is not installed."""
    found = find(name)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return (found,)


def tool_path(environment: Mapping[str, str]) -> str:
    """PATH without relative entries."""
    return _absolute(environment.get("PATH", os.defpath))


def only_absolute(environment: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    """The absolute entries of these search paths of an environment."""
    kept = {name: _absolute(environment[name]) for name in names if name in environment}
    return {name: value for name, value in kept.items() if value}


def sudo(variable: str | None = None) -> str:
    """How to call this program as root: `sudo chaoskit`, or with its path where sudo would not find it; root without.

    `variable` is one of the environment that sudo must keep.
    """
    called = sys.argv[0]
    is_found = "/" not in called or shutil.which("chaoskit", path=_SUDO_PATH) is not None
    program = "chaoskit" if is_found or Path(called).name != "chaoskit" else shlex.quote(called)
    if os.geteuid() == 0:
        return program
    return f"sudo --preserve-env={variable} {program}" if variable else f"sudo {program}"


def typed_by(uid: int, advice: str) -> str:
    """Advice with the commands as this user types them: root without sudo."""
    return advice if uid else _SUDO.sub("", advice)


def _launch(module: str, *arguments: str) -> tuple[str, ...]:
    """-P: neither the current directory nor the script's directory is searched (Python 3.11)."""
    more = _absolute(os.environ.get("PYTHONPATH", "")) if not sys.flags.ignore_environment else ""
    directories = os.pathsep.join(filter(None, (_HOME, more)))
    own = () if site.ENABLE_USER_SITE else ("-s",)
    return ("-P", *own, safe_start.__file__, directories, module, *arguments)


def _absolute(entries: str) -> str:
    return os.pathsep.join(entry for entry in entries.split(os.pathsep) if entry.startswith("/"))
