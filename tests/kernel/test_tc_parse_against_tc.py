"""Compares our parser of tc syntax with tc: the kernel's netem after tc set it must equal ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import pytest
from lab import CABLE

from chaoskit.faults.netem import NetemSpec
from chaoskit.faults.tc_parse import parse_netem
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Netem, RandomLoss
from chaoskit.report.tc_commands import netem_arguments

TIMES = (
    "80ms", "1s", "1sec", "2secs", "7msec", "7msecs", "9us", "9usec", "9usecs", "5ns", "5nsec", "5nsecs", "0.5s",
    "1.25ms", "3.7us", "33.333us", "0ms", "80MS", "1S", "1.ms", "274s", "3000s",
)  # fmt: skip
SHARES = ("0%", "100%", "1%", "0.1%", "33.3333%", "0.0001%", "99.99999%", "50.%", "0.000001%")
RATES = (
    "8bit", "1kbit", "1mbit", "1gbit", "1tbit", "1kibit", "1mibit", "1gibit", "1tibit", "1bps", "1kbps", "1mbps",
    "1gbps", "1tbps", "1kibps", "1mibps", "1gibps", "1tibps", "1.5mbit", "0.1kibps", "10KBIT", "33Mbps", "100gbit",
)  # fmt: skip
SIZES = ("0", "1", "77", "1k", "1kb", "2m", "2mb", "1g", "9b", "1.5k", "8kbit", "1mbit", "64KB", "12")
# One or two of each clause; every two of them go together, in both orders where that means the same.
CLAUSES = (
    "delay 30ms", "delay 30ms 5ms", "delay 30ms 5ms 25%", "loss 9% limit 55", "loss 2%", "loss random 2% 10%",
    "loss gemodel 1% 10%", "loss state 1% 90% 2% 80% 3%", "loss 1% ecn", "duplicate 3%", "duplicate 3% 4%",
    "corrupt 0.2%", "corrupt 0.2% 5%", "delay 9ms reorder 25%", "delay 9ms reorder 25% 50% gap 5", "rate 1mbit",
    "rate 5kbps 14 53 -5", "slot 5ms 9ms packets 3 bytes 9000", "slot distribution pareto 5ms 2ms",
    "delay 50ms 9ms distribution normal",
)  # fmt: skip
SHARED_OUT = frozenset(
    [
        *("share", "correlation", "p", "r", "h", "k1", "p13", "p31", "p32", "p23", "p14"),
        *("duplicate", "corrupt", "reorder"),
        *(f"{name}_correlation" for name in ("delay", "duplicate", "corrupt", "reorder")),
    ]
)
ABBREVIATED = {
    "limit": "55 loss 1%", "latency": "3ms", "delay": "3ms", "loss": "3%", "drop": "3%", "corrupt": "3%",
    "duplicate": "3%", "rate": "1mbit", "slot": "3ms",
}  # fmt: skip
ODD = (
    "loss gemodel 1%", "loss gemodel 1% 10% 70%", "loss gemodel 1% 10% 70% 0.1%", "loss gemodel 0% 0% 0% 0%",
    "loss gemodel 100%", "loss state 1%", "loss state 1% 50%", "loss state 1% 50% 2%", "loss state 1% 50% 2% 70%",
    "loss state 100% 0% 0% 0% 0%", "gap 5 delay 1ms reorder 25%", "delay 1ms reorder 25% 50%",
    "delay 1ms reo 25% ga 3", "e loss 1%", "ecn loss state 1%", "delay 1ms 1ms dist pareto", "delay 1ms 1ms di normal",
    "dist paretonormal delay 2ms 1ms 5%", "delay 1ms 1ms d normal", "slot 1ms packets 5", "slot 1ms pack 5 byt 9k",
    "slot 1ms p 5 b 9k", "slot 1ms bytes 1k", "slot 0ms 0ms packets 5", "slot distribution normal 5ms 2ms packets 7",
    "slot dist normal 5ms 2ms", "slot 1ms 2ms 3ms", "rate 1mbit 0 53", "rate 1mbit -9", "rate 1mbit 9 -1 4",
    "rate 1mbit 26 0 4", "rate 1mbit 26 48 -4", "loss 5% 25%", "loss rand 5%", "drop random 5%", "loss random",
)  # fmt: skip
NONSENSE = (
    "delay", "delay ms", "delay 5parsec", "delay 5%", "delay -5ms", "delay 5ms -1ms", "delay 5ms 1ms 5ms", "dealy 5ms",
    "loss", "loss 5ms", "loss lots", "loss -1%", "loss 101%", "loss gemodel", "loss gem 1%", "loss state", "loss 1%%",
    "loss gemodel 1% 2% 3% 4% 5%", "loss state 1% 2% 3% 4% 5% 6%", "loss 1% loss 2%", "loss 1% 2% 3%", "ecn",
    "ecn duplicate 3%", "duplicate", "duplicate 3% 4% 5%", "corrupt x", "reorder 25%", "reorder", "gap 5",
    "delay 5ms gap 5", "delay 1ms reorder 25% gap", "delay 1ms reorder 25% gap -1", "delay 1ms reorder 25% gap 1.5",
    "distribution normal", "delay 5ms distribution normal", "delay 5ms 1ms distribution", "rate", "rate fast",
    "delay 5ms 1ms distribution gauss", "rate 5ms", "rate 1mbit 1.5", "rate 1mbit 0 0 0 0", "slot", "slot soon",
    "slot 5ms 1ms", "slot 5ms packets", "slot 5ms packets x", "slot 5ms packets -3", "slot 5ms bytes x",
    "slot distribution normal",
    "slot distribution normal 5ms", "slot distribution gauss 5ms 1ms", "slot distribution normal 5ms 0ms", "limit",
    "limit x", "limit -1", "limit 5ms", "80ms", "delay 80 ms", "delay 80ms,20ms", "{delay: 80ms}", "help", "packets 5",
)  # fmt: skip
# What tc takes and we do not, and why.
STRICTER = {
    "delay 100": "a bare number is of microseconds, which few know",
    "delay 80ms 20": "a bare number, again",
    "loss 1": "a bare number is a share of 1 or of 100",
    "loss gemodel 1% 10": "a bare number, again",
    "rate 1000000": "a bare number is of bits, and bytes are as likely meant",
    "rate 5kbps 14 53 0x5": "a hexadecimal number",
    "delay 1e1ms": "a number with an exponent",
    "delay 0x10ms": "a hexadecimal number",
    "delay 1ms delay 2ms": "a word twice: the first one would be forgotten",
    "duplicate 1% duplicate 2%": "a word twice",
    "limit 5 limit 6": "a word twice",
    "limit 0": "a queue of nothing loses everything, which is loss 100%",
    "duplicate 5% gap 0": "a gap without a reorder does nothing",
    "delay 1ms reorder 25% gap 0": "tc makes it 1",
    "delay 0ms reorder 0%": "a reorder without a delay does nothing",
    "limit 5": "a netem that does nothing",
    "": "a netem that does nothing",
    "delay 5ms 0ms 25%": "a correlation of no jitter",
    "rate 0bit": "the kernel takes 0 for no rate",
    "rate 1bit": "less than a byte a second is 0, which the kernel takes for no rate",
    "delay 5ms 1ms distribution experimental": "a table of iproute2 that nobody documents",
}
# What we take and tc 6.1 does not, and why.
KINDER = {
    "delay 5ms 1ms distribution uniform": "tc looks for a file uniform.dist, which iproute2 does not bring",
    "ecn loss 0%": "it marks nothing",
    "delay 5ns": "tc 6.1 counts delays in microseconds",
    "delay 50ms 5ns": "the same",
    "delay 3000s": "tc 6.1 ends at 274 seconds",
    "delay 50ms 3000s": "the same",
    "delay 0ms 1ms distribution normal": "half of such delays are above 0",
}


def lines() -> Iterator[str]:
    """Command lines, valid and invalid."""
    for word, argument in ABBREVIATED.items():
        yield from (f"{word[:length]} {argument}" for length in range(1, len(word) + 1))
    for time in TIMES:
        yield from (f"slot 0ms {time}", f"slot distribution normal {time} 1us")
        yield from (f"delay {time}", f"delay 50ms {time}") if "ns" not in time and time != "3000s" else ()
    for share in SHARES:
        yield from (f"loss {share}", f"loss gemodel {share} {share} {share} {share}", f"loss state {share} {share}")
        yield from (f"duplicate 1% {share}", f"corrupt {share}", f"delay 1ms reorder {share} {share}")
        yield f"delay 1ms 1ms {share}"
    yield from (f"rate {rate}" for rate in RATES)
    yield from (f"delay 1ms limit {size}" for size in SIZES if size != "0")
    yield from (f"slot 1ms bytes {size}" for size in SIZES)
    yield from CLAUSES
    pairs = [(one, other) for one, other in combinations(CLAUSES, 2) if not shared(one, other)]
    yield from (f"{one} {other}" for one, other in pairs)
    yield from (f"{other} {one}" for one, other in pairs[::7])
    yield from (*ODD, *NONSENSE, *STRICTER, *KINDER)


def shared(one: str, other: str) -> set[str]:
    """The options that both know."""
    return set(one.split()) & set(other.split()) & {*ABBREVIATED, "reorder"}


def ours(line: str) -> Netem | None:
    """Our result; None when we refuse."""
    try:
        words = NetemSpec.model_validate(parse_netem(line))
        return replace(words.setting(words.limit or 1000, seed=0), seed=None)
    except ValueError:
        return None


def tcs(kernel: LinuxKernel, words: list[str]) -> Netem | None:
    """The result of tc; None when it, or the kernel, refuses."""
    command = ["tc", "qdisc", "add", "dev", CABLE.name, "root", "handle", "ca05:", "netem", *words]
    with kernel.inside(CABLE.place):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    held = kernel.read(CABLE)
    kernel.write(CABLE, None)
    assert (done.returncode == 0) == (held is not None), done.stderr
    assert held is None or isinstance(held, Netem)
    return replace(held, seed=None) if held else None


def as_tc_rounds(netem: Netem) -> Netem:
    """The netem as tc 6.1 sets it: it rounds delay and jitter to whole us and then to ticks of 64 ns, and drops the
    correlation of a duplicate unless another option has one."""
    others = netem.delay_correlation or netem.corrupt_correlation or netem.reorder_correlation
    correlated = others or (isinstance(netem.loss, RandomLoss) and netem.loss.correlation)
    delay, jitter = (ns // 1000 * 1000 // 64 * 64 for ns in (netem.delay, netem.jitter))
    return replace(
        netem, delay=delay, jitter=jitter, duplicate_correlation=netem.duplicate_correlation if correlated else 0
    )


def near(one: Any, other: Any, key: str = "") -> bool:
    """Equal, except for rounding in tc's doubles and our parts per billion: 1 ns, 1 byte/s, 3 of 2^32."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(near(one[each], other[each], each) for each in one)
    if not isinstance(one, int) or not isinstance(other, int):
        return bool(one == other)
    if key in SHARED_OUT:
        return abs(one - other) <= 3
    return abs(one - other) <= (1 if key == "rate" or key.endswith(("delay", "jitter")) else 0)


