"""Measures how exactly netem works: round trips as TCP measures them, and burst loss against theory.

    python tests/bench/netem_truth.py [--handshakes 15] [--packets 20000]

Needs a kernel with netem (make bench runs it in a guest). Round trips are what the kernel measured of the
handshake (TCP_INFO) on connections through the edge lab. A loss is accepted within 95 % of a binomial whose
variance is widened by the bursts, so one model in twenty is off even when all is well.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from edge_lab import SERVER_V4, build, qdiscs

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.faults.netem import U32
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import GilbertElliott, Netem
from chaoskit.records import tcp_info

DOWN, UP = qdiscs("client-router", "both")
DELAYS_MS = (0, 5, 20, 50, 100, 200)
MODELS = (
    (0.01, 0.3, 1.0),
    (0.02, 0.4, 1.0),
    (0.005, 0.1, 0.5),
    (0.05, 0.5, 0.8),
)  # p, r, loss in the bad state


def main() -> None:
    """Measures both and prints them."""
    words = argparse.ArgumentParser()
    words.add_argument("--handshakes", type=int, default=15)
    words.add_argument("--packets", type=int, default=20_000)
    asked = words.parse_args()
    with lab() as kernel:
        print(f"round trip of the handshake, median of {asked.handshakes}, half of the delay each way")
        for delay in DELAYS_MS:
            measured = round_trip(kernel, delay, asked.handshakes)
            error = measured - delay
            good = abs(error) <= max(0.02 * delay, 0.3)
            print(f"  asked {delay:4d} ms  measured {measured:8.3f}  off by {error:6.3f} ms  {verdict(good)}")
        print(f"Gilbert-Elliott loss of {asked.packets} packets")
        for p, r, bad in MODELS:
            share, drops, margin = burst_loss(kernel, p, r, bad, asked.packets)
            good = abs(drops - share) <= margin
            print(
                f"  p {p:.1%} r {r:.0%} in bad {bad:.0%}  theory {share:6.2%}  measured {drops:6.2%} "
                f"+- {margin:.2%}  {verdict(good)}"
            )


@contextmanager
def lab() -> Iterator[LinuxKernel]:
    """The edge lab, both directions of the client's link shaped."""
    with (
        tempfile.TemporaryDirectory(prefix="chaoskit-") as folder,
        LinuxKernel(detect_features()) as kernel,
        Journal.at(Path(folder)) as journal,
    ):
        for change in build(frozenset({DOWN, UP})):
            apply(kernel, journal, change)
        yield kernel
        assert restore(kernel, journal) == []


def round_trip(kernel: LinuxKernel, delay_ms: int, times: int) -> float:
    """The median of what the kernel measured while connecting, in ms."""
    for knob in (DOWN, UP):
        kernel.write(knob, Netem(delay=delay_ms * 500_000))
    with kernel.inside("server"):
        listener = socket.create_server((SERVER_V4, 0))
    with listener:
        took = [handshake(kernel, listener) for _ in range(times)]
    return median(took) / 1000


def handshake(kernel: LinuxKernel, listener: socket.socket) -> int:
    """The client's first round trip, in microseconds."""
    with kernel.inside("client"):
        caller = socket.create_connection(listener.getsockname())
    with caller:
        called, _ = listener.accept()
        called.close()
        return tcp_info.sample(caller)["rtt"]


def burst_loss(kernel: LinuxKernel, p: float, r: float, bad: float, packets: int) -> tuple[float, float, float]:
    """The expected loss, the measured loss, and half of its 95 % interval."""
    model = GilbertElliott(p=round(p * U32), r=round(r * U32), h=round((1 - bad) * U32), k1=0)
    kernel.write(DOWN, None)
    kernel.write(DOWN, Netem(loss=model, seed=42))
    with kernel.inside("server"):
        sender = socket.socket(type=socket.SOCK_DGRAM)
    with kernel.inside("client"):
        receiver = socket.socket(type=socket.SOCK_DGRAM)
    with sender, receiver:
        receiver.bind(("10.1.0.1", 9))
        sender.connect(("10.1.0.1", 9))
        for _ in range(packets):
            sender.send(b"x")
    counters = kernel.counters(DOWN)
    assert counters is not None
    sent = counters.packets + counters.drops
    share = bad * p / (p + r)
    likeness = bad * r / (p + r) / (1 - share)  # of two packets' fates, times (1-p-r) to their distance
    widened = 1 + 2 * likeness * (1 - p - r) / (p + r)
    return share, counters.drops / sent, 1.96 * (share * (1 - share) / sent * widened) ** 0.5


def verdict(good: bool) -> str:
    return "as asked" if good else "NOT as asked"


if __name__ == "__main__":
    main()
