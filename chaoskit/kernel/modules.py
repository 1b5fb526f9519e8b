"""Loads kernel modules from a tree of our choosing, without kmod and its configuration.

A guest kernel runs over the host's files, whose /lib/modules belongs to the host's kernel; the guest's
own modules lie elsewhere. Dependencies come first, a module that is built in or already there is fine.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from chaoskit.errors import RefusedError

LAB = (
    "ipv6",
    "veth",
    "sch_netem",
    "ifb",
    "sch_ingress",
    "cls_matchall",
    "cls_flower",
    "cls_u32",
    "act_mirred",
    "act_gact",
    "act_police",
    "tun",
    "tcp_bbr",
    "tcp_dctcp",
)
"""What a lab and its faults need, where the kernel has them as modules."""

_libc = ctypes.CDLL(None, use_errno=True)


def load(names: Iterable[str], tree: Path) -> None:
    """Load each module of `names` from `tree`, the directory that holds modules.dep.

    Raises RefusedError when the tree does not know a name, or when the kernel refuses a file.
    """
    needed = _read(tree / "modules.dep")
    builtin = frozenset(name(line) for line in _read(tree / "modules.builtin").splitlines())
    for path in files(names, needed, builtin):
        _insert(tree / path)


def files(names: Iterable[str], dependencies: str, builtin: frozenset[str]) -> list[str]:
    """The files to insert, in that order, each once.

    `dependencies` is the text of modules.dep: each line a file, a colon, and all that it needs, nearest first.
    """
    lines = dict(line.split(":", 1) for line in dependencies.splitlines() if ":" in line)
    paths = {name(path): path for path in lines}
    order: list[str] = []
    for wanted in names:
        if wanted in builtin:
            continue
        if wanted not in paths:
            raise RefusedError(f"there is no module {wanted}: install the modules of the kernel that runs")
        path = paths[wanted]
        order += [each for each in [*reversed(lines[path].split()), path] if each not in order]
    return order


def name(path: str) -> str:
    """The module's name as the kernel writes it: `drivers/net/my-nic.ko` is `my_nic`."""
    return Path(path).name.partition(".")[0].replace("-", "_")


def _insert(path: Path) -> None:
    image = path.read_bytes()
    if _libc.init_module(image, ctypes.c_ulong(len(image)), b"") == 0:
        return
    code = ctypes.get_errno()
    if code == errno.EEXIST:
        return
    remedy = "run as root" if code == errno.EPERM else f"take the modules of kernel {os.uname().release}"
    raise RefusedError(f"the kernel does not load {path}: {os.strerror(code)}; {remedy}")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise RefusedError(f"cannot read {path}: {error.strerror}; give the directory that depmod wrote") from error
