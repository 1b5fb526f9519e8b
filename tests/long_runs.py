"""Writes run directories with very many tokens, and measures what their analysis costs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from made_runs import MS, Made, ns

from chaoskit.records import tcp_info
from chaoskit.records.host_records import HostSocket
from chaoskit.records.jsonl import FILES, read, to_line
from chaoskit.records.model import Counters, Request, ServedResponse, SocketRead, TcpInfo
from chaoskit.records.spans import Operation, Span

MIB = 1 << 20
_HOPS: tuple[Operation, ...] = ("policy", "retrieval", "model")
_LENGTH = 30_000  # ms that the phases of a made run last
SOCKET = {name: 10**6 + place for place, name in enumerate(tcp_info.parse(bytes(280)))}
SOCKET |= {"snd_mss": 1448, "advmss": 1448, "pmtu": 1500, "rcv_mss": 1448, "retransmits": 0, "lost": 0, "unacked": 0}
_COST = """\
import json, resource, sys
from pathlib import Path
from chaoskit import clock
from chaoskit.analysis.analyse import analyse

def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

idle, begun = memory(), clock.now()
tokens = analyse(Path(sys.argv[1])).overall.tokens
seconds, cpu = (clock.now() - begun) / 1e9, clock.cpu() / 1e9
print(json.dumps({"tokens": tokens, "seconds": seconds, "cpu": cpu, "memory": memory(), "idle": idle}))
"""


@dataclass(frozen=True)
class Cost:
    """The cost of an analysis in another process: peak `memory`, and `idle` before it reads anything, in bytes."""

    tokens: int
    seconds: float
    cpu: float
    memory: int
    idle: int


def analysed(run: Path) -> Cost:
    """The cost of an analysis of this run."""
    told = subprocess.run([sys.executable, "-c", _COST, str(run)], capture_output=True, text=True, check=True).stdout
    return Cost(**json.loads(told))


def write(run: Path, streams: int, tokens: int, seed: int = 1) -> int:
    """A run of three phases with so many streams of so many tokens each, all open at a time by turns, as a probe
    writes them. Returns how many tokens there are."""
    Made().phases().vitals(_LENGTH).counters("wifi", 900, 100, 10_000, 20_000).write(run)
    chance = random.Random(seed)
    pace = 20 * MS
    at_a_time = 200
    with (
        (run / FILES[SocketRead]).open("w") as reads,
        (run / FILES[Request]).open("w") as requests,
        (run / FILES[ServedResponse]).open("w") as served,
        (run / FILES[TcpInfo]).open("w") as infos,
    ):
        for first in range(0, streams, at_a_time):
            numbers = range(first, min(first + at_a_time, streams))
            begin = ns(_LENGTH * first / streams)
            late = dict.fromkeys(numbers, 0)
            for count in range(tokens):
                text = []
                for number in numbers:
                    due = begin + number * 100_000 + count * pace
                    is_late = chance.random() < 0.001
                    late[number] = late[number] * 9 // 10 + (chance.randrange(400 * MS) if is_late else 0)
                    at = due + late[number] + chance.randrange(MS)
                    read = count - (count % 50 == 1)
                    stamps = f"0,{count},{due},{due + 60_000}"
                    text.append(f"[{number},{read},{at},{at + 70_000},{at},210,{stamps}]\n")
                reads.write("".join(text))
            for number in numbers:
                asked, ended = begin + number * 100_000, begin + number * 100_000 + tokens * pace
                requests.write(to_line(_request(number, asked, ended, tokens)))
                served.write(
                    to_line(ServedResponse(number, asked, asked, ended, tokens, tokens, 60_000, "sent", SOCKET, SOCKET))
                )
                infos.write(to_line(TcpInfo(number, "connected", asked, SOCKET)))
                infos.write(to_line(TcpInfo(number, "start", asked + 100 * MS, SOCKET)))
                infos.write(to_line(TcpInfo(number, "end", ended, SOCKET)))
    return streams * tokens


def write_lab(run: Path, streams: int, tokens: int) -> int:
    """The same of a lab with evidence: each second the sockets of its hosts and the counters of its queue, and the
    spans of three hops for each stream."""
    count = write(run, streams, tokens)
    with (run / FILES[Counters]).open("a") as counters, (run / FILES[HostSocket]).open("w") as sockets:
        for second in range(_LENGTH // 1000):
            at, phase = ns(second * 1000), ("baseline", "wifi", "recovery")[second // 10]
            drops, backlog = max(0, min(10, second - 10)) * 30, 40_000 * (10 <= second < 20)
            queue = Counters(at, "router", "to-server", phase, 0, second * 900, second * 9000, drops, 0, 30, backlog)
            counters.write(to_line(queue))
            for port in range(30_000, 30_000 + min(streams, 200)):
                fields = {"rtt": 30_000 + second * 10, "snd_cwnd": 10 + port % 7, "total_retrans": drops, "unacked": 2}
                sockets.write(to_line(HostSocket(at, "server", 8000, "client", port, fields)))
    requests = [replace(each, trace=f"{each.stream:032x}") for each in read(run, Request)]
    (run / FILES[Request]).write_text("".join(map(to_line, requests)))
    with (run / FILES[Span]).open("w") as spans:
        for request in requests:
            trace, root = f"{request.stream:032x}", f"{request.stream:015x}0"
            spans.write(
                to_line(Span(trace, root, None, "gateway", "chat", "workflow", request.scheduled, request.ended))
            )
            for place, operation in enumerate(_HOPS, 1):
                begin = request.scheduled + place * MS
                name = f"{request.stream:015x}{place}"
                spans.write(to_line(Span(trace, name, root, "gateway", "call", operation, begin, begin + 9 * MS)))
    return count


def _request(number: int, asked: int, ended: int, tokens: int) -> Request:
    return Request(
        stream=number,
        scheduled=asked,
        started=asked,
        ended=ended,
        completion="complete" if number % 10 else "reset",
        sent=asked,
        first_event=asked + MS,
        first_token=asked + MS,
        first_output=asked + MS,
        last_token=ended,
        tokens=tokens,
        connection=number,
    )
