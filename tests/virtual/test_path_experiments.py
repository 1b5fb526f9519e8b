"""The shipped experiments about path MTU show what their files claim, variant by variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import warm
from clocks import FILES, known

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Metrics, Result
from chaoskit.spec.matrix import Variant, load_variants
from chaoskit.substrate.uml import GuestKernel

EXPERIMENTS = {path.stem: path for path in FILES if load_variants(path).axes}
# Of each matrix the variants that its finding rests on; all of them would say the same again.
CHOSEN = {
    "mss-clamp-control": ("ip=6",),
    "mtu-probing-remedy": tuple(f"tcp_mtu_probing={probing},ip=4" for probing in (0, 1, 2)),
    "nat-idle-timeout": ("tcp-keepalive=30s", "tcp-keepalive=2h"),
    "pmtu-blackhole-long-prompt": ("ip=4,prompt-size=800B", "ip=6,prompt-size=2kB"),
    "pmtu-blackhole-mid-stream": ("ip=4",),
    "pmtu-blackhole-tls": ("tls=false,ip=4", "tls=true,ip=6"),
    "pmtu-signalled-cost": ("ip=6",),
    "vpn-presets": ("tunnel=pppoe,ip=6", "tunnel=jumbo-mismatch,ip=4"),
}
Run = Callable[[str], dict[str, Result]]


@pytest.fixture(scope="module")
def run(kernel: GuestKernel, shipped: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the chosen variants of an experiment, in virtual time; the results by the variants' names. The last one of a
    file is run for all tests together."""

    def results(name: str) -> Iterator[tuple[str, Result]]:
        folder = tmp_path_factory.mktemp(name)
        *_, last = variants = load_variants(EXPERIMENTS[name]).each
        for variant in variants:
            if variant.name in CHOSEN[name]:
                out = shipped(EXPERIMENTS[name]).directory if variant == last else one(variant, folder)
                result = analyse(out)
                assert result.outcome.status == "finished"
                assert [each for each in result.fidelity if each.verdict == "not-achieved"] == []
                yield variant.name, result

    def one(variant: Variant, folder: Path) -> Path:
        (folder / "one.yaml").write_text(variant.text)
        out = folder / variant.name
        words = ("run", str(folder / "one.yaml"), "--clock", "virtual", "--out", str(out), "--kernel", str(kernel.path))
        answer = warm.chaoskit(*words, limit=280)
        assert answer.returncode in (0, 1, 5), answer.stdout + answer.stderr
        return out

    def go(name: str) -> dict[str, Result]:
        found = dict(results(name))
        assert found.keys() == set(CHOSEN[name])
        return found

    return go


def during(result: Result, phase: str) -> Metrics:
    """What one phase measured."""
    found = result.phase(phase)
    return found.metrics


def never(value: float | None) -> bool:
    """Whether the first token did not come."""
    return value == float("inf")


def rate(metrics: Metrics) -> float:
    """The share of streams that were interrupted."""
    assert metrics.interruption_rate.value is not None
    return metrics.interruption_rate.value


def achieved(result: Result, phase: str) -> dict[tuple[str, str], tuple[str, float | None]]:
    """What came of each fault about sizes in this phase, and how many packets or bytes that was."""
    sizes = (each for each in result.fidelity if each.phase == phase and each.kind not in ("loss", "round-trip"))
    return {(each.kind, each.where): (each.verdict, each.measured) for each in sizes}


def test_every_matrix_is_looked_at() -> None:
    """No file of experiments/ that has one is forgotten here."""
    assert set(CHOSEN) == set(EXPERIMENTS)


