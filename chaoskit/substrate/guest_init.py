"""The first process of a guest: the host's files to read, one folder to write, one command, its exit code.

Runs as PID 1 of a User-Mode Linux kernel, so it must end by powering off and never by exiting. It imports
little, because inside a guest every import is slow, and calls no tool, because a bare machine has none.

The host speaks through the console: first, when it is asked for it, what the command is to read as its standard
input, for it must not lie in a file; then a letter is a signal for the command; the end of the input means that
the host process died, and then the guest clears away after it and ends. The kernel notices only what arrives
while the console is open, so what was said before is found out in two other ways: we look whether the host
process is there, and it holds its signals back until we are ready.
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
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

from chaoskit import crash_report
from chaoskit.kernel import modules
from chaoskit.terminal import complain

JOB, REQUESTS, READY, EXIT = "job.json", "asks", "ready", "exit"
CHUNK = 2048  # bytes that are told for each byte in ASKS; what a terminal holds is 4095 (drivers/tty/n_tty.c)
NO_EXIT = "    "  # what stands in EXIT until there is one
SIGNAL_LETTERS = {signal.SIGINT: b"i", signal.SIGTERM: b"t", signal.SIGHUP: b"h"}
CONSOLE = "/dev/tty0"  # by this name: a hangup does not reach whoever holds it as /dev/console

_ALGORITHMS = "/proc/sys/net/ipv4/tcp_{}_congestion_control"
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND = 0x1, 0x2, 0x20, 0x1000  # mount(2)
_RB_POWER_OFF = 0x4321FEDC  # include/uapi/linux/reboot.h
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Job:
    """What the host wants run. `scratch` lies inside `folder`; `modules` is None when all is built in.

    `host` is the process that started the guest, by its number outside; `input` is how many bytes of base64 it has for
    the command to read.
    """

    argv: list[str]
    environment: dict[str, str]
    directory: str
    folder: str
    scratch: str
    modules: str | None
    host: int
    input: int


def main(scratch: Path) -> None:
    """Do the job in `scratch` and power off, whatever happens."""
    try:
        job = Job(**json.loads((scratch / JOB).read_text()))
        console = _open_console()
        abandoned = not _is_running(job.host)
        _mount_filesystems(job)
        words = None if abandoned else _receive_stdin(job, console)
        code = None if words is None else _run(job, console, words)
        if code is None:
            shutil.rmtree(job.scratch, ignore_errors=True)
        else:
            _write_exit_code(Path(job.scratch) / EXIT, code)
    except BaseException as error:  # noqa: BLE001  PID 1 must not exit: the kernel would panic over it
        crash_report.tell(error)
    finally:
        _power_off()


def _is_running(host: int) -> bool:
    """Whether the host process runs. /proc is still the host's; ours is not mounted yet.

    One that was killed and not waited for stays in /proc, but is in no network namespace any more. Its other traces,
    as the link to its program, are hidden from a guest that is confined.
    """
    return Path(f"/proc/{host}/net/dev").exists()


def _mount_filesystems(job: Job) -> None:
    """Mount what a command expects, load the modules of a lab, let every namespace have every congestion control.

    Programs that are set-user-ID change nobody: to a guest that is confined all files of the host's root are nobody's.
    """
    _mount("none", "/", "", flags=_MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID)
    _mount("proc", "/proc", "proc")
    _mount("sysfs", "/sys", "sysfs")
    _mount("tmpfs", "/run", "tmpfs")
    for place in (job.environment["HOME"], job.environment["TMPDIR"], job.folder):
        os.makedirs(place, exist_ok=True)  # noqa: PTH103  the folder may lie under the fresh /run
    _mount("none", job.folder, "hostfs", job.folder)
    if job.modules is not None:
        modules.load(modules.LAB, Path(job.modules))
    Path(_ALGORITHMS.format("allowed")).write_text(Path(_ALGORITHMS.format("available")).read_text())


def _receive_stdin(job: Job, console: int) -> bytes | None:
    """What the command is to read; None when the host has gone before it had told all."""
    said = bytearray()
    while len(said) < job.input:
        if len(said) % CHUNK == 0:
            with (Path(job.scratch) / REQUESTS).open("ab") as asks:
                asks.write(b"?")
        more = _read_console(console)
        if not more:
            return None
        said += more
    return binascii.a2b_base64(said)


def _run(job: Job, console: int, words: bytes) -> int | None:
    """Run the command, passing interrupts on; its exit code, or None when the host has gone."""
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    command = os.fork()
    if command == 0:
        _exec(job, words)
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
            said = _read_console(console)
            if not said:
                return None
            for sign, letter in SIGNAL_LETTERS.items():
                if letter in said:
                    os.kill(command, sign)


def _exec(job: Job, words: bytes) -> None:
    """Turn this child into the command; never returns."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(_memory_file(words) if words else os.open("/dev/null", os.O_RDONLY), 0)
        os.chdir(job.directory)
        os.execvpe(job.argv[0], job.argv, job.environment)
    except OSError as error:
        complain(f"cannot run {job.argv[0]}: {error.strerror}: {error.filename}")
    finally:
        os._exit(127)


def _memory_file(words: bytes) -> int:
    """A descriptor to read them from, of a file in this guest's memory that has no name."""
    place = "/run/input"
    file = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.unlink(place)  # noqa: PTH108
    with open(file, "wb", closefd=False) as writer:
        writer.write(words)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _reap(command: int) -> int | None:
    """Collect every child that ended, orphans too; the command's exit code once it is among them."""
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
    """What the host said; nothing when it has gone (the console then hangs up)."""
    try:
        return os.read(console, 512)
    except OSError:
        return b""


def _open_console() -> int:
    """Open the console so that bytes go through as they are: no echo, no carriage returns, no control letters."""
    console = os.open(CONSOLE, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    state = termios.tcgetattr(console)
    state[1] &= ~termios.OPOST
    state[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(console, termios.TCSANOW, state)
    return console


def _write_exit_code(path: Path, code: int) -> None:
    """Write the exit code over the room that the host has kept for it: the disk may be full by now."""
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