def differences(told: Netem, held: Netem) -> str:
    """The fields in which they differ."""
    mine, tcs = asdict(told), asdict(held)
    return ", ".join(f"{key} {mine[key]} / {tcs[key]}" for key in mine if not near(mine[key], tcs[key], key))


def test_we_accept_what_tc_accepts(kernel: LinuxKernel) -> None:
    """For each of hundreds of lines, tc's netem in the kernel equals ours, or both refuse, or the reason is listed."""
    found = []
    for line in dict.fromkeys(lines()):
        told, held = ours(line), tcs(kernel, line.split())
        if (told is None) == (held is None):
            if told and held:
                expected = kernel.holds(as_tc_rounds(told))
                assert isinstance(expected, Netem)
                if difference := differences(expected, held):
                    found.append(f"{line!r}: ours / tc's {difference}")
        elif line not in (STRICTER if told is None else KINDER):
            found.append(f"{line!r} is refused by {'us' if told is None else 'tc'} alone")

    assert not found, "\n".join(found)


def test_listed_differences_exist(kernel: LinuxKernel) -> None:
    """Lines that are listed as refused by one of the two alone are so."""
    for line in STRICTER:
        assert ours(line) is None, line
        assert tcs(kernel, line.split()) is not None, line
    for line in KINDER:
        assert ours(line) is not None, line
        assert tcs(kernel, line.split()) is None, line


@pytest.mark.parametrize("line", CLAUSES)
def test_printed_tc_arguments_set_the_same_netem(kernel: LinuxKernel, line: str) -> None:
    """The arguments that we print for a netem make tc set the same one, bit for bit."""
    setting = ours(line)
    assert setting is not None
    arguments, _ = netem_arguments(setting)

    held = tcs(kernel, arguments)

    assert held == kernel.holds(setting)
