"""Measures the engine of the reference server alone: requests and steps that it schedules in a second.

    PYTHONPATH=tests/unit/server python tests/bench/step_engine.py [--requests 10000] [--rate 6]

Prompts and answers have the lengths of Azure's conversations of 2023, arrivals are Poisson, the model is Llama 3 8B on
an A100. Beside it the same with a KV cache of 40,000 tokens, where most requests are preempted.
"""

from __future__ import annotations

import argparse
import time

from simulated_engine import azure, run


def main() -> None:
    """Run both, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=6)
    options = parser.parse_args()
    asked = azure(options.rate, 2 * options.requests / options.rate)[: options.requests]
    tokens = sum(each.prompt + each.output for each in asked)
    print(f"engine: {len(asked):,} requests with {tokens:,} tokens, {options.rate:g} requests a second")
    for kv_cache in (412_000, 40_000):
        begin = time.perf_counter()
        seen = run(asked, kv_cache=kv_cache)
        seconds = time.perf_counter() - begin
        rate = len(asked) / seconds
        print(
            f"  KV cache {kv_cache:>7,} tokens: {seconds:5.1f} s, {rate:,.0f} requests/s, "
            f"{seen.end / 1e9:,.0f} s of the engine, {seen.engine.preemptions:,} preemptions"
        )


if __name__ == "__main__":
    main()
