"""Starts runs by forks of a process that has their modules imported: each takes two seconds less.

    server = ForkServer()         # starts nothing yet
    run = server.start(launch)
    run.poll()

The server is a child of its owner and ends with it: when its socket is closed. The owner numbers the runs; a message is
a JSON document, with the three descriptors of `Launch` where a run is to start:

| owner to server                                               | server to owner                                |
|---------------------------------------------------------------|------------------------------------------------|
| `{"start": 1, "arguments": [...], "processor": 0, "lock": 3}` | `{"ended": 1, "code": 0}`, -n for signal n     |
| `{"send": 1, "sign": 2}`, `{"kill": 1}`                       |                                                |

Only the server awaits its children, so that a number never means another process than the run.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import count
from threading import Lock
from typing import Any

from chaoskit import keyboard_interrupt, programs
from chaoskit.workers.launch import Launch, RunProcess

_LARGEST = 1 << 20  # bytes of a message
_DESCRIPTORS = 3
_PR_SET_PDEATHSIG = 1  # prctl(2)
_LOST = -signal.SIGKILL  # the code of runs whose server was killed
_IMPORTED = (
    "chaoskit.cli.app",
    "chaoskit.cli.completion",
    "chaoskit.cli.main",
    "chaoskit.cli.usage",
    "chaoskit.conduct.planning",
    "chaoskit.execution.job",
    "chaoskit.execution.series",
    "chaoskit.execution.single",
    "chaoskit.report.formats.destinations",
    "chaoskit.report.live",
    "chaoskit.substrate.selection",
    "chaoskit.substrate.uml",
)
"""What a run in a guest imports; what is missing here, each run imports itself."""


class ForkServer:
    """`Launcher` of `chaoskit run`. It is started with the first run. May be used by several threads."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._codes: dict[int, int] = {}
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()
        self._is_lost = False

    def start(self, launch: Launch) -> RunProcess:
        """As `Launcher.start`."""
        with self._lock:
            if self._socket is None:
                self._start_server()
        number = next(self._numbers)
        asked = {"start": number, "arguments": launch.arguments, "processor": launch.processor, "lock": launch.lock}
        self.tell(asked, [launch.given, launch.said, launch.lock])
        return _Forked(self, number)

    def _start_server(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                programs.python("chaoskit.workers.fork_server", str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        self._socket = ours

    def tell(self, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Send the server this message. One that was killed is noticed at the next `code`."""
        assert self._socket is not None, "no run was started"
        with suppress(OSError):
            socket.send_fds(self._socket, [json.dumps(message).encode()], list(descriptors))

    def code(self, number: int) -> int | None:
        """That of a run, once it has ended."""
        with self._lock:
            while number not in self._codes and not self._is_lost and (found := self._next()) is not None:
                self._codes[found["ended"]] = found["code"]
            return self._codes.get(number, _LOST if self._is_lost else None)

    def _next(self) -> dict[str, int] | None:
        assert self._socket is not None, "no run was started"
        try:
            message = self._socket.recv(_LARGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            message = b""
        if not message:
            self._is_lost = True
            return None
        found: dict[str, int] = json.loads(message)
        return found

    def close(self) -> None:
        """As `Launcher.close`: end the server."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.wait()
            self._socket = self._process = None


class _Forked:
    """`RunProcess` of a server."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self._server, self._number = server, number

    def poll(self) -> int | None:
        """As `RunProcess.poll`."""
        return self._server.code(self._number)

    def send(self, sign: signal.Signals) -> None:
        """As `RunProcess.send`."""
        self._server.tell({"send": self._number, "sign": int(sign)})

    def kill(self) -> None:
        """As `RunProcess.kill`."""
        self._server.tell({"kill": self._number})


class _Server:
    """The other side of the socket: forks, and tells how each child has ended."""

    def __init__(self, owner: socket.socket) -> None:
        self._owner = owner
        self._children: dict[int, tuple[int, int]] = {}  # by the number of the run: its process and a pidfd of it
        self._poll = select.poll()
        self._poll.register(owner, select.POLLIN)

    def arguments(self) -> list[str] | None:
        """Serve until the owner is gone: None. In a child: what it is to run, at once."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            for number, (pid, pidfd) in list(self._children.items()):
                if pidfd in ready:
                    self._tell_end(number, pid, pidfd)
            if self._owner.fileno() in ready:
                message, descriptors, _, _ = socket.recv_fds(self._owner, _LARGEST, _DESCRIPTORS)
                if not message:
                    return None
                if (found := self._answer(json.loads(message), descriptors)) is not None:
                    return found

    def _answer(self, asked: dict[str, Any], descriptors: list[int]) -> list[str] | None:
        if "start" in asked:
            return self._fork(asked, descriptors)
        child = self._children.get(asked.get("send", asked.get("kill", 0)))
        if child is not None:  # it is not awaited yet, so that the number is still its own
            with suppress(ProcessLookupError):
                if "send" in asked:
                    os.kill(child[0], asked["sign"])
                else:
                    os.killpg(child[0], signal.SIGKILL)
        return None

    def _fork(self, asked: dict[str, Any], descriptors: list[int]) -> list[str] | None:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become(server, descriptors, asked["processor"], asked["lock"])
            arguments: list[str] = asked["arguments"]
            return arguments
        for each in descriptors:
            os.close(each)
        pidfd = os.pidfd_open(pid)
        self._children[asked["start"]] = pid, pidfd
        self._poll.register(pidfd, select.POLLIN)
        return None

    def _become(self, server: int, descriptors: list[int], processor: int | None, lock: int) -> None:
        """This process is the run from now on. The lock has its owner's number: paths may name it (/proc/self/fd/3)."""
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != server:  # it died before that
            os._exit(128 + signal.SIGINT)
        self._owner.close()
        for _, pidfd in self._children.values():
            os.close(pidfd)
        given, said, held = descriptors
        for descriptor, number in ((given, 0), (said, 2), (held, lock)):
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
        if processor is not None:
            os.sched_setaffinity(0, {processor})
        keyboard_interrupt.handle()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])  # one that came meanwhile counts now

    def _tell_end(self, number: int, pid: int, pidfd: int) -> None:
        del self._children[number]
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):  # the owner is gone
            self._owner.send(json.dumps({"ended": number, "code": code}).encode())


def main() -> None:
    """Serve the owner, or be a run of chaoskit."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    owner = socket.socket(fileno=int(sys.argv[1]))
    for name in _IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()
    arguments = _Server(owner).arguments()
    if arguments is not None:
        sys.argv = ["chaoskit", *arguments]
        runpy.run_module("chaoskit", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
