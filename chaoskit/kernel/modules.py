"""Loads kernel modules from a given tree, without kmod and its configuration.

A guest kernel runs on the host's files, whose /lib/modules belongs to the host's kernel; the guest's
modules are elsewhere. Dependencies are loaded first; built-in and loaded modules are skipped.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path

from chaoskit.errors import RefusedError

LAB_MODULES = (
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
"""The modules that a lab and its faults need, where the kernel does not have them built in."""

_libc = ctypes.CDLL(None, use_errno=True)


def load(names: Iterable[str], tree: Path) -> None:
    """Load each module of `names` from `tree`, the directory that holds modules.dep.

    Raises RefusedError when the tree has no module of a name, or when the kernel refuses a file.
    """
    needed = _read(tree / "modules.dep")
    builtin = frozenset(module_name(line) for line in _read(tree / "modules.builtin").splitlines())
    for path in load_order(names, needed, builtin):
        _insert(tree / path)


def load_order(names: Iterable[str], dependencies: str, builtin: frozenset[str]) -> list[str]:
    """The files to insert, in order, each once.

    `dependencies` is the text of modules.dep: each line is a file, a colon, and its dependencies, nearest first.
    """
    lines = dict(line.split(":", 1) for line in dependencies.splitlines() if ":" in line)
    paths = {module_name(path): path for path in lines}
    order: list[str] = []
    for wanted in names:
        if wanted in builtin:
            continue
        if wanted not in paths:
            raise RefusedError(f"there is no module {wanted}: install the modules of the running kernel")
        path = paths[wanted]
        order += [each for each in [*reversed(lines[path].split()), path] if each not in order]
    return order


def module_name(path: str) -> str:
    """The module's name as the kernel writes it: `drivers/net/my-nic.ko` is `my_nic`."""
    return Path(path).name.partition(".")[0].replace("-", "_")


def _insert(path: Path) -> None:
    image = path.read_bytes()
    if _libc.init_module(image, ctypes.c_ulong(len(image)), b"") == 0:
        return
    code = ctypes.get_errno()
    if code == errno.EEXIST:
        return
    remedy = "run as root" if code == errno.EPERM else f"use the modules of kernel {os.uname().release}"
    raise RefusedError(f"the kernel does not load {path}: {os.strerror(code)}; {remedy}")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise RefusedError(f"cannot read {path}: {error.strerror}; give a directory that depmod wrote") from error
