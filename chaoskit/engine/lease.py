"""What is in force, since when, until when, by whom: one folder for each lease, that anybody may look at.

```
STATE/leases/20261124T120730-4711/lease.json     written, and on the disk, before the first change
                                  journal.jsonl  what is owed
                                  leftovers.json what could not be put back, and why
                                  guard.log      what the guard had to say
```

Rules: a folder goes when its journal owes nothing, `lease.json` first; what cannot be read is told in one
sentence and stands in nobody's way. A lease belongs to a machine, its boot and a network namespace; elsewhere
its journal says nothing. What is obeyed, a journal's debts and the processes that a lease names, nobody but root and
the effective user can have written: the files, their folders and all parents are checked before anything is read.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chaoskit.engine.journal import FILE as JOURNAL
from chaoskit.engine.journal import LIMIT as JOURNAL_LIMIT
from chaoskit.engine.journal import Debt, debts
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder, make_trusted

LEASE, LEFTOVERS, LOG = "lease.json", "leftovers.json", "guard.log"
_FILES = (
    LEASE,
    f"{LEASE}.new",
    LEFTOVERS,
    f"{LEFTOVERS}.new",
    LOG,
    JOURNAL,
)  # all there ever is, in the order of taking away
_LIMIT = 1 << 20  # bytes of a lease
_NETNS_COOKIE = 71  # asm-generic/socket.h: SO_NETNS_COOKIE, a number that no other namespace of this boot will have


@dataclass(frozen=True)
class Location:
    """Where we are: what a lease must share with us for its journal to be about this kernel."""

    machine: str
    boot: str
    namespace: str

    @classmethod
    def look(cls) -> Location:
        """The machine, its boot, and the network namespace of the calling thread."""
        guest = "uml " if "User Mode Linux" in _text("/proc/cpuinfo") else ""
        inode = Path("/proc/thread-self/ns/net").stat().st_ino
        return cls(guest + _text("/etc/machine-id"), _text("/proc/sys/kernel/random/boot_id"), f"{inode}{_cookie()}")


@dataclass(frozen=True)
class Process:
    """A process that cannot be mistaken for a later one with its number. `started` in clock ticks after boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The living process of this number. Raises ProcessLookupError."""
        return cls(pid, int(_stat(pid)[19]))

    @property
    def state(self) -> str:
        """As ps(1) has it: R, S, D, T for stopped; "" when it has ended."""
        with suppress(ProcessLookupError):
            stat = _stat(self.pid)
            if int(stat[19]) == self.started and stat[0] not in "ZX":
                return stat[0]
        return ""

    def send(self, sign: signal.Signals) -> None:
        """Send it a signal, and no later process with its number. Raises PermissionError."""
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(self.pid)
            try:
                if Process.of(self.pid) == self:  # what the descriptor holds cannot be replaced any more
                    signal.pidfd_send_signal(fd, sign)
            finally:
                os.close(fd)


@dataclass(frozen=True)
class Lease:
    """Something of ours in force on an interface. `since` and `until` are dates, for people.

    `ends` is when the guard ends it, in ns of `clock.boottime`; a run's is renewed, and this is its plan's end.
    `words` are the injection's, and can be given to `chaoskit inject` again.
    """

    id: str
    command: str
    by: str
    interface: str
    since: str
    until: str
    ends: int
    words: dict[str, Any]
    machine: str
    boot: str
    namespace: str
    owner: Process | None = None
    guard: Process | None = None

    @property
    def ends_with_its_command(self) -> bool:
        """Whether it is a living exec's: it holds no lock, and puts back itself what it owes."""
        return self.command == "exec" and any(each is not None and each.state for each in (self.owner, self.guard))

    @property
    def here(self) -> Location:
        """Where it is in force."""
        return Location(self.machine, self.boot, self.namespace)


@dataclass(frozen=True)
class FoundLeases:
    """All leases of a state folder. `broken`: of each folder that cannot be read, what is wrong with it."""

    leases: tuple[Lease, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)


def state_folder(environment: Mapping[str, str], uid: int) -> Path:
    """Where this user's leases lie: $CHAOSKIT_STATE, or /var/lib/chaoskit for root, or the XDG state home.

    Raises RefusedError when there is no such place.
    """
    if told := environment.get("CHAOSKIT_STATE"):
        return Path(told).absolute()
    if uid == 0:
        return Path("/var/lib/chaoskit")
    if told := environment.get("XDG_STATE_HOME"):
        return Path(told).absolute() / "chaoskit"
    if told := environment.get("HOME"):
        return Path(told).absolute() / ".local" / "state" / "chaoskit"
    raise RefusedError("there is no place for leases, for HOME is not set: export CHAOSKIT_STATE=DIRECTORY")


def user(environment: Mapping[str, str], uid: int) -> str:
    """Who is at work, for others to read."""
    name = environment.get("SUDO_USER") or environment.get("USER") or environment.get("LOGNAME")
    return name or ("root" if uid == 0 else f"user {uid}")


def period(now: datetime, length: int) -> tuple[str, str]:
    """Since and until, as a lease has them, of `length` ns from now."""
    return tuple(  # type: ignore[return-value]  # it is two
        moment.astimezone(UTC).isoformat(timespec="milliseconds")
        for moment in (now, now + timedelta(microseconds=length / 1000))
    )


