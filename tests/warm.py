"""Runs the command line in processes that have its modules imported already: starting one takes ten times as long.

A process of its own, started at the first call, imports chaoskit and forks for each command: with the streams,
environment and folder that were given, up to the exit code. What is about starting (imports, what Python itself reads
from the environment, a broken module) needs a real start: `[sys.executable, "-m", "chaoskit", ...]`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, NoReturn

ENCODING = "PYTHONIOENCODING"
LIMIT = 60  # s for one command that does not say how long it may take
LOADED_WHEN_USED = ("chaoskit.workers.dask_cluster",)  # Dask replaces parts of the standard library as it is imported
LATE = ("rich.console", "rich.table", "rich.text")  # what chaoskit imports within functions
_LARGEST = 8 << 20  # bytes of a request, and of what a command says
_lock = threading.Lock()
_running: list[tuple[subprocess.Popen[bytes], socket.socket]] = []


def chaoskit(
    *words: str,
    cwd: Path | None = None,
    given: str | None = None,
    stdout: IO[str] | None = None,
    stderr: IO[str] | None = None,
    environment: dict[str, str] | None = None,
    before: str = "",
    limit: int = LIMIT,
) -> subprocess.CompletedProcess[str]:
    """The exit code of the command, and what it wrote into `stdout` and `stderr`, if they are not given.

    `given` is what it reads from its standard input; `environment` is added to this process's. `before` is Python that
    its process executes first: it sets a limit, or breaks a module. `limit` is how many seconds it may take; nothing
    else is run meanwhile.
    """
    changed = environment or {}
    early = [name for name in changed if name.startswith(("PYTHON", "LC_", "LANG")) and name != ENCODING]
    assert not early, f"Python reads {early} as it starts"
    asked = json.dumps([words, str(cwd or Path.cwd()), os.environ | changed, before]).encode()
    with tempfile.TemporaryFile("w+") as typed, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        typed.write(given or "")
        typed.seek(0)
        streams = [typed, stdout or out, stderr or err]
        code = _ask(asked, [stream.fileno() for stream in streams], limit)
        said, told = (os.pread(stream.fileno(), _LARGEST, 0).decode() for stream in (out, err))
    return subprocess.CompletedProcess(["chaoskit", *words], code, said, told)


def _ask(asked: bytes, descriptors: list[int], limit: int) -> int:
    with _lock:
        if not _running:
            _start()
        _, ours = _running[0]
        ours.settimeout(limit)
        try:
            socket.send_fds(ours, [asked], descriptors)
            return int(ours.recv(100))
        except (OSError, ValueError) as error:
            _end()
            raise RuntimeError(f"no answer in {limit} s, or chaoskit cannot be imported: see above") from error
        except BaseException:  # a test's time is up, or Ctrl-C: what comes next would get this command's exit code
            _end()
            raise


def _start() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        words = [sys.executable, "-P", __file__, str(theirs.fileno())]
        process = subprocess.Popen(words, pass_fds=[theirs.fileno()], start_new_session=True)
    _running.append((process, ours))
    atexit.register(_end)


def _end() -> None:
    while _running:
        process, ours = _running.pop()
        ours.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _serve(requests: socket.socket) -> None:
    """Import everything, and fork for each request, one after the other."""
    import chaoskit as package

    for module in pkgutil.walk_packages(package.__path__, "chaoskit."):
        if not module.name.endswith(".__main__") and module.name not in LOADED_WHEN_USED:
            import_module(module.name)
    for name in LATE:
        import_module(name)
    gc.freeze()
    while True:
        asked, descriptors, _, _ = socket.recv_fds(requests, _LARGEST, 3)
        if not asked:
            return
        if (pid := os.fork()) == 0:
            requests.close()
            _become(json.loads(asked), descriptors)
        for each in descriptors:
            os.close(each)
        requests.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(asked: tuple[list[str], str, dict[str, str], str], descriptors: list[int]) -> NoReturn:
    """The command itself. It ends as Python ends, except that the modules are not taken apart."""
    words, folder, environment, before = asked
    for number, each in enumerate(descriptors):
        os.dup2(each, number)
        os.close(each)
    signs = environment.get(ENCODING, "utf-8")
    sys.stdin = open(0, encoding=signs, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding=signs, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=signs, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["chaoskit", *words]
    from chaoskit.__main__ import main

    code = 1
    try:
        exec(before, {"__name__": "before"})
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  of `before`
        traceback.print_exc()
    finally:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as asked_for:
        _serve(asked_for)
