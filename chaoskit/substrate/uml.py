"""A guest: a User-Mode Linux kernel booted over this machine's own files, to run one command in.

The kernel is an ordinary program. It needs no root, no image and no network of the host; inside, the
command is root in a kernel of its own. Rules: the host's files are read-only except one folder; nothing
of a guest outlives it but what it wrote in that folder, however it ends:

| what ends it                  | what happens                                                        |
|-------------------------------|---------------------------------------------------------------------|
| the command ends              | its exit code comes back                                            |
| the limit passes, `close`     | every process of the guest is killed                                |
| it panics, somebody kills it  | the same, and RefusedError tells its last words                     |
| this process dies             | its console hangs up; it clears away after us and powers off        |

Root in the guest cannot undo that: see `confinement`, and what `chaoskit doctor` says where a host does not allow it.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from chaoskit import file_trust, programs
from chaoskit.clock import Clock, RealClock
from chaoskit.errors import RefusedError
from chaoskit.folder import descriptor, display_path
from chaoskit.seed import derive
from chaoskit.substrate import confinement, guest_init, kernel_cache
from chaoskit.substrate.running import POLL_INTERVAL, Command, conduct, log_tail, wait
from chaoskit.units import Size

MEMORY = Size.parse("512MiB")
MODULES = Path("/usr/lib/uml/modules")  # where Debian's user-mode-linux keeps them
LOG = "guest.log"
NEEDS_PTRACE = "it needs ptrace, which a container may forbid: docker run --cap-add SYS_PTRACE"
SLACK = 120_000_000_000  # ns that an experiment may take beyond what its plan says: boot, slow imports
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
}
"""For a feature (see `facts`) what a kernel must have been built with."""

_INPUT_POLL = 1_000_000  # ns
_BOOT_DATE = 1_767_225_600 * 10**9  # ns since 1970: 2026-01-01, when every guest in virtual time boots
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
    """A UML kernel, its release, the directory of its modules (None when all is built in), its features."""

    path: Path
    release: str
    modules: Path | None
    features: frozenset[str]


@dataclass(frozen=True)
class Uml:
    """The substrate: this kernel, with this much memory for each guest, and further words for it at boot."""

    kernel: GuestKernel
    memory: Size = MEMORY
    virtual: bool = False
    options: tuple[str, ...] = ()

    def start(self, run: Path, length: int, seed: int) -> Guest:
        """Begin the experiment of a run directory, which by its plan takes `length` ns of the guest's time.

        In virtual time the guest's chance is the `seed`'s, and it may take as long as it goes on writing.
        """
        if not self.virtual:
            return self.launch(_conduct(run, length + SLACK), RealClock())
        timed = replace(self, options=(*self.options, *virtual_time(derive(seed, "guest"))))
        return timed.launch(_conduct(run, SLACK), RealClock())

    def launch(self, command: Command, clock: Clock, words: bytes = b"") -> Guest:
        """Boot a guest that runs any command. RefusedError when it cannot even begin.

        The command reads `words` as its standard input; they get there without lying in a file anywhere.
        """
        told = binascii.b2a_base64(words, newline=False)
        # this process reaches the folder by its descriptor, the guest by its name
        held = command.folder if descriptor(command.folder) is not None else command.folder.resolve()
        name = f".guest-{clock.now():x}"
        scratch, inside = held / name, command.folder.resolve() / name
        line, environment, prepare = boot_line(self, inside), self._environment(), self._prepare(held, inside.parent)
        try:
            scratch.mkdir(mode=0o700)
            (scratch / guest_init.EXIT).write_text(guest_init.NO_EXIT)
            (scratch / guest_init.JOB).write_text(json.dumps(asdict(_job(command, inside, self.kernel, len(told)))))
            process = _boot(line, scratch.parent / LOG, environment | {"HOME": str(inside)}, prepare)
        except subprocess.SubprocessError as error:  # of a child that could not prepare itself
            shutil.rmtree(scratch, ignore_errors=True)
            raise RefusedError(
                f"a guest cannot be confined to {display_path(command.folder)}: use another --out"
            ) from error
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            raise RefusedError(
                f"cannot start a guest in {display_path(command.folder)}: {error.strerror}; use another --out"
            ) from error
        return Guest(process, scratch, told, Deadline(command, clock, renewed=self.virtual))

    def memory_folder(self) -> str:
        """Where a guest's memory goes: shared memory, or the folder for temporary files."""
        return memory_folder(self.memory, ("/dev/shm", tempfile.gettempdir()))

    def _prepare(self, held: Path, place: Path) -> Callable[[], None] | None:
        """What the kernel's own process does before it becomes that: it confines itself, where it can."""
        return None if confinement.obstacle() else partial(confinement.confine, held, place, self.memory)

    def _environment(self) -> dict[str, str]:
        """What the kernel's own process gets: it puts the guest's memory into TMPDIR, an unlinked file."""
        folder = self.memory_folder()
        return {
            "TMPDIR": folder if confinement.obstacle() else confinement.MEMORY_MOUNT,
            "PATH": programs.tool_path(os.environ),
        }


