"""Measures what a capture carries on one core, what it costs the probe beside it, and how fast it is read.

    python tests/bench/capture.py [--seconds 4] [--rounds 12]

The flood is of raw segments on the loopback link to a port that nobody listens on, each of which the kernel answers
with a RST: two packets. The cost is that of a probe's tokens with a capture of all its packets beside it, against the
same without, in turn; both share this machine's cores with the server. It needs the right to read packets (root).
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import math
import os
import resource
import socket
import statistics
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent))

from loopback import Server, quantile
from probe_truth import INTERVAL, ours
from scapy.utils import RawPcapNgReader

from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.clock import RealClock, cpu, now
from chaoskit.conduct.capture_process import CapturePoint, CaptureProcess
from chaoskit.intervals import student
from chaoskit.kernel.capture_filter import Endpoint
from chaoskit.records.pcapng import CAPTURE

FLOODED: Endpoint = ("127.0.0.1", 9)  # discard: nobody listens
STREAMS, TOKENS = 50, 200
AT_ONCE = 16
SCAPY = 20_000  # packets
Cost = tuple[float, float, float, float]
FIGURES: dict[str, Callable[[Cost], float]] = {
    "late p50": lambda cost: cost[0],
    "late p99": lambda cost: cost[1],
    "CPU of the probe": lambda cost: cost[2],
    "CPU of both": lambda cost: cost[2] + cost[3],
}


def capture(folder: str, *endpoints: Endpoint) -> CaptureProcess:
    """Of these on the loopback link."""
    return CaptureProcess(Path(folder), [CapturePoint(endpoints, nullcontext)], RealClock())


def children() -> float:
    """Processor time of the children that have ended, s."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_uint32),
        ("sent", ctypes.c_uint32),
    )


def flood(seconds: float, pause: int) -> None:
    """Raw segments with timestamps, sixteen with each system call, for so long; `pause` ns between two calls."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 52, 0, 0x4000, 64, 6, 0, b"\x7f\0\0\1", b"\x7f\0\0\1")
    tcp = struct.pack("!HHIIBBHHHHBBII", 40_000, FLOODED[1], 1, 1, 0x80, 0x10, 500, 0, 0, 0x0101, 8, 10, 1, 1)
    packet = ctypes.create_string_buffer(ip + tcp, len(ip + tcp))
    vector = _Vector(ctypes.cast(packet, ctypes.c_void_p), len(ip + tcp))
    messages = (_Message * AT_ONCE)(*(_Message(vectors=ctypes.pointer(vector), vector_count=1) for _ in range(AT_ONCE)))
    send = ctypes.CDLL(None).sendmmsg
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.connect(("127.0.0.1", 0))
        end = now() + round(seconds * 1e9)
        due = now()
        while (at := now()) < end:
            if at >= due:
                send(sock.fileno(), messages, AT_ONCE, 0)
                due += pause


def carried(folder: str, seconds: float, pause: int) -> tuple[float, float, float, Path]:
    """Packets/s that were there, the share that was dropped, us of processor time a packet, and the file."""
    before, begin = children(), now()
    with capture(folder, FLOODED):
        flood(seconds, pause)
        took = (now() - begin) / 1e9
    path = Path(folder) / CAPTURE
    found = load_capture(path, [40_000])
    assert found is not None
    every = found.packets + found.dropped
    return every / took, found.dropped / every, (children() - before) * 1e6 / max(1, found.packets), path


def told_of_reading(path: Path) -> str:
    """How fast the analysis reads, and scapy's fastest reader, which decodes nothing."""
    begin = cpu()
    found = load_capture(path, [40_000])
    assert found is not None
    own = found.packets / (cpu() - begin) * 1e9
    begin = cpu()
    with RawPcapNgReader(str(path)) as reader:
        for _ in range(SCAPY):
            reader._read_packet()
    other = SCAPY / (cpu() - begin) * 1e9
    return f"read and decoded: {own:,.0f} packets/s; scapy's raw reader, not decoded: {other:,.0f}"


def lateness(url: str, is_captured: bool) -> Cost:
    """Token lateness p50 and p99, us; processor time of the probe and of the capture, us a token."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    before = children()
    asked = [(host, port)] if is_captured else []
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder, capture(folder, *asked):
        found, spent = asyncio.run(ours(url, STREAMS, TOKENS))
    late = [at - sent for stamps in found for at, sent in stamps]
    beside = (children() - before) * 1e6 / len(late)
    return quantile(late, 0.5) / 1000, quantile(late, 0.99) / 1000, spent / 1000 / len(late), beside


def told_of_cost(rounds: int) -> str:
    """On against off: medians of the rounds, and the ratio with its 95 % interval, of the ratios of the rounds."""
    on, off = [], []
    with Server(INTERVAL) as server:
        for _ in range(rounds):
            off.append(lateness(server.url, False))
            on.append(lateness(server.url, True))
    lines = [f"{STREAMS} streams at 50 tokens/s, {rounds} rounds; us; with a capture, without, ratio (95 % interval)"]
    for name, value in FIGURES.items():
        with_it, without = [value(each) for each in on], [value(each) for each in off]
        ratios = [math.log(a / b) for a, b in zip(with_it, without, strict=True)]
        middle, half = statistics.fmean(ratios), student(rounds - 1) * statistics.stdev(ratios) / math.sqrt(rounds)
        ends = (math.exp(end) for end in (middle, middle - half, middle + half))
        lines.append(
            f"  {name:17}{statistics.median(with_it):6.1f}  {statistics.median(without):6.1f}  "
            "{:.2f} ({:.2f} to {:.2f})".format(*ends)
        )
    return "\n".join(lines)


def main() -> None:
    """All of it, printed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4, help="of each flood")
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("capture of packets: needs root, left out")
        return
    print("a capture on this machine's cores, beside what sends")
    for pause in (1_000_000, 300_000, 0):
        with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
            rate, dropped, spent, path = carried(folder, options.seconds, pause)
            most = f"{spent:.1f} us of a core a packet: {1e6 / spent:,.0f}/s"
            print(f"  {rate:9,.0f} packets/s, {dropped:.2%} dropped, {most}")
            if pause == 0:
                print(f"  {told_of_reading(path)}")
    print(told_of_cost(options.rounds))


if __name__ == "__main__":
    main()
