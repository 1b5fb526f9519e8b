"""An engine written apart from ours, in milliseconds and with plain lists: the oracle of its tests, for `fcfs`."""

from __future__ import annotations

from collections import deque
from math import ceil

import numpy as np

TOKENS = [1, 32, 64, 128, 256, 512, 1024, 2048, 4096]
TIMES = [9.7, 10.9, 11.2, 13.2, 19.5, 34.6, 75, 146, 274]
CONTEXT = 65_536 / 1000 / 1e6  # ms for each token


def run(
    arrivals: list[float], prompts: list[int], outputs: list[int], budget: int, most: int, kv: int
) -> tuple[list[list[float]], int]:
    """When the tokens of each request came, ms, and how many preemptions there were."""
    count, block = len(arrivals), 16
    done, made, blocks = [0] * count, [0] * count, [0] * count
    came: list[list[float]] = [[] for _ in range(count)]
    waiting: deque[int] = deque()
    running: list[int] = []
    free, now, at, preemptions = kv // block, 0.0, 0, 0
    while at < count or waiting or running:
        if not waiting and not running:
            now = max(now, arrivals[at])
        while at < count and arrivals[at] <= now + 1e-9:
            waiting.append(at)
            at += 1
        left, chosen, was_full = budget, [], False
        for one in list(running):
            if one not in running or left == 0:
                continue
            want = min(max(prompts[one] + made[one] - done[one], 1), left)
            more = ceil((done[one] + want) / block) - blocks[one]
            while more > free:
                victim = running.pop()
                free, was_full, preemptions = free + blocks[victim], True, preemptions + 1
                done[victim] = blocks[victim] = 0
                waiting.appendleft(victim)
                if victim == one:
                    break
            if one not in running:
                break
            free, blocks[one] = free - more, blocks[one] + more
            chosen.append((one, want))
            left -= want
        while not was_full and waiting and len(running) < most and left:
            one = waiting[0]
            want = min(prompts[one] + made[one], left)
            more = ceil(want / block)
            if more > free:
                break
            free, blocks[one] = free - more, more
            running.append(waiting.popleft())
            chosen.append((one, want))
            left -= want
        now += float(np.interp(budget - left, TOKENS, TIMES)) + CONTEXT * sum(done[one] for one, _ in chosen)
        for one, want in chosen:
            done[one] += want
            if done[one] >= prompts[one] + made[one]:
                made[one] += 1
                came[one].append(now)
                if made[one] == outputs[one]:
                    running.remove(one)
                    free, blocks[one] = free + blocks[one], 0
    return came, preemptions
