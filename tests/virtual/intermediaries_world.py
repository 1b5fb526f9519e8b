"""Runs in a guest: probes servers through unmodified nginx, HAProxy, Caddy and Envoy: `intermediaries_world.py FOLDER`.

Each case leaves the run directory of `chaoskit probe`, with its default timeouts, under its name.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import chaoskit.analysis.analyse
import chaoskit.conduct.probe_only
import chaoskit.report.console  # noqa: F401  like the two above: a probe imports them late
from chaoskit.cli.main import main as type_chaoskit

REFERENCE, FOREIGN = 8000, 8001
PORTS = {"nginx": 8100, "haproxy": 8200, "caddy": 8300, "envoy": 8400}
"""Before the reference server; the next one before the foreign."""
PROXIES = Path(sys.prefix) / "proxies"
PAUSING = ["--requests", "6", "--max-concurrency", "3"]
FAILING = ["--requests", "6", "--max-concurrency", "1"]
"""Of requests of which none gets a token the sixth is never begun, because five in a row failed."""
LONG = ["--requests", "6", "--max-concurrency", "3", "--output-tokens", "200"]
CASES = {
    "direct": (REFERENCE, "/v1/chat/completions", LONG),
    "nginx-buffers": (PORTS["nginx"], "/v1/chat/completions", LONG),
    "nginx-compresses": (PORTS["nginx"] + 2, "/v1/chat/completions", LONG),
    "haproxy-corks": (PORTS["haproxy"], "/v1/chat/completions", LONG),
    "nginx-buffers-foreign": (PORTS["nginx"] + 1, "/stream", LONG),
    "nginx-silent": (PORTS["nginx"] + 1, "/silent", FAILING),
    "nginx-mute": (PORTS["nginx"] + 1, "/mute", FAILING),
    "haproxy-silent": (PORTS["haproxy"] + 1, "/silent", PAUSING),
    "caddy-silent": (PORTS["caddy"] + 1, "/silent", PAUSING),
    "nginx-compresses-foreign": (PORTS["nginx"] + 3, "/stream", LONG),
    "limited": (FOREIGN, "/limited", PAUSING),
    "envoy-limits": (PORTS["envoy"] + 1, "/long", PAUSING),
    "random": (FOREIGN, "/random", ["--requests", "12", "--max-concurrency", "3"]),
}
NGINX = """
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:8000; }} }}
  server {{
    listen 127.0.0.1:{third};
    gzip on; gzip_types text/event-stream; gzip_proxied any;
    location / {{ proxy_pass http://127.0.0.1:8000; }}
  }}
  server {{
    listen 127.0.0.1:{fourth};
    gzip on; gzip_types text/event-stream; gzip_proxied any;
    location / {{ proxy_pass http://127.0.0.1:8001; }}
  }}
  server {{ listen 127.0.0.1:{next}; location / {{ proxy_pass http://127.0.0.1:8001; }} }}
}}
"""
HAPROXY = """
defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000
listen reference
  bind 127.0.0.1:{port}
  server one 127.0.0.1:8000
listen foreign
  bind 127.0.0.1:{next}
  server one 127.0.0.1:8001
"""
CADDY = """
{{
  admin off
  auto_https off
}}
http://127.0.0.1:{next} {{
  reverse_proxy 127.0.0.1:8001 {{
    transport http {{
      read_timeout 2s
    }}
  }}
}}
"""
ENVOY = """
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {next}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: foreign
          route_config:
            virtual_hosts:
            - {{name: all, domains: ["*"], routes: [{{match: {{prefix: "/"}}, route: {{cluster: foreign}}}}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: foreign
    type: STATIC
    load_assignment:
      cluster_name: foreign
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 8001}}}}}}}}]
"""


class Handler(BaseHTTPRequestHandler):
    """A server that has never heard of chaoskit, and ends its streams in many ways."""

    protocol_version = "HTTP/1.1"
    source = random.Random(1)

    @property
    def is_chunked(self) -> bool:
        """HTTP/1.0 has no chunks: there the end of the connection is the end of the body."""
        return self.request_version != "HTTP/1.0"

    def do_POST(self) -> None:
        """Stream as the path says."""
        self.rfile.read(int(self.headers["Content-Length"]))
        match self.path:
            case "/mute":
                time.sleep(500)
            case "/silent":
                self._stream(10, 0.1)
                time.sleep(500)
            case "/limited":
                self._stream(150, 0.1)
                self._reset()
            case "/long":
                self._stream(200, 0.11)  # nothing comes after 15 s sharp, when Envoy's timer does
                self._send(b"data: [DONE]\n\n")
                self._send(b"")
            case "/random":
                self._stream(10, 0.1)
                time.sleep(self.source.uniform(1, 40))
                self._reset()
            case _:
                self._stream(200, 0.02)
                self._send(b"data: [DONE]\n\n")
                self._send(b"")

    def _stream(self, count: int, interval: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        if self.is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:  # as nginx asks
            self.close_connection = True
        self.end_headers()
        for number in range(count):
            time.sleep(interval)
            chunk = {"choices": [{"index": 0, "delta": {"content": f"word {number:04} "}}]}
            self._send(b"data: " + json.dumps(chunk).encode() + b"\n\n")

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()
        self.close_connection = True

    def _send(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if self.is_chunked else data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Whoever leaves is forgotten silently."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def processes(folder: Path) -> Iterator[None]:
    """The servers, and what stands before them."""
    foreign = Server(("127.0.0.1", FOREIGN), Handler)
    Thread(target=foreign.serve_forever, daemon=True).start()
    for name, text in (("nginx", NGINX), ("haproxy", HAPROXY), ("caddy", CADDY), ("envoy", ENVOY)):
        ports = {"port": PORTS[name], "next": PORTS[name] + 1, "third": PORTS[name] + 2, "fourth": PORTS[name] + 3}
        (folder / name).write_text(text.format(folder=folder, **ports))
    libraries = ":".join(map(str, (PROXIES / "usr" / "lib").glob("*-linux-gnu")))
    environment = os.environ | {"LD_LIBRARY_PATH": libraries, "HOME": str(folder)}
    started = [
        subprocess.Popen(words, env=environment)
        for words in (
            [sys.executable, "-m", "chaoskit", "serve", "--port", str(REFERENCE)],
            [_path("nginx"), "-c", str(folder / "nginx"), "-g", "daemon off;"],
            [_path("haproxy"), "-f", str(folder / "haproxy")],
            [_path("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "caddy")],
            [_path("envoy"), "--config-yaml", (folder / "envoy").read_text(), "--log-level", "error"],
        )
    ]
    for port in (REFERENCE, *(port + 1 for port in PORTS.values())):
        _wait_for(port)
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


def _path(program: str) -> str:
    found = shutil.which(program, path=f"{PROXIES}/usr/sbin:{PROXIES}/usr/bin")
    assert found is not None, f"{program} is missing: bash .ci/prepare tests"
    return found


def _wait_for(port: int) -> None:
    for _ in range(600):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")


def main() -> int:
    """Probe all cases."""
    folder = Path(sys.argv[1])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with processes(folder):
        for case, (port, path, words) in CASES.items():
            sys.argv = ["chaoskit", "probe", f"http://127.0.0.1:{port}{path}", *words]
            sys.argv += ["--out", str(folder / "runs" / case)]
            child = os.fork()  # so that modules are imported once
            if not child:
                os.dup2(os.open(folder / f"{case}.txt", os.O_WRONLY | os.O_CREAT), 1)
                type_chaoskit()
            os.waitpid(child, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
