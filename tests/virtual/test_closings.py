"""Who ended the streams of a lab is named, in virtual time, from what its namespaces saw."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.records.host_records import ConnectionEnd, HostSocket
from chaoskit.records.jsonl import read
from chaoskit.records.model import Counters
from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: closings
question: Who ended it?
stage: {{lab: edge, ip: {ip}}}
workload: {{request-rate: 2/s, output-tokens: {tokens}, timeouts: {{first-token: 3s, idle: 3s}}}}
server: {{first-token: {{median: 50ms, p99: 50ms}}, token-interval: 20ms{server}}}
faults:
  hole: {{link: client-router, direction: down, netem: {{loss: 100%}}}}
  far: {{link: client-router, direction: both, netem: {{delay: 40ms}}}}
timeline: {timeline}
"""
CUT = ", cut: {after: 20 tokens, by: close}"
PROXIES = Path(sys.prefix) / "proxies"
NGINX = """\
user root; pid /tmp/nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { listen 8080; listen [::]:8080; location / { proxy_pass http://model:8000; } }
}
"""
SERVICE = (
    """\
name: endings
question: Who ended it, and whose timer was it?
stage:
  lab: service
  hosts:
    gateway:
      run: [NGINX, -p, ., -c, ./nginx.conf, -g, "daemon off;"]
      files: [./nginx.conf]
      ready: 8080
    model: {reference: {token-interval: 20ms, pause: {after: 20 tokens, for: 5min}}}
    broken: {reference: {SERVER, cut: {after: 20 tokens, by: reset}}}
    thinking: {reference: {SERVER, pause: {after: 20 tokens, for: 1min}}}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 2/s, output-tokens: 40, timeouts: {first-token: 2min, idle: 2min}}
workloads:
  reset: {target: "http://broken:8000/v1/chat/completions", http: 1.1, WORK}
  inside: {target: "http://broken:8000/v1/chat/completions", http: 2, WORK}
  gave-up: {target: "http://thinking:8000/v1/chat/completions", http: 1.1, WORK}
timeline: [{baseline: 4s}]
""".replace("NGINX", f"{PROXIES}/usr/sbin/nginx")
    .replace("SERVER", "first-token: {median: 50ms, p99: 50ms}, token-interval: 20ms")
    .replace("WORK", "request-rate: 2/s, output-tokens: 40, timeouts: {first-token: 3s, idle: 3s}")
)


def finished(kernel: GuestKernel, file: Path, out: Path) -> Path:
    """The run directory of this file."""
    words = ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(out)]
    done = warm.chaoskit(*words, limit=280)
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def service(kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Of a service lab: a proxy in front of a model that is silent, servers that break off, a client that gives up."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "nginx.conf").write_text(NGINX)
    (folder / "service.yaml").write_text(SERVICE)
    return analyse(finished(kernel, folder / "service.yaml", folder / "run"))


@pytest.mark.parametrize(
    ("case", "by", "words"),
    [
        ("reset", "broken", r"reset by broken 0\.4\d s after the request, while data arrived"),
        ("inside", "broken", "ended by broken inside a connection that stayed open"),
        ("gave-up", "client", r"given up by the client \(idle_timeout\) after 3\.00 s of silence from thinking"),
    ],
)
def test_the_end_of_every_stream_is_explained(case: str, by: str, words: str, service: Result) -> None:
    """By who sent the first FIN or RST; a stream of HTTP/2 may end without one."""
    (phase,) = next(each.phases for each in service.workloads if each.name == case)
    (found,) = phase.closings

    assert (found.kind, found.by, found.confidence) == (case, by, "certain")
    assert found.streams == found.of_streams > 3
    assert re.search(words, found.sentence)


def test_every_place_saw_the_end(kernel: GuestKernel, tmp_path: Path) -> None:
    """Over IPv6, on a path with a delay; and none of what they saw is lost."""
    (tmp_path / "closed.yaml").write_text(FILE.format(ip=6, server=CUT, timeline="[{far: 4s}]", tokens=40))

    out = finished(kernel, tmp_path / "closed.yaml", tmp_path / "run")
    (found,) = analyse(out).phases[0].closings

    assert (found.kind, found.by, found.confidence) == ("closed", "server", "certain")
    assert found.streams == found.of_streams > 3
    assert "closed by server 0.49 s after the request, while data arrived" in found.sentence
    assert {each.place for each in read(out, ConnectionEnd)} == {"client", "router", "server"}
    assert {each.host for each in read(out, HostSocket)} == {"client", "server"}
    counted = [each for each in read(out, Counters) if each.kind in ("connection-ends", "sockets")]
    assert sum(each.drops for each in counted) == 0
    assert sum(each.packets for each in counted if each.kind == "connection-ends") == len(read(out, ConnectionEnd))


def test_what_a_fault_swallows_is_no_end(kernel: GuestKernel, tmp_path: Path) -> None:
    """Streams that a black hole cut off: the client gave up, while the server sent the same data again and again."""
    (tmp_path / "hole.yaml").write_text(
        FILE.format(ip=4, server="", timeline="[{baseline: 4s}, {hole: 6s}]", tokens=400)
    )

    phases = analyse(finished(kernel, tmp_path / "hole.yaml", tmp_path / "run")).phases
    found = [each for phase in phases for each in phase.closings]

    assert {each.by for each in found} == {"client"}
    assert "unanswered" in {each.kind for each in found}
    assert any("while server kept sending what never arrived" in each.sentence for each in found)


def test_a_proxy_with_its_defaults_is_named_with_whom_it_waited_for(service: Result) -> None:
    """nginx untouched: its 60 s of silence from the model, and its timer by the host's name."""
    (found,) = service.phases[0].closings
    (timer,) = (each for each in service.intermediaries if each.kind != "buffering")

    assert (found.kind, found.by, found.waited_for) == ("closed", "gateway", "model")
    assert found.streams == found.of_streams == service.overall.started
    assert found.seconds == pytest.approx(60, abs=0.35)  # nginx sets a timer again only where it moves by 300 ms
    assert found.apart_ms == pytest.approx(0, abs=1)
    assert (timer.kind, timer.host, timer.streams) == ("idle-timer", "gateway", found.streams)
    assert "a timer of gateway (60 s by default: nginx proxy_read_timeout" in timer.sentence
    attributed = service.phases[0].stall_attribution
    assert attributed.between_ms > 0
    assert attributed.network_ms == 0
