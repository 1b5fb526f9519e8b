"""Unmodified nginx between a client and a server that falls silent is named as the one who cut the streams off."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from chain import address, chain
from commands import started
from lab import wait_for

from chaoskit.analysis.analyse import analyse
from chaoskit.clock import RealClock
from chaoskit.evidence.lab_connections import LabConnections
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.records.host_records import ConnectionEnd, HostSocket
from chaoskit.records.jsonl import FILES, read
from chaoskit.topology.places import Places, places

PROXIES = Path(sys.prefix) / "proxies"
NGINX = """\
user root; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 8080; listen [::]:8080; proxy_buffering off; proxy_read_timeout 2s;
    location / {{ proxy_pass http://{model}:8000; }}
  }}
}}
"""
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n'


class Handler(BaseHTTPRequestHandler):
    """Five tokens, then as the path says."""

    def do_POST(self) -> None:
        """Stream, and fall silent or leave."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/mute":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for _ in range(5):
                self.wfile.write(EVENT)
                time.sleep(0.05)  # less than 300 ms in all: nginx sets its timer at the first token alone
        if self.path != "/leaving":
            time.sleep(20)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Of both IP versions."""

    address_family = socket.AF_INET6
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A proxy that gave up."""


@pytest.fixture(scope="module")
def built(facts: Facts) -> Iterator[tuple[LinuxKernel, Places]]:
    """The hosts and routers, and the server of the model."""
    changes = list(chain())
    with LinuxKernel(facts) as kernel:
        for change in changes:
            kernel.write(*change)
        with kernel.inside("model"):
            server = Server(("::", 8000), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        yield kernel, places(knob for knob, _ in changes)
        server.shutdown()
        server.server_close()


@contextmanager
def nginx(kernel: LinuxKernel, version: int, folder: Path) -> Iterator[None]:
    """nginx on the gateway."""
    program = shutil.which("nginx", path=f"{PROXIES}/usr/sbin:{PROXIES}/usr/bin")
    assert program is not None, "nginx is missing: bash .ci/prepare tests"
    model = address("model", version)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, model=f"[{model}]" if version == 6 else model))
    libraries = ":".join(map(str, (PROXIES / "usr" / "lib").glob("*-linux-gnu")))
    with kernel.inside("gateway"):
        process = subprocess.Popen(
            [program, "-c", str(folder / "nginx.conf")], env=os.environ | {"LD_LIBRARY_PATH": libraries}
        )
    try:
        wait_for(lambda: answers(kernel, version))
        yield
    finally:
        process.terminate()
        process.wait()


def answers(kernel: LinuxKernel, version: int) -> bool:
    """Whether the gateway accepts connections."""
    with kernel.inside("gateway"), socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET) as one:
        return one.connect_ex(("::1" if version == 6 else "127.0.0.1", 8080)) == 0


def probe(built: tuple[LinuxKernel, Places], version: int, path: str, folder: Path) -> Path:
    """The run directory of a probe through nginx, with what was seen of its connections."""
    kernel, where = built
    seen, out = folder / "seen", folder / "run"
    seen.mkdir()
    host = address("gateway", version)
    url = f"http://{f'[{host}]' if version == 6 else host}:8080{path}"
    with nginx(kernel, version, folder), LabConnections(seen, kernel, where, RealClock()) as connections:
        with kernel.inside("client"):
            command = started(
                folder / "home", "probe", url, "--requests", "6", "--request-rate", "5/s", "--out", str(out),
                "--protocol", "openai-chat", "--model", "m",
            )  # fmt: skip
        until = time.monotonic() + 60
        while os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            assert time.monotonic() < until
            connections.look()
            time.sleep(0.1)
        _, said = command.ended()
    assert (out / "requests.jsonl").exists(), said
    for kind in (ConnectionEnd, HostSocket):
        shutil.copy(seen / FILES[kind], out)
    return out


def test_nginx_is_named_with_its_timer_and_whom_it_waited_for(
    built: tuple[LinuxKernel, Places], tmp_path: Path
) -> None:
    """Five tokens, then two seconds of silence from the model: over IPv6; the others ask over IPv4."""
    out = probe(built, 6, "/silent", tmp_path)

    result = analyse(out)
    (found,) = result.phases[0].closings
    (timer,) = result.intermediaries

    assert (found.kind, found.by, found.waited_for, found.streams) == ("closed", "gateway", "model", 6)
    assert found.seconds == pytest.approx(2, abs=0.3)
    assert found.apart_ms is not None
    assert found.apart_ms < 100
    assert re.search(r"6 of 6 closed by gateway after \S+ s of silence from model", found.sentence)
    assert (timer.kind, timer.streams, timer.of_streams) == ("idle-timer", 6, 6)
    assert timer.seconds == pytest.approx(2, abs=0.3)
    places_seen = {each.place for each in read(out, ConnectionEnd)}
    assert places_seen == {"client", "edge", "fabric", "gateway", "model"}


def test_an_answer_of_nginx_is_traced_to_the_model_as_well(built: tuple[LinuxKernel, Places], tmp_path: Path) -> None:
    """504 Gateway Time-out, because the model never began."""
    (found,) = analyse(probe(built, 4, "/mute", tmp_path)).phases[0].closings

    assert (found.kind, found.by, found.waited_for) == ("answered", "gateway", "model")
    assert re.search(r"answered HTTP 504 by gateway after \S+ s of silence from model", found.sentence)


def test_a_server_that_leaves_is_named_and_not_nginx(built: tuple[LinuxKernel, Places], tmp_path: Path) -> None:
    """The model closes its connection in the middle of an answer, and nginx passes that on."""
    (found,) = analyse(probe(built, 4, "/leaving", tmp_path)).phases[0].closings

    assert (found.by, found.via) == ("model", ("gateway",))


def test_a_host_with_many_sockets_does_not_hold_the_run_up(built: tuple[LinuxKernel, Places], tmp_path: Path) -> None:
    """Hundreds of sockets on each of two hosts are sampled in less than a second."""
    kernel, where = built
    with kernel.inside("model"):
        listener = socket.create_server((address("model", 4), 0), backlog=2000)
    with listener, LabConnections(tmp_path, kernel, where, RealClock()) as connections:
        with kernel.inside("gateway"):
            callers = [socket.create_connection(listener.getsockname()) for _ in range(450)]
        begun = time.monotonic()
        connections.look()
        first = time.monotonic() - begun
        for each in callers:
            each.close()

    assert len([each for each in read(tmp_path, HostSocket) if each.host == "gateway"]) >= 450
    assert first < 1
