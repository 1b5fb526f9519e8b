"""Who ended the streams of a lab is named, in virtual time, from what its namespaces saw."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.findings import Closing
from chaoskit.records.connection_records import ConnectionEnd, HostSocket
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
CASES = {
    "reset": (4, 1.1, CUT.format("reset"), "[{far: 4s}]"),
    "close": (6, 1.1, CUT.format("close"), "[{far: 4s}]"),
    "inside": (4, 2, CUT.format("reset"), "[{baseline: 4s}]"),
    "gave-up": (6, 1.1, PAUSE, "[{baseline: 4s}]"),
    "hole": (4, 1.1, "", "[{baseline: 4s}, {hole: 6s}]"),
}


def run(kernel: GuestKernel, case: str, folder: Path) -> Path:
    """The run directory of this case, which repeats to the byte."""
    ip, http, server, timeline = CASES[case]
    file, out = folder / "closings.yaml", folder / "run"
    tokens = 400 if case == "hole" else 40
    file.write_text(FILE.format(ip=ip, http=http, server=server, timeline=timeline, tokens=tokens))
    words = ["run", str(file), "--kernel", str(kernel.path), "--clock", "virtual", "--out", str(out)]
    words += ["--verify-repeatable"]
    done = subprocess.run([sys.executable, "-m", "chaoskit", *words], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 5), done.stdout + done.stderr
    assert "every byte the same" in done.stdout, done.stdout
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
