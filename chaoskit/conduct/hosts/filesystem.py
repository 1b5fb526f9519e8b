"""Gives a host its own view of the machine's files: all are there, and no change leaves the host.

| what                                       | what the host's programs find                                       |
|--------------------------------------------|---------------------------------------------------------------------|
| /etc                                       | the machine's, with the host's own hosts, hostname, resolv.conf     |
| the experiment's folder, /var/lib, ...     | the machine's; what is written stays in memory                      |
| /tmp, /run, /var/log, /var/tmp, /dev/shm   | empty folders in memory                                             |
| /proc                                      | the host's own processes                                            |
| everything else                            | the machine's, read-only                                            |

With a root file system of its own all of this begins there. Rules: it is called in the host's first process alone, in
its network namespace; the memory has a limit; nothing is left when the last process of the host has ended.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaoskit.conduct.hosts.program import HOME, HostProgram
from chaoskit.kernel import mounts
from chaoskit.kernel.namespaces import is_in_user_namespace

SIZE = 256 << 20  # bytes that the programs of a host may write
_STORE = Path("/run")  # exists everywhere, and is covered by the host's own in the end
_FRESH = {"/run": 0o755, "/tmp": 0o1777, "/var/tmp": 0o1777, "/var/log": 0o755, "/dev/shm": 0o1777}
_WITH_FOLDERS = {"/run": 1, "/var/log": 2}
"""Fresh places in which the machine's folders exist, so deep: packages create these, and programs expect them."""

_OVERLAID = ("/etc", "/var/lib", "/var/cache", "/var/spool")
_READ_ONLY = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")
_MOST_FOLDERS = 2000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
RESOLV_CONF = (
    "# There is no name server in a lab: the names of its hosts are in /etc/hosts.\noptions timeout:1 attempts:1\n"
)


class _Memory:
    """The file system in memory of a host, mounted at `_STORE`."""

    def __init__(self) -> None:
        mounts.mount_memory(_STORE, SIZE)
        self._count = 0

    def folder(self, like: int | None = None, mode: int = 0o755) -> int:
        """The descriptor of a new folder in it, with the mode and owner of `like` if that is given."""
        self._count += 1
        path = _STORE / str(self._count)
        path.mkdir()
        folder = os.open(path, _FOLDER)
        if like is not None:
            found = os.fstat(like)
            mode = stat.S_IMODE(found.st_mode)
            with suppress(OSError):  # an owner that is not in this user namespace
                os.fchown(folder, found.st_uid, found.st_gid)
        os.fchmod(folder, mode)
        return folder


@dataclass(frozen=True)
class _Machine:
    """Descriptors of the machine's directories by path, opened before anything covers them."""

    root: int
    folder: int
    overlaid: dict[str, int]
    models: dict[str, int]
    needed: dict[str, int]
    devices: dict[str, int]

    @classmethod
    def of(cls, program: HostProgram) -> _Machine:
        root = Path(program.rootfs or "/")
        return cls(
            os.open(root, _FOLDER),
            os.open(program.directory, _FOLDER),
            _opened(root, _OVERLAID),
            _opened(root, tuple(_WITH_FOLDERS)),
            {} if program.rootfs else _opened(root, tuple(_covered(program))),
            _opened(Path("/"), ("/dev", "/sys")),
        )


def enter(program: HostProgram) -> None:
    """Mount all of it, and go to the experiment's folder. Raises OSError with the name of what failed."""
    mounts.unshare()
    machine = _Machine.of(program)
    mounts.make_read_only(Path("/"), recursive=True)
    memory = _Memory()
    prefix = Path("/") if program.rootfs is None else _mount_root(machine, memory)
    overlays = {place: (memory.folder(lower), memory.folder()) for place, lower in machine.overlaid.items()}
    fresh = {place: memory.folder(mode=mode) for place, mode in _FRESH.items()}
    folder = (memory.folder(machine.folder), memory.folder())
    for place, model in machine.models.items():
        _copy_folders(model, fresh[place], _WITH_FOLDERS[place])
    if "/etc" not in overlays:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/etc")
    _write_etc(program, machine.overlaid["/etc"], overlays["/etc"][0])
    if is_in_user_namespace():
        for place in overlays.keys() - {"/etc"}:
            _copy_folders(machine.overlaid[place], overlays[place][0], 2)
    for place, directory in fresh.items():
        if _below(prefix, place).exists() or program.rootfs is not None:
            mounts.bind(directory, _made(prefix, place))
    _made(prefix, HOME)
    for place, (upper, work) in overlays.items():
        mounts.mount_overlay(machine.overlaid[place], upper, work, _below(prefix, place))
    for place, directory in machine.needed.items():
        mounts.bind(directory, _made(prefix, place))
    if program.directory not in ("/", *_OVERLAID):
        mounts.mount_overlay(machine.folder, *folder, _made(prefix, program.directory))
    _mount_processes(prefix)
    if program.rootfs is not None:
        mounts.pivot(prefix)
    os.chdir(program.directory)


