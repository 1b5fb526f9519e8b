"""Init process of a guest: mounts filesystems, runs one command, and hands its exit code to the host.

Runs as PID 1 of a User-Mode Linux kernel, so it must end by powering off and never by exiting. It imports few modules,
because imports are slow inside a guest, and runs no tools, because a minimal machine has none.

The host sends through the console: first, in chunks and on request, the stdin of the command, which must not be in a
file; then letters, each a signal for the command, which are copied to the file TAKEN when they have arrived. End of
file means that the host process died; then the guest removes its scratch directory and ends. The kernel delivers only
what arrives while the console is open. So the guest checks at its start whether the host process runs, and the host
sends no signal before the guest is ready.
"""

from __future__ import annotations

import binascii
import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import stat
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

from chaoskit import crash_report, processor_order
from chaoskit.clock import RealClock, begin_alike, is_virtual
from chaoskit.kernel import cgroups, modules, oom
from chaoskit.terminal import complain

JOB, REQUESTS, READY, TAKEN, EXIT, KILLED = "job.json", "asks", "ready", "taken", "exit", "killed"
CHUNK = 2048  # bytes that the host sends for each byte in REQUESTS; a terminal buffers 4095 (drivers/tty/n_tty.c)
NO_EXIT = "    "  # content of EXIT before there is an exit code
SIGNAL_LETTERS = {signal.SIGINT: b"i", signal.SIGTERM: b"t", signal.SIGHUP: b"h"}
CONSOLE = "/run/tty0"  # made here: a container has none; not the device console, whose readers get no hangup

_TTY0 = os.makedev(4, 0)  # Documentation/admin-guide/devices.txt

_OVERLAY = "overlay"  # the module for the working directory of a user's command
_SHARED_MEMORY = "/dev/shm"  # shm_overview(7)
_ALGORITHMS = "/proc/sys/net/ipv4/tcp_{}_congestion_control"
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND = 0x1, 0x2, 0x20, 0x1000  # mount(2)
_RB_POWER_OFF = 0x4321FEDC  # include/uapi/linux/reboot.h
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Job:
    """What to run. `scratch` is inside `folder`; `modules` is None if everything is built in.

    `writable` are directories of the host that the command may write, besides `folder`.

    `host` is the PID of the process that started the guest, on the host; `input` is the number of bytes of base64 that
    it sends as the command's stdin.
    """

    argv: list[str]
    environment: dict[str, str]
    directory: str
    folder: str
    writable: list[str]
    scratch: str
    modules: str | None
    host: int
    input: int


def main(scratch: Path) -> None:
    """Run the job in `scratch`, and power off in any case."""
    try:
        job = Job(**json.loads((scratch / JOB).read_text()))
        console = _open_console()
        abandoned = not _is_running(job.host)
        _mount_filesystems(job)
        stdin = None if abandoned else _receive_stdin(job, console)
        if is_virtual():
            processor_order.begin()
            begin_alike(RealClock())
        code = None if stdin is None else _run(job, console, stdin)
        if code is None:
            shutil.rmtree(job.scratch, ignore_errors=True)
        else:
            if killed := oom.killed():
                (Path(job.scratch) / KILLED).write_text("\n".join(killed))
            _write_exit_code(Path(job.scratch) / EXIT, code)
    except BaseException as error:  # noqa: BLE001  PID 1 must not exit: the kernel would panic over it
        crash_report.print_report(error)
    finally:
        _power_off()


def _is_running(host: int) -> bool:
    """Whether the host process runs. /proc is still the host's; the guest's is not mounted yet.

    A zombie stays in /proc, but has no network namespace. Other signs, such as the link to its program, are hidden from
    a confined guest.
    """
    return Path(f"/proc/{host}/net/dev").exists()


def _mount_filesystems(job: Job) -> None:
    """Mount the other filesystems, load the modules of a lab, allow every congestion control in every namespace.

    Set-user-ID is disabled: in a confined guest, all files of the host's root belong to nobody.
    """
    _mount("none", "/", "", flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)
    _mount("proc", "/proc", "proc")
    _mount("sysfs", "/sys", "sysfs")
    with contextlib.suppress(OSError):  # a kernel without control groups
        _mount("none", str(cgroups.ROOT), "cgroup2")
        (cgroups.ROOT / "cgroup.subtree_control").write_text("+pids")
    for place in (job.environment["HOME"], job.environment["TMPDIR"], job.folder):
        os.makedirs(place, exist_ok=True)  # noqa: PTH103  the folder may lie under the fresh /run
    for place in (job.folder, *job.writable):
        _mount("none", place, "hostfs", place)
    with contextlib.suppress(OSError):  # a /dev without it that is read-only
        os.makedirs(_SHARED_MEMORY, exist_ok=True)  # noqa: PTH103
        _mount("tmpfs", _SHARED_MEMORY, "tmpfs", "mode=1777")
    if job.modules is not None:
        modules.load((*modules.LAB_MODULES, _OVERLAY), Path(job.modules))
    Path(_ALGORITHMS.format("allowed")).write_text(Path(_ALGORITHMS.format("available")).read_text())


