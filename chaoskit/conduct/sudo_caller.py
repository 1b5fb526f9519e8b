"""Who called sudo: a command that chaoskit runs for him is his, with none of the rights that chaoskit itself needs.

sudo(8) tells its caller's numbers in SUDO_UID and SUDO_GID. Rules: numbers count and names do not; both must be given
and be those of an account, else nothing is run; root who called sudo, or logged in as root, stays root.
"""

from __future__ import annotations

import ctypes
import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chaoskit.errors import RefusedError, SpecError

_PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL = 38, 47, 4  # prctl(2)
_LIMIT = 2**32 - 1  # (uid_t) -1 is nobody's number


@dataclass(frozen=True)
class Caller:
    """A user's numbers, with all groups that he is in, his name and his home."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str

    def environment(self) -> dict[str, str]:
        """What tells a program who it is."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}

    def become(self) -> None:
        """Make this process his for good. Raises OSError where that cannot be; then the process must end."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL, 0, 0, 0)
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def caller(environment: Mapping[str, str], user: int) -> Caller | None:
    """Who called sudo, when we are root by it; else None. Raises RefusedError for numbers that make no sense."""
    uid, gid = environment.get("SUDO_UID"), environment.get("SUDO_GID")
    if user != 0 or (uid is None and gid is None):
        return None
    try:
        account = pwd.getpwuid(_number(uid))
        return _of(account, _number(gid)) if account.pw_uid else None
    except (KeyError, ValueError):
        said = f"SUDO_UID is {uid!r} and SUDO_GID {gid!r}" if uid and gid else "one of SUDO_UID and SUDO_GID is missing"
        raise RefusedError(
            f"{said}, which is no account here, so nobody knows whose the command is: unset SUDO_UID SUDO_GID, or "
            "chaoskit exec --as-root"
        ) from None


def choose(as_root: bool, say: Callable[[str], None]) -> Caller | None:
    """Whose a command is to be, told in one sentence; None: whose we are. Raises SpecError, and RefusedError."""
    if as_root:
        if os.geteuid() != 0:
            raise SpecError("--as-root keeps the rights of root, which you are not; take it away")
        return None
    if (found := caller(os.environ, os.geteuid())) is not None:
        say(f"the command runs as {found.name}, who called sudo; --as-root runs it as root")
    return found


def _of(account: pwd.struct_passwd, gid: int) -> Caller:
    groups = tuple(os.getgrouplist(account.pw_name, gid))
    return Caller(account.pw_uid, gid, groups, account.pw_name, account.pw_dir)


def _number(text: str | None) -> int:
    """Digits and nothing else, and the number of somebody. Raises ValueError."""
    if text is None or not (text.isascii() and text.isdigit()) or int(text) >= _LIMIT:
        raise ValueError(text)
    return int(text)