def _mount_root(machine: _Machine, memory: _Memory) -> Path:
    """A root file system of the host's own, writable in memory, with the machine's devices."""
    root = _STORE / "root"
    root.mkdir()
    mounts.mount_overlay(machine.root, memory.folder(machine.root), memory.folder(), root)
    for place, directory in machine.devices.items():
        mounts.bind(directory, _made(root, place))
    _made(root, "/proc")
    return root


def _mount_processes(prefix: Path) -> None:
    """The host's own processes; where the kernel refuses that, as in a container, /proc stays the machine's."""
    with suppress(PermissionError):
        mounts.mount_proc(_below(prefix, "/proc"))
        for place in _READ_ONLY:
            path = _below(prefix, place)
            if path.exists():
                mounts.bind(os.open(path, os.O_PATH | os.O_CLOEXEC), path)
                mounts.make_read_only(path)


def _write_etc(program: HostProgram, lower: int, upper: int) -> None:
    """The files of /etc that are the host's own."""
    switch = ""
    with suppress(OSError), open(os.open("nsswitch.conf", os.O_RDONLY, dir_fd=lower)) as found:  # noqa: PTH123
        switch = found.read(1 << 16)
    content = {
        "hosts": program.etc_hosts,
        "hostname": f"{program.name}\n",
        "resolv.conf": RESOLV_CONF,
        "nsswitch.conf": names_from_files(switch),
    }
    for name, text in content.items():
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=upper)
        os.fchmod(file, 0o644)
        os.write(file, text.encode())
        os.close(file)


def names_from_files(switch: str) -> str:
    """An nsswitch.conf(5) by which names of hosts are looked up in /etc/hosts alone."""
    others = [line for line in switch.splitlines() if not line.lstrip().startswith("hosts:")]
    return "\n".join((*others, "hosts: files", ""))


def _covered(program: HostProgram) -> list[str]:
    """Directories of programs that lie below a fresh place: a virtual environment in /tmp, for example."""
    folders = [entry for entry in program.environment.get("PATH", "").split(os.pathsep) if entry.startswith("/")]
    if program.argv[0].startswith("/"):
        folders.append(os.path.dirname(program.argv[0]))  # noqa: PTH120  also of what does not exist
    wanted = {os.path.dirname(each) if each.endswith("/bin") else each for each in folders}  # noqa: PTH120
    return sorted(
        each
        for each in wanted
        if each not in _FRESH and is_covered(each) and each != "/" and os.path.isdir(each)  # noqa: PTH112
    )


def is_covered(place: str) -> bool:
    """Whether a place lies below one that is fresh on each host."""
    return any(place.startswith(f"{fresh}/") for fresh in _FRESH)


def _copy_folders(source: int, target: int, depth: int) -> None:
    """Make the folders of `source` in `target`, so deep, empty, with their modes and owners. Both are descriptors."""
    left = [_MOST_FOLDERS]

    def copy(source: int, target: int, depth: int) -> None:
        with suppress(OSError):
            for name in sorted(os.listdir(source)):
                with suppress(OSError):
                    found = os.stat(name, dir_fd=source, follow_symlinks=False)
                    if not stat.S_ISDIR(found.st_mode) or left[0] == 0:
                        continue
                    left[0] -= 1
                    os.mkdir(name, dir_fd=target)
                    inner, copied = (os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd) for fd in (source, target))
                    with suppress(OSError):  # an owner that is not in this user namespace
                        os.fchown(copied, found.st_uid, found.st_gid)
                    os.fchmod(copied, stat.S_IMODE(found.st_mode))
                    if depth > 1:
                        copy(inner, copied, depth - 1)
                    os.close(inner)
                    os.close(copied)

    copy(source, target, depth)


def _opened(root: Path, places: tuple[str, ...]) -> dict[str, int]:
    """Descriptors of those directories that exist."""
    found = {}
    for place in places:
        with suppress(OSError):
            found[place] = os.open(_below(root, place), _FOLDER)
    return found


def _made(prefix: Path, place: str) -> Path:
    """The path of a directory of the host, which is made if it does not exist."""
    path = _below(prefix, place)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _below(prefix: Path, place: str) -> Path:
    return prefix / place.removeprefix("/")
