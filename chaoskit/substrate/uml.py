"""Boots User-Mode Linux guests on this machine's own files, each to run one command.

The kernel is an ordinary program. It needs no root, no image and no network of the host; inside, the command is root.
Rules: the host's files are read-only except one folder; nothing else of a guest remains, however it ends:

| what ends it                  | what happens                                                        |
|-------------------------------|---------------------------------------------------------------------|
| the command ends              | its exit code is returned                                           |
| the limit passes, `close`     | every process of the guest is killed                                |
| a panic, a kill               | the same, and RefusedError with the end of its log                  |
| this process dies             | its console hangs up, and it powers off; `guest_watchdog` kills one  |
|                               | that does not                                                       |
| a signal that it does not take | it computes without a pause, and is killed after a few seconds     |

Root in the guest cannot change that: see `confinement`, and `chaoskit doctor` for hosts that do not support it.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from chaoskit import programs
from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.folder import descriptor, display_path
from chaoskit.seed import derive
from chaoskit.substrate import confinement, guest_init, guest_memory, guest_watchdog, kernel_program
from chaoskit.substrate.running import POLL_INTERVAL, Command, Deadline, conduct, file_size, log_tail, wait
from chaoskit.units import Size

MODULES = Path("/usr/lib/uml/modules")  # where Debian's user-mode-linux keeps them
LOG = "guest.log"
NEEDS_PTRACE = "it needs ptrace, which a container may forbid: docker run --cap-add SYS_PTRACE"
_INIT_FAILED = re.compile(r"Requested init (\S+) failed \(error -([0-9]{1,4})\)")  # init/main.c of Linux
_EXIT_CODE_LENGTH, _MAX_EXIT_CODE = 8, 255
SLACK = 120_000_000_000  # ns that an experiment may take longer than its plan: boot, slow imports
OPTIONS = {
    "namespaces": ("CONFIG_NET_NS",),
    "veth": ("CONFIG_VETH",),
    "netem": ("CONFIG_NET_SCH_NETEM",),
    "ifb": ("CONFIG_IFB",),
    "virtual-time": ("CONFIG_UML_TIME_TRAVEL_SUPPORT", "CONFIG_UML_ENTROPY_ARGUMENT"),
    "clsact": ("CONFIG_NET_SCH_INGRESS",),
    "matchall": ("CONFIG_NET_CLS_MATCHALL", "CONFIG_NET_ACT_MIRRED"),
    "flower": ("CONFIG_NET_CLS_FLOWER", "CONFIG_NET_ACT_MIRRED"),
    "u32": ("CONFIG_NET_CLS_U32", "CONFIG_NET_ACT_MIRRED"),
    "drop": ("CONFIG_NET_CLS_U32", "CONFIG_NET_ACT_GACT"),
    "police": ("CONFIG_NET_CLS_MATCHALL", "CONFIG_NET_ACT_POLICE"),
    "clamp": ("CONFIG_NF_TABLES", "CONFIG_NF_TABLES_INET"),
    "connections": ("CONFIG_NF_TABLES_INET", "CONFIG_NFT_REJECT"),
    "quota": ("CONFIG_NF_TABLES_INET", "CONFIG_NFT_REJECT", "CONFIG_NFT_QUOTA"),
    "pids-cgroup": ("CONFIG_CGROUP_PIDS",),
}
"""The kernel options that each feature (see `facts`) needs."""

_INPUT_POLL = 1_000_000  # ns
_SIGNAL_PATIENCE = 5_000_000_000  # ns that a guest may take to see a signal
_BOOT_DATE = 1_767_225_600 * 10**9  # ns since 1970: 2026-01-01, the boot time of every guest in virtual time
_FORWARDED, _SEARCH_PATHS = ("LANG", "LC_ALL"), ("PATH", "LD_LIBRARY_PATH")
_GUEST_ENVIRONMENT = {
    "HOME": "/run/home",
    "TMPDIR": "/run/tmp",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class GuestKernel:
    """A UML kernel, its release, the directory of its modules (None if all are built in), its features.

    `origin` tells where a kernel of chaoskit's own comes from.
    """

    path: Path
    release: str
    modules: Path | None
    features: frozenset[str]
    origin: str = ""


@dataclass(frozen=True)
class Uml:
    """The substrate that is a guest kernel, with the memory of each guest and extra boot parameters."""

    kernel: GuestKernel
    memory: Size = guest_memory.DEFAULT
    virtual: bool = False
    options: tuple[str, ...] = ()

    def start(self, run: Path, length: int, seed: int, variables: Mapping[str, str]) -> Guest:
        """Start the experiment of a run directory, whose plan takes `length` ns of the guest's time.

        In virtual time `seed` determines the guest's randomness, and the limit restarts whenever it writes. It gets the
        `variables` on its standard input.
        """
        limit = SLACK if self.virtual else length + SLACK
        told = json.dumps(dict(variables)).encode() if variables else b""
        return self.timed(seed).launch(_conduct(run, limit), RealClock(), told)

    def timed(self, seed: int) -> Uml:
        """The same with the boot parameters of its clock: in virtual time `seed` determines all randomness."""
        if not self.virtual:
            return self
        return replace(self, options=(*self.options, *virtual_time(derive(seed, "guest"))))

    def launch(self, command: Command, clock: Clock, stdin: bytes = b"", channel: int | None = None) -> Guest:
        """Boot a guest that runs a command. Raises RefusedError if it cannot start.

        The command reads `stdin`, never written to a file; the descriptor `channel` is its second console, /dev/tty1.
        """
        encoded = binascii.b2a_base64(stdin, newline=False)
        # this process uses the folder's descriptor, the guest its path
        pinned = command.folder if descriptor(command.folder) is not None else command.folder.resolve()
        name = f".guest-{clock.now():x}"
        scratch, inside = pinned / name, command.folder.resolve() / name
        command_line, environment = boot_line(self, inside, channel), self._environment()
        prepare = self._prepare((pinned, inside), command.writable)
        try:
            scratch.mkdir(mode=0o700)
            (scratch / guest_init.EXIT).write_text(guest_init.NO_EXIT)
            (scratch / guest_init.JOB).write_text(json.dumps(asdict(_job(command, inside, self.kernel, len(encoded)))))
            process = _boot(command_line, scratch.parent / LOG, environment | {"HOME": str(inside)}, prepare, channel)
        except subprocess.SubprocessError as error:  # in preexec_fn, of a child that could not be confined
            shutil.rmtree(scratch, ignore_errors=True)
            raise RefusedError(
                f"a guest cannot be confined to {display_path(command.folder)}: use another --out"
            ) from error
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise RefusedError(
                f"cannot start a guest in {display_path(command.folder)}: {error.strerror}; use another --out"
            ) from error
        return Guest(process, scratch, encoded, Deadline(command, clock, renewed=self.virtual), self.memory)

    def memory_folder(self) -> str:
        """The folder for a guest's memory: shared memory, or the folder for temporary files."""
        return guest_memory.folder(self.memory, ("/dev/shm", tempfile.gettempdir()))

    def _prepare(self, place: tuple[Path, Path], writable: tuple[Path, ...]) -> Callable[[], None]:
        """What the child does before it executes the kernel: it starts its watchdog, and confines itself, if possible.

        `place` is the pinned folder, and the path of the scratch directory in it.
        """
        (pinned, scratch), owner, is_confined = place, os.getpid(), not confinement.obstacle()
        places = ((pinned, scratch.parent), *((each, each) for each in writable))

        def prepare() -> None:
            guest_watchdog.start(owner, pinned, scratch.name)
            guest_memory.place_without_chance()
            if is_confined:
                confinement.confine(places, self.memory)

        return prepare

    def _environment(self) -> dict[str, str]:
        """The environment of the kernel's process, which puts the guest's memory into an unlinked file in TMPDIR."""
        folder = self.memory_folder()
        return {
            "TMPDIR": folder if confinement.obstacle() else confinement.MEMORY_MOUNT,
            "PATH": programs.tool_path(os.environ),
        }