def test_long_prompts_fall_off_a_cliff(run: Run) -> None:
    """What fits a packet passes the black hole, what does not never comes; signalled and clamped cost nothing."""
    results = run("pmtu-blackhole-long-prompt")
    small, *large = results.values()

    assert known(during(small, "black-hole").ttft.p50_ms) < 1.2 * known(during(small, "baseline").ttft.p50_ms)
    assert achieved(small, "black-hole") == {("oversized", "the router"): ("not-exercised", 0)}
    for result in large:
        assert never(during(result, "black-hole").ttft.p50_ms)
        for phase in ("signalled", "clamped"):
            assert known(during(result, phase).ttft.p50_ms) < 1.2 * known(during(result, "baseline").ttft.p50_ms)
            assert rate(during(result, phase)) == 0
        assert achieved(result, "clamped") == {
            ("mss", "handshakes through the router"): ("achieved", 1340),
            ("oversized", "the router"): ("not-exercised", 0),
        }
        for phase, becomes in (("signalled", "the router"), ("black-hole", "signals to the client")):
            hit, signals = achieved(result, phase).values()
            assert hit == signals == ("achieved", hit[1])
            assert {where for _, where in achieved(result, phase)} == {"the router", becomes}


def test_a_stream_survives_until_a_few_packets_are_lost(run: Run) -> None:
    """The black hole alone, and the loss alone, interrupt nothing; together they end a third of the streams or more."""
    for result in run("pmtu-blackhole-mid-stream").values():
        assert [rate(during(result, phase)) for phase in ("baseline", "vpn", "wifi")] == [0, 0, 0]
        assert rate(during(result, "wifi+vpn")) > 1 / 3
        assert [verdict for verdict, _ in achieved(result, "vpn").values()] == ["not-exercised"]
        assert [verdict for verdict, _ in achieved(result, "wifi+vpn").values()] == ["achieved"] * 2


def test_a_nat_forgets_a_thinking_model(run: Run) -> None:
    """Without a keepalive in time every stream is lost, and the NAT's own counters say so; with one none is, and the
    NAT had nothing to forget. Neither is taken for a path-MTU black hole."""
    kept, lost = run("nat-idle-timeout").values()

    assert (kept.outcome.verdict, lost.outcome.verdict) == ("met", "broken")
    assert (rate(during(kept, "nat")), rate(during(lost, "nat"))) == (0, 1)
    where = ("idle-timeout", "connections through the router")
    assert achieved(kept, "nat") == {where: ("not-exercised", 0)}
    assert achieved(lost, "nat") == {where: ("achieved", during(lost, "nat").started)}
    assert [each.path_mtu for result in (kept, lost) for each in result.phases] == [(), ()]


def test_a_signal_costs_nothing_that_a_median_shows(run: Run) -> None:
    """The objective of the file is met."""
    (result,) = run("pmtu-signalled-cost").values()

    assert result.outcome.verdict == "met"


def test_probing_saves_long_prompts(run: Run) -> None:
    """Without it they never come, with 1 they come seconds late, with 2 as ever."""
    off, late, always = run("mtu-probing-remedy").values()

    assert never(during(off, "black-hole").ttft.p50_ms)
    assert 2000 < known(during(late, "black-hole").ttft.p50_ms) < 9000
    assert known(during(always, "black-hole").ttft.p50_ms) < 1.2 * known(during(always, "baseline").ttft.p50_ms)


def test_a_clamp_saves_all(run: Run) -> None:
    """Not one stream is interrupted behind it, and the first token comes as ever; without it none comes."""
    (result,) = run("mss-clamp-control").values()

    assert result.outcome.verdict == "met"
    assert rate(during(result, "clamped-hole")) == 0
    assert never(during(result, "hole").ttft.p50_ms)


def test_every_tunnel_swallows_long_prompts(run: Run) -> None:
    """Whatever is missing, 8 bytes or 7500; and the result says so."""
    for name, result in run("vpn-presets").items():
        assert never(during(result, "vpn").ttft.p50_ms), name
        place = "router-server up" if "jumbo" in name else "the router"
        assert achieved(result, "vpn")["oversized", place][0] == "achieved", name
        assert rate(during(result, "baseline")) == 0


def test_certificates_die_where_tokens_pass(run: Run) -> None:
    """Plain short streams notice nothing; over TLS not one begins."""
    plain, tls = run("pmtu-blackhole-tls").values()

    assert rate(during(plain, "hole")) == 0
    assert never(during(tls, "hole").ttft.p50_ms)
    assert rate(during(tls, "baseline")) == 0
