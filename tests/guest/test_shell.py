"""Tests `chaoskit shell` in a guest: a terminal of the guest's own, connected with the user's."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
from pathlib import Path

from chaoskit.clock import RealClock

CLOCK = RealClock()
PATIENCE = 180 * 10**9  # ns; a guest that shares its processor with four others has taken 63 s
FILE = """\
name: chain
question: Does it answer?
stage:
  lab: service
  hosts:
    gateway: {run: [/usr/bin/python3, -m, http.server, "8080"], ready: 8080, env: {COLOUR: green}}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 2/s}
faults:
  slow: {host: gateway, direction: both, netem: {delay: 10ms}}
timeline: [{slow: 10s}]
"""


class Screen:
    """A terminal of the size of a window, and what it has shown."""

    def __init__(self, terminal: int) -> None:
        self.said, self._terminal, self._seen = "", terminal, 0

    def resized(self, rows: int, columns: int) -> None:
        """Its window has this size now."""
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text: str) -> None:
        """Wait for this after what was seen."""
        deadline = CLOCK.now() + PATIENCE
        while text not in self.said[self._seen :]:
            assert CLOCK.now() < deadline, self.said
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.said += os.read(self._terminal, 1000).decode(errors="replace")
        self._seen = self.said.index(text, self._seen) + len(text)

    def types(self, keys: str, text: str) -> None:
        """Press these, and wait for that."""
        os.write(self._terminal, keys.encode())
        self.until(text)

    def end_of(self, child: int) -> int:
        """The exit code of the process that writes to it, which waits until everything is read."""
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self._terminal], [], [], 0.1)[0]:
                self.said += os.read(self._terminal, 1000).decode(errors="replace")


def test_a_shell_on_a_host_of_a_guest(tmp_path: Path) -> None:
    """It has the size of the window, Ctrl-C ends its command, and the user's terminal is afterwards as it was."""
    (tmp_path / "chain.yaml").write_text(FILE)
    words = ["shell", "chain.yaml", "--host", "gateway", "--fault", "slow", "--substrate", "uml"]
    master, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    screen = Screen(master)
    screen.resized(31, 101)
    child = os.fork()
    if child == 0:
        os.login_tty(terminal)
        os.chdir(tmp_path)
        os.execve(sys.executable, [sys.executable, "-m", "chaoskit", *words], os.environ | {"SHELL": "/bin/sh"})

    screen.until("(gateway) $ ")
    screen.types("stty size; echo $COLOUR-$(hostname)\n", "\r\n31 101\r\ngreen-gateway\r\n")
    screen.types("echo begun; sleep 1000\n", "\r\nbegun\r\n")
    screen.types("\x03", "(gateway) $ ")
    screen.resized(41, 111)
    screen.types("while test \"$(stty size)\" != '41 111'; do sleep 0.1; done; echo as wide\n", "\r\nas wide\r\n")
    screen.types("exit 7\n", "exit 7\r\n")

    assert screen.end_of(child) == 7, screen.said
    assert termios.tcgetattr(terminal) == before