class Guest:
    """A running guest. Made by `Uml.start`."""

    def __init__(
        self, process: subprocess.Popen[bytes], scratch: Path, encoded: bytes, deadline: Deadline, memory: Size
    ) -> None:
        self.log = scratch.parent / LOG
        self.shortage = ""
        self.pid = process.pid
        self._process = process
        assert process.stdin is not None
        self._console = process.stdin
        self._stdin, self._chunks_sent = encoded, 0
        self._scratch = scratch
        self._deadline, self._memory = deadline, memory
        self._code: int | None = None
        self._cancelled_by: signal.Signals | None = None  # set by a signal handler, which must not wait
        self._signals_sent, self._signal_due = 0, 0

    def poll(self) -> int | None:
        """As `Running.poll`."""
        if self._code is not None:
            return self._code
        if self._is_deaf():
            self._cancelled_by = self._last_sign
        if self._cancelled_by is not None:
            self.close()
            self._code = 128 + self._cancelled_by
            return self._code
        if self._process.poll() is None:
            self._send_stdin()
            if not self._deadline.is_over():
                return None
            self.close()
            raise RefusedError(f"the guest {self._deadline} and was stopped; it logged:{self._log_tail()}")
        try:
            self._code = exit_code((self._scratch / guest_init.EXIT).read_bytes())
            self.shortage = guest_memory.shortage(self._scratch / guest_init.KILLED, self._memory)
        except (OSError, ValueError):
            began = (self._scratch / guest_init.READY).exists()
            tail = self._log_tail()
            if shortage := guest_memory.shortage(self._scratch / guest_init.KILLED, self._memory, tail):
                raise RefusedError(shortage) from None
            how = "died before its command ended" if began else f"did not start ({why_not_started(tail)})"
            raise RefusedError(f"the guest {how}; it logged:{tail}") from None
        finally:
            self.close()
        return self._code

    def _send_stdin(self) -> None:
        """Send chunks of stdin as the guest requests them, for one poll interval at most."""
        clock, asks = RealClock(), self._scratch / guest_init.REQUESTS
        ends = clock.now() + POLL_INTERVAL
        while (begin := self._chunks_sent * guest_init.CHUNK) < len(self._stdin) and clock.now() < ends:
            if file_size(asks) > self._chunks_sent:
                with contextlib.suppress(BrokenPipeError):
                    self._console.write(self._stdin[begin : begin + guest_init.CHUNK])
                self._chunks_sent += 1
            else:
                clock.sleep_until(clock.now() + _INPUT_POLL)

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Running.interrupt`."""
        if not (self._scratch / guest_init.READY).exists():
            self._cancelled_by = sign  # the command has not started, or the guest has ended
            return
        if not self._is_owed():
            self._signal_due = RealClock().now() + _SIGNAL_PATIENCE
        self._last_sign, self._signals_sent = sign, self._signals_sent + 1
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended
            self._console.write(guest_init.SIGNAL_LETTERS[sign])

    def cancel(self, sign: signal.Signals) -> None:
        """Have it killed by the next `poll`, which returns the exit code of this signal."""
        self._cancelled_by = sign

    @property
    def was_cancelled(self) -> bool:
        """Whether it was killed for a signal, before its command had ended."""
        return self._cancelled_by is not None

    def _is_owed(self) -> bool:
        """Whether the guest has not taken all signals."""
        return file_size(self._scratch / guest_init.TAKEN) < self._signals_sent

    def _is_deaf(self) -> bool:
        """Whether the guest has not taken a signal in time: a program in it computes without a pause."""
        return self._is_owed() and RealClock().now() >= self._signal_due

    def finish(self) -> int:
        """As `Running.finish`."""
        return wait(self, RealClock())

    def close(self) -> None:
        """As `Running.close`."""
        if self._console.closed:
            return
        with contextlib.suppress(ProcessLookupError):  # no process of its session is left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._console.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _log_tail(self) -> str:
        return log_tail(self.log)


def why_not_started(log: str) -> str:
    """Why a guest ended before its init was ready, by what its kernel logged. A kernel that panics could trace."""
    if (failed := _INIT_FAILED.search(log)) is not None:
        program, number = failed.groups()
        return f"its kernel cannot execute {program}: {os.strerror(int(number))}, see: namei -l {program}"
    return "its kernel started, and then panicked" if "Kernel panic" in log else NEEDS_PTRACE


def find(path: Path | None = None) -> GuestKernel:
    """The guest kernel at `path`, or the one that `kernel_program` selects. Raises RefusedError."""
    program, origin = kernel_program.find(path)
    config = kernel_program.ask(program, "--showconfig").splitlines()
    if "CONFIG_UML=y" not in config:
        raise RefusedError(f"{program} is not a User-Mode Linux kernel: {kernel_program.remedy()}")
    release = kernel_program.ask(program, "--version")
    modules = MODULES / release
    usable = ("=y", "=m") if modules.is_dir() else ("=y",)
    built = {command_line.partition("=")[0] for command_line in config if command_line.endswith(usable)}
    return GuestKernel(
        path=program,
        release=release,
        modules=modules if modules.is_dir() else None,
        features=frozenset(feature for feature, options in OPTIONS.items() if built.issuperset(options)),
        origin=origin,
    )


def _boot(
    command_line: list[str], log: Path, environment: dict[str, str], prepare: Callable[[], None], given: int | None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as console:
        process = subprocess.Popen(
            command_line,
            stdin=subprocess.PIPE,
            stdout=console,
            stderr=console,
            bufsize=0,
            env=environment,
            start_new_session=True,
            pass_fds=() if given is None else (given,),
            preexec_fn=prepare,
        )
    _pin(process.pid)
    return process


def _conduct(run: Path, limit: int) -> Command:
    """As `conduct`, with the entry point for guests, which starts faster there."""
    command = conduct(run, limit)
    return replace(command, argv=programs.python_in_guest("chaoskit.cli.guest_conduct", str(command.folder.resolve())))


def boot_line(substrate: Uml, scratch: Path, channel: int | None = None) -> list[str]:
    """The guest kernel's command line (Documentation/virt/uml, Documentation/admin-guide/kernel-parameters)."""
    init, *arguments = programs.python_as_init(guest_init.__name__, str(scratch))
    return [
        str(substrate.kernel.path),
        f"mem={substrate.memory // 2**20}M",
        "rootfstype=hostfs",
        "rootflags=/",
        "ro",
        "quiet",
        "loglevel=2",
        "con0=fd:0,fd:1",
        "con=null",
        *(() if channel is None else (f"con1=fd:{channel},fd:{channel}",)),
        *substrate.options,
        f"init={_quoted(init)}",
        "--",
        *map(_quoted, arguments),
    ]


def virtual_time(entropy: int) -> tuple[str, ...]:
    """Boot parameters for virtual time: time jumps to the next timer when idle; date and randomness are fixed.

    So are addresses: they order a program's sets, and would depend on how many programs were started before it.
    """
    return ("time-travel=inf-cpu", f"time-travel-start={_BOOT_DATE}", f"chaoskit.entropy={entropy}", "norandmaps")


def _job(command: Command, scratch: Path, kernel: GuestKernel, encoded: int) -> guest_init.Job:
    passed_on = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
    return guest_init.Job(
        argv=list(command.argv),
        environment=passed_on | programs.only_absolute(os.environ, _SEARCH_PATHS) | _GUEST_ENVIRONMENT,
        directory=str(Path.cwd()),
        folder=str(scratch.parent),
        writable=list(map(str, command.writable)),
        scratch=str(scratch),
        modules=str(kernel.modules) if kernel.modules else None,
        host=os.getpid(),
        input=encoded,
    )


def _pin(pid: int) -> None:
    """Pin a guest to one CPU, where its system calls are ten times faster; guests spread over all CPUs."""
    cpus = sorted(os.sched_getaffinity(0))
    with contextlib.suppress(ProcessLookupError):  # it has ended
        os.sched_setaffinity(pid, {cpus[pid % len(cpus)]})


def _quoted(text: str) -> str:
    """Quote a parameter for a kernel command line, which has double quotes and no escapes (lib/cmdline.c)."""
    if '"' in text:
        raise RefusedError(f"a guest kernel cannot be given a path with a double quote: {text}; rename it")
    return f'"{text}"' if " " in text else text


def exit_code(text: bytes) -> int:
    """What a guest wrote as its exit code. Raises ValueError for what no process ends with."""
    if not text.strip().isdigit() or len(text) > _EXIT_CODE_LENGTH or not 0 <= int(text) <= _MAX_EXIT_CODE:
        raise ValueError(text[:_EXIT_CODE_LENGTH])
    return int(text)