class Deadline:
    """How long a guest may take: its limit in all, or, `renewed`, its limit without writing anything."""

    def __init__(self, command: Command, clock: Clock, renewed: bool) -> None:
        self._command, self._clock, self._renewed = command, clock, renewed
        self._ends = clock.now() + command.limit
        self._written = 0

    def is_over(self) -> bool:
        """Whether it has taken longer than that."""
        if self._renewed:
            written = sum(_size(path) for path in self._command.folder.iterdir() if path.is_file())
            if written != self._written:
                self._written, self._ends = written, self._clock.now() + self._command.limit
        return self._clock.now() >= self._ends

    def __str__(self) -> str:
        limit = self._command.limit
        return f"wrote nothing for {limit}" if self._renewed else f"did not end within {limit}"


class Guest:
    """A running guest. Made by `Uml.start`."""

    def __init__(self, process: subprocess.Popen[bytes], scratch: Path, told: bytes, patience: Deadline) -> None:
        self.log = scratch.parent / LOG
        self.pid = process.pid
        self._process = process
        assert process.stdin is not None
        self._console = process.stdin
        self._told, self._pieces = told, 0
        self._scratch = scratch
        self._patience = patience
        self._code: int | None = None
        self._called_off: signal.Signals | None = None  # by a signal handler, which must not wait for anything

    def poll(self) -> int | None:
        """As `Running.poll`."""
        if self._code is not None:
            return self._code
        if self._called_off is not None:
            self.close()
            self._code = 128 + self._called_off
            return self._code
        if self._process.poll() is None:
            self._tell()
            if not self._patience.is_over():
                return None
            self.close()
            raise RefusedError(f"the guest {self._patience} and was stopped; it said:{self._said()}")
        try:
            self._code = int((self._scratch / guest_init.EXIT).read_text())
        except (FileNotFoundError, ValueError):
            began = (self._scratch / guest_init.READY).exists()
            how = "died before its command ended" if began else f"did not start ({NEEDS_PTRACE})"
            raise RefusedError(f"the guest {how}; it said:{self._said()}") from None
        finally:
            self.close()
        return self._code

    def _tell(self) -> None:
        """Hand in what the command is to read, piece by piece as the guest asks for them; for a glance at most."""
        clock, asks = RealClock(), self._scratch / guest_init.REQUESTS
        ends = clock.now() + POLL_INTERVAL
        while (begin := self._pieces * guest_init.CHUNK) < len(self._told) and clock.now() < ends:
            if _size(asks) > self._pieces:
                with contextlib.suppress(BrokenPipeError):
                    self._console.write(self._told[begin : begin + guest_init.CHUNK])
                self._pieces += 1
            else:
                clock.sleep_until(clock.now() + _INPUT_POLL)

    def interrupt(self, sign: signal.Signals = signal.SIGINT) -> None:
        """As `Running.interrupt`."""
        if not (self._scratch / guest_init.READY).exists():
            self._called_off = sign  # nothing has begun, or all is over
            return
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended, or is just being cleared away
            self._console.write(guest_init.SIGNAL_LETTERS[sign])

    def finish(self) -> int:
        """As `Running.finish`."""
        return wait(self, RealClock())

    def close(self) -> None:
        """As `Running.close`."""
        if self._console.closed:
            return
        with contextlib.suppress(ProcessLookupError):  # nobody of its session is left
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._console.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _said(self) -> str:
        return log_tail(self.log)


def find(path: Path | None = None) -> GuestKernel:
    """The guest kernel at `path`, or our own, or `linux.uml` on PATH. RefusedError says how to get one.

    Only one that root or this user owns is executed, and that nobody else could have put there.
    """
    place = kernel_cache.cache()
    found = programs.find(str(path or kernel_cache.newest(place) or "linux.uml"))
    if found is None:
        where = f"{path} is no program" if path else f"linux.uml is not on PATH, and {kernel_cache.absence(place)}"
        raise RefusedError(f"there is no guest kernel, {where}; {remedy()}")
    if weakness := file_trust.weakness(Path(found), os.geteuid()):
        raise RefusedError(
            f"{found} is not booted, for others could have changed it: {weakness.reason}; {_owner_remedy(weakness)}"
        )
    config = _query(found, "--showconfig").splitlines()
    if "CONFIG_UML=y" not in config:
        raise RefusedError(f"{found} is no User-Mode Linux kernel: {remedy()}")
    release = _query(found, "--version")
    modules = MODULES / release
    usable = ("=y", "=m") if modules.is_dir() else ("=y",)
    built = {line.partition("=")[0] for line in config if line.endswith(usable)}
    return GuestKernel(
        path=Path(found),
        release=release,
        modules=modules if modules.is_dir() else None,
        features=frozenset(feature for feature, options in OPTIONS.items() if built.issuperset(options)),
    )


