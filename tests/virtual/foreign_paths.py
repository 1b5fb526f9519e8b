"""Runs in a guest: probes a server of Python's own library through the lab, under loss and through black holes.

    foreign_paths.py FOLDER

Each case leaves the run directory of `chaoskit probe` under its name. The server's first event is longer than two
segments, the others are short.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from every_fault import FAULT, HOSTS, SETTLING

import chaoskit.analysis.analyse
import chaoskit.conduct.probe_only
import chaoskit.report.console  # noqa: F401  like the two above: a probe imports them late
from chaoskit.cli.main import main as type_chaoskit
from chaoskit.clock import RealClock, now
from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.topology.fault_site import Lab
from chaoskit.topology.lab import EDGE
from chaoskit.topology.lab_build import build

AWAY = {"link": "client-router", "direction": "down", "netem": {"delay": "20ms"}}
HOLE = {"direction": "down", "pmtu": {"mtu": 1300, "signal": "dropped"}}
BURSTS = {
    "14": {"p": "4%", "r": "25%"},
    "29": {"p": "10%", "r": "25%"},
    "30-long": {"p": "3%", "r": "7%"},
}
CASES: dict[str, list[dict[str, Any]]] = {
    "clean": [AWAY],
    "hole": [AWAY, HOLE],
    "hole-lossy": [AWAY | {"netem": {"delay": "20ms", "loss": "2%"}}, HOLE],
}
for _name, _gemodel in BURSTS.items():
    for _way in ("down", "both"):
        _netem = {"delay": "20ms", "loss": {"gemodel": _gemodel}}
        CASES[f"loss-{_name}-{_way}"] = [{"link": "client-router", "direction": _way, "netem": _netem}]
LONG = "x" * 3000
TOKENS, INTERVAL = 20, 0.05


class Handler(BaseHTTPRequestHandler):
    """A server that has never heard of chaoskit: chunks of server-sent events."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Read the request, wait, and stream."""
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(0.2)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(TOKENS):
            chunk = {"choices": [{"index": 0, "delta": {"content": LONG if number == 0 else f"word {number} "}}]}
            self._send(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            time.sleep(INTERVAL)
        self._send(b"data: [DONE]\n\n")
        self._send(b"")

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Whoever leaves is forgotten silently."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that gave up, or a path that never delivered."""


def main(folder: Path) -> None:
    """All cases in one lab."""
    settings = {
        name: [change for words in parts for change in FAULT.validate_python(words).changes(Lab(4), 1000, number)]
        for number, (name, parts) in enumerate(CASES.items())
    }
    with LinuxKernel(detect_features()) as kernel:
        for change in build(EDGE, frozenset(knob for changes in settings.values() for knob, _ in changes)):
            kernel.write(*change)
        RealClock().sleep_until(now() + SETTLING)
        if (served := os.fork()) == 0:
            serve(kernel)
        for name, changes in settings.items():
            (folder / name).mkdir()
            with Journal.at(folder / name) as journal:
                for change in changes:
                    apply(kernel, journal, change)
                with kernel.inside("client"):
                    probe(folder / name / "run")
                assert restore(kernel, journal) == [], name
        os.kill(served, signal.SIGKILL)
        os.waitpid(served, 0)


def serve(kernel: LinuxKernel) -> None:
    """Answer until the end, in a process without other threads, so that the first one can fork."""
    with kernel.inside("server"):
        Server((HOSTS["server", 4], 8000), Handler).serve_forever()


def probe(out: Path) -> None:
    """Twenty-five streams, three a second, in a fork, so that modules are imported once."""
    url = f"http://{HOSTS['server', 4]}:8000/v1/chat/completions"
    words = ["--requests", "25", "--request-rate", "3/s", "--first-token-timeout", "6s", "--idle-timeout", "6s"]
    if (child := os.fork()) == 0:
        try:
            said = os.open(out.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT, 0o600)
            for stream in (1, 2):
                os.dup2(said, stream)
            sys.argv = ["chaoskit", "probe", url, *words, "--out", str(out)]
            type_chaoskit()
        finally:
            os._exit(0)  # the lab, which this process has as well, is not its own to take down
    os.waitpid(child, 0)
    assert (out / "requests.jsonl").exists(), out.with_suffix(".txt").read_text()


if __name__ == "__main__":
    main(Path(os.fspath(sys.argv[1])))
