"""Who ended the streams of a lab is named, in virtual time, from what its namespaces saw."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Closing
from chaoskit.records.host_records import ConnectionEnd, HostSocket
from chaoskit.records.jsonl import read
from chaoskit.records.model import Counters
from chaoskit.substrate.uml import GuestKernel

FILE = """\
name: closings
question: Who ended it?
stage: {{lab: edge, ip: {ip}}}
workload: {{request-rate: 2/s, output-tokens: {tokens}, http: {http}, timeouts: {{first-token: 3s, idle: 3s}}}}
server: {{first-token: {{median: 50ms, p99: 50ms}}, token-interval: 20ms{server}}}
faults:
  hole: {{link: client-router, direction: down, netem: {{loss: 100%}}}}
  far: {{link: client-router, direction: both, netem: {{delay: 40ms}}}}
timeline: {timeline}
"""
CUT = ", cut: {{after: 20 tokens, by: {}}}"
PAUSE = ", pause: {after: 20 tokens, for: 1min}"
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
SERVICE = """\
name: untouched-nginx
question: Whose timer was it?
stage:
  lab: service
  hosts:
    gateway:
      run: [%s, -p, ., -c, ./nginx.conf, -g, "daemon off;"]
      files: [./nginx.conf]
      ready: 8080
    model: {reference: {token-interval: 20ms, pause: {after: 20 tokens, for: 5min}}}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 2/s, output-tokens: 40, timeouts: {first-token: 2min, idle: 2min}}
timeline: [{baseline: 4s}]
"""
CASES = {
    "reset": (4, 1.1, CUT.format("reset"), "[{far: 4s}]"),
    "close": (6, 1.1, CUT.format("close"), "[{far: 4s}]"),
    "inside": (4, 2, CUT.format("reset"), "[{baseline: 4s}]"),
    "gave-up": (6, 1.1, PAUSE, "[{baseline: 4s}]"),
    "hole": (4, 1.1, "", "[{baseline: 4s}, {hole: 6s}]"),
}


def run(kernel: GuestKernel, case: str, folder: Path) -> Path:
    """The run directory of this case."""
    ip, http, server, timeline = CASES[case]
    file, out = folder / "closings.yaml", folder / "run"
    tokens = 400 if case == "hole" else 40
    file.write_text(FILE.format(ip=ip, http=http, server=server, timeline=timeline, tokens=tokens))
    return finished(kernel, file, out)


def finished(kernel: GuestKernel, file: Path, out: Path) -> Path:
    """The run directory of this file."""
    words = ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(out)]
    done = warm.chaoskit(*words, limit=280)
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    return out


def closings(out: Path) -> list[Closing]:
    """What is said of all its phases."""
    return [each for phase in analyse(out).phases for each in phase.closings]


@pytest.mark.parametrize(
    ("case", "kind", "by", "words"),
    [
        ("reset", "reset", "server", "reset by server 0.49 s after the request, while data arrived"),
        ("close", "closed", "server", "closed by server 0.49 s after the request, while data arrived"),
        ("inside", "inside", "server", "ended by server inside a connection that stayed open"),
        ("gave-up", "gave-up", "client", "given up by the client (idle_timeout) after 3.00 s of silence from server"),
    ],
)
def test_the_end_of_every_stream_is_explained(
    case: str, kind: str, by: str, words: str, kernel: GuestKernel, tmp_path: Path
) -> None:
    """By who sent the first FIN or RST, over both IP versions; a stream of HTTP/2 may end without one."""
    out = run(kernel, case, tmp_path)

    (found,) = closings(out)

    assert (found.kind, found.by, found.confidence) == (kind, by, "certain")
    assert found.streams == found.of_streams > 3
    assert words in found.sentence
    assert {each.place for each in read(out, ConnectionEnd)} == {"client", "router", "server"}
    assert {each.host for each in read(out, HostSocket)} == {"client", "server"}
    counted = [each for each in read(out, Counters) if each.kind in ("connection-ends", "sockets")]
    assert sum(each.drops for each in counted) == 0
    assert sum(each.packets for each in counted if each.kind == "connection-ends") == len(read(out, ConnectionEnd))


def test_what_a_fault_swallows_is_no_end(kernel: GuestKernel, tmp_path: Path) -> None:
    """Streams that a black hole cut off: the client gave up, while the server sent the same data again and again."""
    found = closings(run(kernel, "hole", tmp_path))

    assert {each.by for each in found} == {"client"}
    assert "unanswered" in {each.kind for each in found}
    assert any("while server kept sending what never arrived" in each.sentence for each in found)


def test_a_proxy_with_its_defaults_is_named_with_whom_it_waited_for(kernel: GuestKernel, tmp_path: Path) -> None:
    """nginx untouched, in a service lab: its 60 s of silence from the model, and its timer by the host's name."""
    program = PROXIES / "usr" / "sbin" / "nginx"
    assert program.exists(), "nginx is missing: bash .ci/prepare tests"
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "service.yaml").write_text(SERVICE % program)

    result = analyse(finished(kernel, tmp_path / "service.yaml", tmp_path / "run"))
    (found,) = result.phases[0].closings
    (timer,) = (each for each in result.intermediaries if each.kind != "buffering")

    assert (found.kind, found.by, found.waited_for) == ("closed", "gateway", "model")
    assert found.streams == found.of_streams == result.overall.started
    assert found.seconds == pytest.approx(60, abs=0.35)  # nginx sets a timer again only where it moves by 300 ms
    assert found.apart_ms == pytest.approx(0, abs=1)
    assert (timer.kind, timer.host, timer.streams) == ("idle-timer", "gateway", found.streams)
    assert "a timer of gateway (60 s by default: nginx proxy_read_timeout" in timer.sentence
    attributed = result.phases[0].stall_attribution
    assert attributed.between_ms > 0
    assert attributed.network_ms == 0