def _receive_stdin(job: Job, console: int) -> bytes | None:
    """The stdin of the command; None if the host ended before it had sent everything.

    It polls without sleeping, because virtual time would pass hours while the guest waits for the host.
    """
    received, requested = bytearray(), 0
    os.set_blocking(console, False)
    while len(received) < job.input:
        if len(received) == requested * CHUNK:
            with (Path(job.scratch) / REQUESTS).open("ab") as asks:
                asks.write(b"?")
            requested += 1
        try:
            chunk = os.read(console, CHUNK)
        except BlockingIOError:
            continue
        except OSError:
            return None
        if not chunk:
            return None
        received += chunk
    os.set_blocking(console, True)
    return binascii.a2b_base64(received)


def _run(job: Job, console: int, stdin: bytes) -> int | None:
    """Run the command and forward signals. Returns its exit code, or None if the host has ended."""
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    command = os.fork()
    if command == 0:
        _exec(job, stdin)
    (Path(job.scratch) / READY).touch()
    watch = select.poll()
    watch.register(console, select.POLLIN)
    watch.register(wake, select.POLLIN)
    while True:
        for ready, _ in watch.poll():
            if ready == wake:
                os.read(wake, 512)
                if (code := _reap(command)) is not None:
                    return code
                continue
            received = _read_console(console)
            if not received:
                return None
            for sign, letter in SIGNAL_LETTERS.items():
                if letter in received:
                    os.kill(command, sign)
            with contextlib.suppress(OSError), (Path(job.scratch) / TAKEN).open("ab") as taken:  # a full disk
                taken.write(received)


def _exec(job: Job, stdin: bytes) -> None:
    """Execute the command in this child. Never returns."""
    try:
        os.setsid()
        processor_order.in_turn()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(_memory_file(stdin) if stdin else os.open("/dev/null", os.O_RDONLY), 0)
        os.chdir(job.directory)
        os.execvpe(job.argv[0], job.argv, job.environment)
    except OSError as error:
        complain(f"cannot run {job.argv[0]}: {error.strerror}: {error.filename}")
    finally:
        os._exit(127)


def _memory_file(stdin: bytes) -> int:
    """A descriptor of an unlinked file in the guest's memory with this content."""
    place = "/run/input"
    file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(place)  # noqa: PTH108
    with open(file, "wb", closefd=False) as writer:
        writer.write(stdin)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _reap(command: int) -> int | None:
    """Wait for every child that has ended, orphans included. Returns the command's exit code once it has."""
    code: int | None = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == command:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended


def _read_console(console: int) -> bytes:
    """Read what the host sent; empty if it has ended (the console hangs up)."""
    try:
        return os.read(console, 512)
    except OSError:
        return b""


def _open_console() -> int:
    """Open the console in raw mode: no echo, no carriage returns, no control characters."""
    _mount("tmpfs", "/run", "tmpfs")
    os.mknod(CONSOLE, stat.S_IFCHR | 0o600, _TTY0)
    console = os.open(CONSOLE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    state = termios.tcgetattr(console)
    state[1] &= ~termios.OPOST
    state[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(console, termios.TCSANOW, state)
    return console


def _write_exit_code(path: Path, code: int) -> None:
    """Overwrite the space that the host has reserved for the exit code: the disk may be full by now."""
    with path.open("r+") as room:
        room.write(f"{code:{len(NO_EXIT)}}")


def _mount(source: str, place: str, kind: str, options: str = "", flags: int = 0) -> None:
    if _libc.mount(source.encode(), place.encode(), kind.encode(), flags, options.encode() or None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind}: {os.strerror(code)}", place)


def _power_off() -> None:
    os.sync()
    with contextlib.suppress(OSError):  # no "System halted" below the command's last line
        Path("/proc/sys/kernel/printk").write_text("0")
    _libc.reboot(_RB_POWER_OFF)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
