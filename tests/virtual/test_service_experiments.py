"""The included experiments with real programs show what their files claim, variant by variant."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import other_python
import pytest
import real_programs
from clocks import known
from variant_run import conduct, conduct_elsewhere

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Metrics, Result
from chaoskit.records.directory import first_difference
from chaoskit.spec.matrix import load_variants
from chaoskit.substrate.uml import GuestKernel

FILES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "experiments/service").glob("*.yaml"))}
REPEATING = ("nginx-read-timeout", "haproxy-server-timeout", "httpx-read-timeout")
"""Those whose first variant is run again, in another environment: nginx, HAProxy, Python do the same to the byte."""

Run = Callable[[str], list[Result]]


@pytest.fixture(scope="module")
def run(kernel: GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run an experiment, in virtual time, and give back the results of its variants in the order of the file."""
    folder = tmp_path_factory.mktemp("programs")
    path = real_programs.search_path(folder / "bin")
    elsewhere = real_programs.search_path(folder / "elsewhere")
    python = other_python.make(folder / "python")

    def go(name: str) -> list[Result]:
        out = tmp_path_factory.mktemp(name)
        variants = [variant.name for variant in load_variants(FILES[name]).each]
        runs = [conduct(FILES[name], variant, kernel, out / str(at), path) for at, variant in enumerate(variants)]
        if name in REPEATING:
            place = out / "in a folder with a longer name"
            again = conduct_elsewhere(FILES[name], variants[0], kernel, place, elsewhere, python)
            assert first_difference(runs[0], again) == ""
        return [analyse(each) for each in runs]

    return go


def during(result: Result, phase: str) -> Metrics:
    """What one phase measured."""
    found = result.phase(phase)
    return found.metrics


def rate(result: Result, phase: str = "baseline") -> float:
    """The share of its streams that were interrupted."""
    return known(during(result, phase).interruption_rate.value)


def closings(result: Result, phase: str = "baseline") -> list[str]:
    """Who ended the streams of a phase."""
    found = result.phase(phase)
    return [each.sentence for each in found.closings]


def beside(result: Result) -> dict[str, Metrics]:
    """What the other workloads measured in the first phase."""
    return {each.name: each.phases[0].metrics for each in result.workloads}


def verdicts(results: list[Result]) -> list[str]:
    """How each variant ended."""
    return [result.outcome.verdict for result in results]


def test_nginx_gives_up_a_model_that_thinks(run: Run) -> None:
    """Untouched it cuts every answer after 60 s of silence, and the result names it; patient it cuts none."""
    untouched, patient = results = run("nginx-read-timeout")

    assert verdicts(results) == ["broken", "met"]
    assert (rate(untouched), rate(patient)) == (1, 0)
    (told,) = closings(untouched)
    assert re.match(r"40 of 40 closed by gateway after (59\.\d\d|60\.00) s of silence from model", told)


def test_nginx_holds_tokens_back(run: Run) -> None:
    """Buffered by HTTP/1.0 the text comes in pieces, compressed it comes at the end, unbuffered as it was sent."""
    untouched, gzip, unbuffered = results = run("nginx-buffering")

    assert verdicts(results) == ["broken", "broken", "met"]
    assert 300 < known(during(untouched, "baseline").ttft.p50_ms) < 600
    assert known(during(untouched, "baseline").stalls_per_minute.value) > 100
    assert known(during(gzip, "baseline").ttft.p50_ms) > 2000
    assert known(during(unbuffered, "baseline").ttft.p50_ms) < 200
    assert during(unbuffered, "baseline").stalls == 0


def test_debians_haproxy_gives_up_a_model_that_thinks(run: Run) -> None:
    """After 50 s of silence, with `timeout tunnel` too; with `timeout server` it waits."""
    debian, tunnel, patient = results = run("haproxy-server-timeout")

    assert verdicts(results) == ["broken", "broken", "met"]
    assert [rate(result) for result in results] == [1, 1, 0]
    for result in (debian, tunnel):
        (told,) = closings(result)
        assert re.match(r"40 of 40 closed by gateway after (49\.9\d|50\.0\d) s of silence from model", told), told
    assert closings(patient) == []