class Leases:
    """The leases of a state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def folder(self, id: str) -> Path:
        """Where a lease's files lie."""
        return self.state / "leases" / id

    def open(self, id: str) -> Folder:
        """A lease's folder. Raises OSError, and RefusedError where others could have written what is in it."""
        if not _is_name(id):
            raise FileNotFoundError(2, "no lease has such a name", id)
        with self._opened() as leases:
            return leases.folder(id)

    def begin(self, lease: Lease) -> Folder:
        """Make its folder and write it down; the disk has it on return. Raises RefusedError."""
        try:
            with make_trusted(self.state / "leases") as leases:
                folder = leases.make(lease.id)
                leases.sync()
        except OSError as error:
            raise self._refusal(error) from error
        try:
            self._write(folder, lease)
        except RefusedError:
            folder.close()
            self.end(lease.id)
            raise
        return folder

    def write(self, lease: Lease) -> None:
        """Write a lease down anew, whole or not at all; the disk has it on return. Raises RefusedError."""
        try:
            folder = self.open(lease.id)
        except OSError as error:
            raise self._refusal(error) from error
        with folder:
            self._write(folder, lease)

    def _write(self, folder: Folder, lease: Lease) -> None:
        try:
            folder.replace(LEASE, json.dumps(asdict(lease), indent=1).encode() + b"\n")
        except OSError as error:
            raise self._refusal(error) from error

    def _opened(self) -> Folder:
        return Folder.trusted(self.state / "leases")

    def all(self) -> FoundLeases:
        """Every lease that stands, the oldest first, and what is wrong with the others. Never raises."""
        leases, broken = [], {}
        try:
            with self._opened() as folder:
                names = folder.names()
        except FileNotFoundError:
            return FoundLeases()
        except RefusedError as error:
            return FoundLeases((), {"": str(error)})
        except OSError as error:
            return FoundLeases((), {"": f"cannot read {self.state / 'leases'}: {error.strerror}; try with sudo"})
        for name in names:
            try:
                leases.append(self.read(name))
            except RefusedError as error:
                broken[name] = str(error)
        return FoundLeases(tuple(leases), broken)

    def read(self, id: str) -> Lease:
        """One lease. Raises RefusedError with what is wrong with it."""
        path = self.folder(id) / LEASE
        try:
            with self.open(id) as folder:
                lease = _parse(json.loads(folder.read(LEASE, _LIMIT)))
        except FileNotFoundError as error:
            raise RefusedError(f"lease {id} has no {LEASE}: chaoskit restore {id}") from error
        except OSError as error:
            raise RefusedError(f"cannot read {path}: {error.strerror}; try with sudo") from error
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise RefusedError(f"{path} is torn or was edited: chaoskit restore {id}") from error
        if lease.id != id:
            raise RefusedError(f"{path} is of another lease, {lease.id[:40]!r}: chaoskit restore {id}")
        return lease

    def owed(self, id: str) -> list[Debt]:
        """What its journal still owes, in the order of putting back; nothing when it was never begun.

        Raises RefusedError when it cannot be read, or others could have written it.
        """
        try:
            with self.open(id) as folder:
                return debts(folder.read(JOURNAL, JOURNAL_LIMIT))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RefusedError(f"cannot read {self.folder(id) / JOURNAL}: {error.strerror}; try with sudo") from error

    def note_leftovers(self, id: str, leftovers: list[str]) -> None:
        """Keep, if there is room, what could not be put back."""
        with suppress(OSError, RefusedError), self.open(id) as folder:
            folder.replace(LEFTOVERS, json.dumps(leftovers).encode() + b"\n")

    def leftovers(self, id: str) -> list[str]:
        """What could not be put back when somebody last tried, with the reasons."""
        try:
            with self.open(id) as folder:
                found = json.loads(folder.read(LEFTOVERS, _LIMIT))
        except (OSError, ValueError, RecursionError, RefusedError):
            return []
        return [str(each) for each in found] if isinstance(found, list) else []

    def end(self, id: str) -> None:
        """Take its folder away. Files that are not ours, and what cannot be removed, stay."""
        with suppress(OSError, RefusedError), self._opened() as leases:
            with leases.folder(id) as folder:
                for name in _FILES:
                    with suppress(OSError):
                        folder.remove(name)
            os.rmdir(id, dir_fd=leases.fd)

    def _refusal(self, error: OSError) -> RefusedError:
        return RefusedError(
            f"cannot write a lease under {self.state}: {error.strerror}; nothing is changed that is not written down "
            "first, so make room there, or export CHAOSKIT_STATE=DIRECTORY"
        )


def _is_name(id: str) -> bool:
    """Whether it is one component of a path."""
    return id not in ("", ".", "..") and "/" not in id and "\0" not in id


def _parse(told: Any) -> Lease:
    """Raises ValueError, TypeError or KeyError for what no lease looks like."""
    if not isinstance(told, dict) or not isinstance(told["words"], dict):
        raise TypeError
    known = {each.name for each in fields(Lease)}
    values = {name: value for name, value in told.items() if name in known}
    for name in ("id", "command", "by", "interface", "since", "until", "machine", "boot", "namespace"):
        if not isinstance(values[name], str):
            raise TypeError
    for name in ("since", "until"):
        datetime.fromisoformat(values[name])
    for name in ("owner", "guard"):
        if values.get(name) is not None:
            values[name] = Process(int(values[name]["pid"]), int(values[name]["started"]))
    if not isinstance(values["ends"], int):
        raise TypeError
    return Lease(**values)


def _stat(pid: int) -> list[str]:
    """/proc/PID/stat from its third field on, see proc(5)."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise ProcessLookupError(pid) from error


def _cookie() -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as any_socket, suppress(OSError):
        return "-" + str(int.from_bytes(any_socket.getsockopt(socket.SOL_SOCKET, _NETNS_COOKIE, 8), "little"))
    return ""  # before kernel 5.14


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
