"""What a fault on an interface costs the traffic that it is not for: round trips with the fault in force, and with
no filter at all, by turns.

    PYTHONPATH=tests python tests/bench/neighbours.py [--blocks 30] [--questions 40]

Needs a kernel with netem (make bench runs it in a guest). The ratio of medians has a 95 % interval by resampling
whole blocks, since the questions of one block are not independent.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from soak import interfaces, traffic

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Netem, RandomLoss
from chaoskit.topology.steering import Remote, TrafficSelector, steer

FAULT = Netem(delay=50_000_000, loss=RandomLoss(share=round(0.3 * (2**32 - 1))))
SELECTOR = TrafficSelector((Remote(f"{traffic.TARGET.host}/32", traffic.TARGET.port),), protocol="tcp")
_DRAWS = 2000


def main() -> None:
    """Ask without filters and with them, by turns, and print."""
    words = argparse.ArgumentParser()
    words.add_argument("--blocks", type=int, default=30)
    words.add_argument("--questions", type=int, default=40)
    asked = words.parse_args()
    interfaces.prepare()
    interfaces.build()
    traffic.add_other_host()
    answers = traffic.start_echo_server()
    without, within = blocks(asked.blocks, asked.questions)
    os.kill(answers, signal.SIGKILL)
    touched = sum(time > traffic.LATE * 1e9 for block in within for time in block)
    low, high = interval(without, within)
    print(f"neighbours of a fault (loss 30 %, delay 50 ms, both ways, {traffic.TARGET}), kernel {os.uname().release}")
    for told in traffic.NEIGHBOURS:
        print(f"  {told}")
    print(f"  touched: {touched} of {sum(map(len, within))} questions and answers")
    print(f"  round trip, median: {middle(without):.1f} us without filters, {middle(within):.1f} us with the fault")
    print(
        f"  ratio {middle(within) / middle(without):.3f}, 95 % interval {low:.3f} to {high:.3f}, {asked.blocks} blocks"
    )


def blocks(count: int, questions: int) -> tuple[list[list[int]], list[list[int]]]:
    """Round trips in ns: blocks without any filter, and blocks with the fault in force."""
    without: list[list[int]] = []
    within: list[list[int]] = []
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaoskit-"))
        kernel = stack.enter_context(LinuxKernel(detect_features()))
        talks = traffic.open_sockets(traffic.NEIGHBOURS, stack)
        changes = steer("bare", SELECTOR, {"up": FAULT, "down": FAULT}, "flower")
        list(traffic.block(talks, questions))  # warm
        for number in range(count):
            run = Path(folder, str(number))
            run.mkdir()
            with Journal.at(run) as journal:
                for first in (number % 2 == 0, number % 2 == 1):
                    if first:
                        without.append(list(traffic.block(talks, questions)))
                        continue
                    for change in changes:
                        apply(kernel, journal, change)
                    within.append(list(traffic.block(talks, questions)))
                    assert restore(kernel, journal) == []
    return without, within


def middle(blocks: list[list[int]]) -> float:
    """The median of all, in us."""
    return median(time for block in blocks for time in block) / 1e3


def interval(without: list[list[int]], within: list[list[int]]) -> tuple[float, float]:
    """A percentile bootstrap of the ratio of medians; blocks are drawn, not questions."""
    chance = random.Random(1)
    left, right = [median(block) for block in without], [median(block) for block in within]
    ratios = sorted(
        median(chance.choices(right, k=len(right))) / median(chance.choices(left, k=len(left))) for _ in range(_DRAWS)
    )
    return ratios[round(0.025 * _DRAWS)], ratios[round(0.975 * _DRAWS)]


if __name__ == "__main__":
    main()