def test_envoy_ends_a_healthy_answer(run: Run) -> None:
    """After 15 s, while tokens flow, and its FIN comes 1 s later; with a timer for silence alone it ends none."""
    untouched, patient = results = run("envoy-route-timeout")

    assert verdicts(results) == ["broken", "met"]
    assert (rate(untouched), rate(patient)) == (1, 0)
    assert all(re.search(r" closed by gateway 16\.\d\d s after the request", told) for told in closings(untouched))
    (limit,) = (each for each in untouched.intermediaries if each.kind == "response-timer")
    assert limit.seconds == pytest.approx(15, abs=0.1)


def test_a_nat_forgets_what_envoy_keeps(run: Run) -> None:
    """Every other call is lost, 15 s later; with a keepalive none is."""
    untouched, keepalive = results = run("envoy-nat-keepalive")

    assert verdicts(results) == ["broken", "met"]
    lost = during(untouched, "nat")
    assert (lost.started, lost.interrupted, rate(keepalive, "nat")) == (21, 10, 0)
    assert [each.split(" (")[0] for each in closings(untouched, "nat")] == [
        "10 of 10 answered HTTP 504 by gateway 15.00 s after the request"
    ]
    assert [each.verdict for each in untouched.fidelity if each.kind == "idle-timeout"] == ["achieved"]


def test_a_nat_forgets_a_model_that_thinks(run: Run) -> None:
    """However patient nginx is; with keepalives on its host every answer comes. What is late is not the network's."""
    silent, keepalive = results = run("nginx-nat-pause")

    assert verdicts(results) == ["broken", "met"]
    assert (rate(silent, "nat"), rate(keepalive, "nat")) == (1, 0)
    assert [each.verdict for each in silent.fidelity if each.kind == "idle-timeout"] == ["achieved"]
    attributed = keepalive.phases[0].stall_attribution
    assert attributed.stalls > 0
    assert attributed.network_ms == 0


def test_short_calls_wait_behind_an_upload(run: Run) -> None:
    """With cubic they miss their budget many times over, with BBR they keep it, and the upload is as fast."""
    results = run("upload-beside-chat")

    assert verdicts(results) == ["broken", "met"]
    cubic, bbr = map(beside, results)
    assert known(cubic["lookup"].ttft.p95_ms) > 500
    assert known(bbr["lookup"].ttft.p95_ms) < 100
    assert known(bbr["upload"].ttft.p50_ms) < 1.05 * known(cubic["upload"].ttft.p50_ms)


def test_httpx_gives_up_a_model_that_thinks(run: Run) -> None:
    """After its 5 s of silence; with a longer read timeout it waits."""
    untouched, patient = results = run("httpx-read-timeout")

    assert verdicts(results) == ["broken", "met"]
    assert (rate(untouched), rate(patient)) == (1, 0)
    (told,) = closings(untouched)
    assert re.match(r"40 of 40 closed by gateway after 5\.\d\d s of silence from model", told), told


def test_node_gives_a_silent_model_five_minutes(run: Run) -> None:
    """Node's fetch cuts what is silent for 300 s, to its own half second; with bodyTimeout: 0 it waits."""
    untouched, patient = results = run("undici-body-timeout")

    assert verdicts(results) == ["broken", "met"]
    assert (rate(untouched), rate(patient)) == (1, 0)
    (told,) = closings(untouched)
    assert re.match(r"40 of 40 closed by gateway after 30[01]\.\d\d s of silence from model", told), told


def test_a_hung_model_closes_the_door_behind_it(run: Run) -> None:
    """Each user waits for httpx's 5 s; then nginx answers at once, and goes on after the model is back. With
    max_fails=0 it asks again."""
    closed, opened = results = run("hung-model")

    assert verdicts(results) == ["broken", "met"]
    assert rate(closed, "recovery") > 0.5 > 0.1 > rate(opened, "recovery")
    assert any("by gateway, passed on by front, after 5.00 s of silence" in each for each in closings(closed, "hung"))
    assert all(" answered HTTP 502 by front 0.00 s after the request" in each for each in closings(closed, "recovery"))
    assert not any("502 by front 0.00 s" in each for phase in ("hung", "cut") for each in closings(opened, phase))
    assert rate(closed, "lossy") == rate(opened, "lossy") == 0


def test_every_file_is_looked_at() -> None:
    """No file of experiments/service/ is forgotten here."""
    text = Path(__file__).read_text()

    assert {name for name in FILES if f'run("{name}")' in text} == set(FILES)