def remedy() -> str:
    """What to type for a guest kernel; User-Mode Linux exists for x86 alone."""
    if platform.machine() in ("x86_64", "i686"):
        return "sudo apt-get install user-mode-linux"
    return f"User-Mode Linux is not for {platform.machine()}; use a virtual machine, cd vagrant && vagrant up"


def _rebuild_or_install(kernel: str) -> str:
    """What to type when a kernel is none: ours can be made again."""
    if Path(kernel).is_relative_to(kernel_cache.cache()):
        return "chaoskit kernel remove && chaoskit kernel build"
    return remedy()


def _owner_remedy(weakness: file_trust.Weakness) -> str:
    return weakness.remedy or "start chaoskit as that user, a guest takes no root, or give --kernel a copy of your own"


def _query(kernel: str, question: str) -> str:
    try:
        answer = subprocess.run([kernel, question], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RefusedError(
            f"{kernel} does not answer {question}, so it is no guest kernel: {_rebuild_or_install(kernel)}"
        ) from error
    return answer.stdout.strip()


def _boot(
    line: list[str], log: Path, environment: dict[str, str], prepare: Callable[[], None] | None
) -> subprocess.Popen[bytes]:
    with log.open("ab") as console:
        process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE,
            stdout=console,
            stderr=console,
            bufsize=0,
            env=environment,
            start_new_session=True,
            preexec_fn=prepare,
        )
    _pin(process.pid)
    return process


def _conduct(run: Path, limit: int) -> Command:
    """As `conduct`, by the way that a guest is faster on: half as many of its costly stops until the first request."""
    command = conduct(run, limit)
    return replace(command, argv=programs.python_in_guest("chaoskit.cli.guest_conduct", str(command.folder.resolve())))


def boot_line(substrate: Uml, scratch: Path) -> list[str]:
    """The guest kernel's command line (Documentation/virt/uml, Documentation/admin-guide/kernel-parameters)."""
    init, *words = programs.first_python(guest_init.__name__, str(scratch))
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
        *substrate.options,
        f"init={_quoted(init)}",
        "--",
        *map(_quoted, words),
    ]


def virtual_time(entropy: int) -> tuple[str, ...]:
    """Time that jumps to the next timer when all wait; the same date at every boot, and the same chance."""
    return ("time-travel=inf-cpu", f"time-travel-start={_BOOT_DATE}", f"chaoskit.entropy={entropy}")


def memory_folder(size: int, candidates: tuple[str, ...]) -> str:
    """The first folder that can hold a guest's memory: `size` bytes free, writable, and not mounted noexec.

    Raises RefusedError when there is none.
    """
    for folder in candidates:
        try:
            disk = os.statvfs(folder)
        except OSError:
            continue
        roomy = disk.f_bavail * disk.f_frsize >= size
        if roomy and not disk.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK):
            return folder
    raise RefusedError(
        f"no place for a guest's memory: none of {', '.join(candidates)} is writable, executable and has "
        f"{size // 2**20} MiB free; TMPDIR=/a/roomy/folder chaoskit ..."
    )


def _size(path: Path) -> int:
    """In bytes; 0 of a file that was taken away meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _job(command: Command, scratch: Path, kernel: GuestKernel, told: int) -> guest_init.Job:
    passed_on = {name: os.environ[name] for name in _FORWARDED if name in os.environ}
    return guest_init.Job(
        argv=list(command.argv),
        environment=passed_on | programs.only_absolute(os.environ, _SEARCH_PATHS) | _GUEST_ENVIRONMENT,
        directory=str(Path.cwd()),
        folder=str(scratch.parent),
        scratch=str(scratch),
        modules=str(kernel.modules) if kernel.modules else None,
        host=os.getpid(),
        input=told,
    )


def _pin(pid: int) -> None:
    """Keep a guest on one CPU, where its system calls are ten times faster; guests spread over all."""
    cpus = sorted(os.sched_getaffinity(0))
    with contextlib.suppress(ProcessLookupError):  # it has ended already
        os.sched_setaffinity(pid, {cpus[pid % len(cpus)]})


def _quoted(text: str) -> str:
    """As one word of a kernel command line, which knows double quotes and no escape (lib/cmdline.c)."""
    if '"' in text:
        raise RefusedError(f"a guest kernel cannot be given a path with a double quote: {text}; rename it")
    return f'"{text}"' if " " in text else text
