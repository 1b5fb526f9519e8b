"""Kills a guest whose owner has died, whatever the guest computes.

The owner is the chaoskit that started the guest. A guest that waits sees its console hang up and powers off; one that
computes without a pause in virtual time sees nothing. So each guest's process group has one more process, forked from
the guest's own before it becomes the kernel:

| what happens            | what it does                                                                         |
|-------------------------|--------------------------------------------------------------------------------------|
| the owner dies          | it waits a moment for the guest, removes the scratch directory, kills the group       |
| the guest's kernel dies | it kills the group: some kernels leave the processes of programs behind, which run on |

Rules: it ends with the group, holds no descriptor of its owner, and no signal but SIGKILL ends it.
"""

from __future__ import annotations

import gc
import os
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

NAME = "chaoskit-guest"  # as ps(1) shows it
_GRACE = 2_000  # ms that a guest may take to power off: it writes to the disk what it has not written
_MAX_DESCRIPTORS = 1 << 20


def start(owner: int, folder: Path, scratch: str) -> None:
    """Fork it from the process that becomes the kernel, which leads its own session. OSError if that fails.

    `owner` is the PID of the process that starts the guest, `scratch` the name of a directory in `folder`.
    """
    kept = []
    try:
        kept.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        kept += (os.pidfd_open(pid) for pid in (owner, os.getpid()))
        if os.getppid() == owner and os.fork() == 0:
            _run(kept, scratch)
    finally:
        for fd in kept:
            os.close(fd)


def _run(kept: list[int], scratch: str) -> NoReturn:
    try:
        gc.disable()  # finalizers of the owner's objects would close descriptors that are reused here
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        _close_all_but(kept)
        with suppress(OSError):
            Path("/proc/self/comm").write_text(NAME)
        folder, owner, guest = kept
        if guest not in _ended(owner, guest, timeout=None) and not _ended(guest, timeout=_GRACE):
            shutil.rmtree(scratch, ignore_errors=True, dir_fd=folder)
    finally:
        os.killpg(0, signal.SIGKILL)  # this process, too
        os._exit(1)


def _ended(*pidfds: int, timeout: int | None) -> list[int]:
    """Those of the processes that have ended, as soon as there is one."""
    poll = select.poll()
    for fd in pidfds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(timeout)]


def _close_all_but(kept: list[int]) -> None:
    """Standard input, the console, too: it hangs up when its last other end closes."""
    begin = 0
    for fd in sorted(kept):
        os.closerange(begin, fd)
        begin = fd + 1
    os.closerange(begin, _MAX_DESCRIPTORS)
