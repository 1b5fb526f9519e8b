"""Finds the user who called sudo, and runs a command as that user, without chaoskit's own privileges.

sudo(8) gives its caller in SUDO_UID and SUDO_GID. Rules: the ids count, names do not; both must be set and belong to an
account, otherwise nothing is run; root who called sudo, or logged in as root, stays root.
"""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chaoskit.errors import RefusedError, SpecError

_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 38, 47, 4  # prctl(2)
_LIMIT = 2**32 - 1  # (uid_t) -1 is no user


@dataclass(frozen=True)
class Caller:
    """A user's ids, all groups, name and home directory."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str

    def environment(self) -> dict[str, str]:
        """The variables that give a program its user."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}

    def become(self) -> None:
        """Drop this process's privileges to the user's, permanently. Raises OSError; then the process must end."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def caller(environment: Mapping[str, str], user: int) -> Caller | None:
    """The user who called sudo, if this process is root by sudo; else None. Raises RefusedError for unknown ids."""
    uid, gid = environment.get("SUDO_UID"), environment.get("SUDO_GID")
    if user != 0 or (uid is None and gid is None):
        return None
    try:
        account = pwd.getpwuid(_id(uid))
        return _of(account, _id(gid)) if account.pw_uid else None
    except (KeyError, ValueError):
        found = f"SUDO_UID is {uid!r} and SUDO_GID {gid!r}" if uid and gid else "SUDO_UID or SUDO_GID is missing"
        raise RefusedError(
            f"{found}: no account here, so the user of the command is unknown: unset SUDO_UID SUDO_GID, or "
            "chaoskit exec --as-root"
        ) from None


def choose(as_root: bool, notify: Callable[[str], None]) -> Caller | None:
    """The user to run a command as, announced in one sentence; None: this process's own.

    Raises SpecError and RefusedError.
    """
    if as_root:
        if os.geteuid() != 0:
            raise SpecError("--as-root needs root: run it with sudo, or without --as-root")
        return None
    if (found := caller(os.environ, os.geteuid())) is not None:
        notify(f"the command runs as {found.name}, who called sudo; --as-root runs it as root")
    return found


def _of(account: pwd.struct_passwd, gid: int) -> Caller:
    groups = tuple(os.getgrouplist(account.pw_name, gid))
    return Caller(account.pw_uid, gid, groups, account.pw_name, account.pw_dir)


def _id(text: str | None) -> int:
    """A decimal user or group id. Raises ValueError."""
    if text is None or not (text.isascii() and text.isdigit()) or int(text) >= _LIMIT:
        raise ValueError(text)
    return int(text)
