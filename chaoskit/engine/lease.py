"""Stores leases: what is in force on an interface, since when, until when, and set by which user.

```
STATE/leases/20261124T120730-4711/lease.json     written, and synced to disk, before the first change
                                  journal.jsonl  the pending restores
                                  leftovers.json what could not be restored, and why
                                  watchdog.log   standard error of the watchdog
```

Each lease has its own folder, which every user may read.

Rules: a folder is removed when its journal has no pending restore, `lease.json` first. A lease that cannot be read is
reported in one sentence and blocks nothing. A lease belongs to a machine, its boot and a network namespace; its journal
applies nowhere else. Chaoskit acts on a journal, and on the processes that a lease names, only if nobody but root and
the effective user can have written them: the files, their folders and all parents are checked before anything is read.
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
from chaoskit.engine.journal import PendingRestore, pending_restores
from chaoskit.errors import RefusedError
from chaoskit.folder import Folder, make_trusted

LEASE, LEFTOVERS, LOG = "lease.json", "leftovers.json", "watchdog.log"
_FILES = (
    LEASE,
    f"{LEASE}.new",
    LEFTOVERS,
    f"{LEFTOVERS}.new",
    LOG,
    JOURNAL,
)  # every file of a lease, in the order of removal
_LIMIT = 1 << 20  # bytes of a lease
_NETNS_COOKIE = 71  # asm-generic/socket.h: SO_NETNS_COOKIE, unique to a namespace within a boot


@dataclass(frozen=True)
class Location:
    """Machine, boot and network namespace: a lease's journal applies only where all three are the same."""

    machine: str
    boot: str
    namespace: str

    @classmethod
    def current(cls) -> Location:
        """The machine, its boot, and the network namespace of the calling thread."""
        guest = "uml " if "User Mode Linux" in _text("/proc/cpuinfo") else ""
        inode = Path("/proc/thread-self/ns/net").stat().st_ino
        return cls(guest + _text("/etc/machine-id"), _text("/proc/sys/kernel/random/boot_id"), f"{inode}{_cookie()}")


@dataclass(frozen=True)
class Process:
    """A process, told from a later one with the same pid by its start time. `started` in clock ticks after boot.

    `namespace` is the PID namespace of the pid: in another container the same number is another process.
    """

    pid: int
    started: int
    namespace: str = ""

    @classmethod
    def of(cls, pid: int) -> Process:
        """The running process with this pid. Raises ProcessLookupError."""
        return cls(pid, int(_stat(pid)[19]), _pid_namespace())

    @property
    def is_visible(self) -> bool:
        """Whether its number means it here, too."""
        return self.namespace in ("", _pid_namespace())

    @property
    def state(self) -> str:
        """As ps(1) shows it: R, S, D, T for stopped; "" when it has ended, or cannot be seen from here."""
        if not self.is_visible:
            return ""
        with suppress(ProcessLookupError):
            stat = _stat(self.pid)
            if int(stat[19]) == self.started and stat[0] not in "ZX":
                return stat[0]
        return ""

    def send_signal(self, sign: signal.Signals) -> None:
        """Send it a signal, and no later process with the same pid. Raises PermissionError."""
        with suppress(ProcessLookupError):
            fd = os.pidfd_open(self.pid)
            try:
                if (
                    self.is_visible and int(_stat(self.pid)[19]) == self.started
                ):  # the pidfd keeps referring to this process
                    signal.pidfd_send_signal(fd, sign)
            finally:
                os.close(fd)


@dataclass(frozen=True)
class Lease:
    """What chaoskit holds in force on an interface. `since` and `until` are dates, for people.

    `deadline` is when the watchdog ends it, in ns of `clock.boottime`; a run renews its lease, and this is the end of
    its plan. `injection` is what `chaoskit inject` can read again; a run's is empty.
    """

    id: str
    command: str
    user: str
    interface: str
    since: str
    until: str
    deadline: int
    injection: dict[str, Any]
    machine: str
    boot: str
    namespace: str
    owner: Process | None = None
    watchdog: Process | None = None

    @property
    def is_running_exec(self) -> bool:
        """Whether it belongs to a running exec, which holds no lock and restores what it changed by itself."""
        processes = (self.owner, self.watchdog)
        return self.command == "exec" and any(process is not None and process.state for process in processes)

    @property
    def is_unseen_exec(self) -> bool:
        """Whether it belongs to an exec of another container, of which this process cannot tell whether it runs."""
        processes = (self.owner, self.watchdog)
        return self.command == "exec" and any(process is not None and not process.is_visible for process in processes)

    @property
    def location(self) -> Location:
        """Where it is in force."""
        return Location(self.machine, self.boot, self.namespace)


@dataclass(frozen=True)
class FoundLeases:
    """All leases of a state folder. `broken`: for each folder that cannot be read, the reason."""

    leases: tuple[Lease, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)


def state_folder(environment: Mapping[str, str], uid: int) -> Path:
    """The folder of this user's leases: $CHAOSKIT_STATE, or /var/lib/chaoskit for root, or the XDG state home.

    Raises RefusedError when there is no such place.
    """
    if given := environment.get("CHAOSKIT_STATE"):
        return Path(given).absolute()
    if uid == 0:
        return Path("/var/lib/chaoskit")
    if state_home := environment.get("XDG_STATE_HOME"):
        return Path(state_home).absolute() / "chaoskit"
    if home := environment.get("HOME"):
        return Path(home).absolute() / ".local" / "state" / "chaoskit"
    raise RefusedError("no folder for leases, because HOME is not set: export CHAOSKIT_STATE=DIRECTORY")


def user_name(environment: Mapping[str, str], uid: int) -> str:
    """The name of the user who started the command, for others to read."""
    name = environment.get("SUDO_USER") or environment.get("USER") or environment.get("LOGNAME")
    return name or ("root" if uid == 0 else f"user {uid}")


def period(now: datetime, length: int) -> tuple[str, str]:
    """`since` and `until` of a lease that lasts `length` ns from now."""
    return tuple(  # type: ignore[return-value]  # always two
        moment.astimezone(UTC).isoformat(timespec="milliseconds")
        for moment in (now, now + timedelta(microseconds=length / 1000))
    )


class Leases:
    """The leases of a state folder."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def folder(self, id: str) -> Path:
        """The folder of a lease."""
        return self.state / "leases" / id

    def open(self, id: str) -> Folder:
        """A lease's folder. Raises OSError, and RefusedError where other users could have written what is in it."""
        if not _is_name(id):
            raise FileNotFoundError(2, "not a lease name", id)
        with self._opened() as leases:
            return leases.folder(id)

    def begin(self, lease: Lease) -> Folder:
        """Create its folder and write it; synced to disk on return. Raises RefusedError."""
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
        """Replace a lease's file atomically; synced to disk on return. Raises RefusedError."""
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
        """Every lease that can be read, the oldest first, and what is wrong with the others. Never raises."""
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
            raise RefusedError(f"{path} is incomplete or was edited: chaoskit restore {id}") from error
        if lease.id != id:
            raise RefusedError(f"{path} belongs to another lease, {lease.id[:40]!r}: chaoskit restore {id}")
        return lease

    def pending(self, id: str) -> list[PendingRestore]:
        """The pending restores of its journal, in the order of restoring; none when there is no journal.

        Raises RefusedError when it cannot be read, or other users could have written it.
        """
        try:
            with self.open(id) as folder:
                return pending_restores(folder.read(JOURNAL, JOURNAL_LIMIT))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RefusedError(f"cannot read {self.folder(id) / JOURNAL}: {error.strerror}; try with sudo") from error

    def write_leftovers(self, id: str, leftovers: list[str]) -> None:
        """Record, if the disk has room, what could not be restored."""
        with suppress(OSError, RefusedError), self.open(id) as folder:
            folder.replace(LEFTOVERS, json.dumps(leftovers).encode() + b"\n")

    def leftovers(self, id: str) -> list[str]:
        """What the last restore could not restore, with the reasons."""
        try:
            with self.open(id) as folder:
                found = json.loads(folder.read(LEFTOVERS, _LIMIT))
        except (OSError, ValueError, RecursionError, RefusedError):
            return []
        return [str(each) for each in found] if isinstance(found, list) else []

    def end(self, id: str) -> None:
        """Remove its folder. Other files in it, and what cannot be removed, stay."""
        with suppress(OSError, RefusedError), self._opened() as leases:
            with leases.folder(id) as folder:
                for name in _FILES:
                    with suppress(OSError):
                        folder.remove(name)
            os.rmdir(id, dir_fd=leases.fd)

    def _refusal(self, error: OSError) -> RefusedError:
        return RefusedError(
            f"cannot write a lease under {self.state}: {error.strerror}; chaoskit changes nothing that it cannot "
            "record first: make room there, or export CHAOSKIT_STATE=DIRECTORY"
        )


def _is_name(id: str) -> bool:
    """Whether it is a single path component."""
    return id not in ("", ".", "..") and "/" not in id and "\0" not in id


def _parse(found: Any) -> Lease:
    """Raises ValueError, TypeError or KeyError for what is not a lease."""
    if not isinstance(found, dict) or not isinstance(found["injection"], dict):
        raise TypeError
    known = {each.name for each in fields(Lease)}
    values = {name: value for name, value in found.items() if name in known}
    for name in ("id", "command", "user", "interface", "since", "until", "machine", "boot", "namespace"):
        if not isinstance(values[name], str):
            raise TypeError
    for name in ("since", "until"):
        datetime.fromisoformat(values[name])
    for name in ("owner", "watchdog"):
        if values.get(name) is not None:
            values[name] = _process(values[name])
    if not isinstance(values["deadline"], int):
        raise TypeError
    return Lease(**values)


def _process(found: Any) -> Process:
    return Process(int(found["pid"]), int(found["started"]), str(found.get("namespace", "")))


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on, see proc(5)."""
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
