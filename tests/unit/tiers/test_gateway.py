"""The gateway runs workflows over real sockets, and tells in spans what each hop did."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tier_chain import (
    GENERATE,
    GUARD,
    MODEL,
    MS,
    POLICY,
    RETRIEVE,
    TOOLS,
    TWO_TOOLS,
    VECTORS,
    Chain,
    Host,
    chain,
    gateway,
)

from chaoskit.records.jsonl import read
from chaoskit.records.span_names import CONNECT, FIRST_TOKEN
from chaoskit.records.span_names import RETRIEVAL_FALLBACK as FALLBACK
from chaoskit.records.span_names import RETRIEVAL_OUTCOME as OUTCOME
from chaoskit.records.spans import Span
from chaoskit.server.deviations import Cut, Refusal
from chaoskit.tiers.settings import (
    Breaker,
    CallTimers,
    Count,
    GatewaySettings,
    GenerateStage,
    Latency,
    MidStream,
    RetrieveStage,
)
from chaoskit.units import Duration, Share

ALL: dict[str, Host] = {"guard": GUARD, "vectors": VECTORS, "tools": TOOLS, "model": MODEL}
SURE = Share(Share.largest)


def play(
    run: Path, settings: GatewaySettings, work: Callable[[Chain], Awaitable[Any]], hosts: Mapping[str, Host] = ALL
) -> Any:
    """What `work` gives, with a running chain."""

    async def go() -> Any:
        async with chain(run, settings, hosts) as running:
            return await work(running)

    return asyncio.run(go())


def ask(run: Path, settings: GatewaySettings, hosts: Mapping[str, Host] = ALL, **keys: Any) -> tuple[int, str, str]:
    """One request to a chain."""
    found: tuple[int, str, str] = play(run, settings, lambda running: running.ask(**keys), hosts)
    return found


def text_of(body: str) -> str:
    """What a stream says."""
    return "".join(re.findall(r'"content":"([^"]*)"', body))


def test_a_workflow_runs_its_stages_in_order_and_streams(tmp_path: Path) -> None:
    """Policy, retrieval, two tools and the model, each a span within the workflow's, each attempt within its hop's."""
    status, _, body = ask(tmp_path, gateway(POLICY, RETRIEVE, TWO_TOOLS, GENERATE))

    found = Chain(0, tmp_path)
    (workflow,) = found.spans("workflow")
    assert (status, body.count('"seq"'), body.count("[DONE]")) == (200, 5, 1)
    hops = [each for each in found.spans() if each.parent == workflow.span]
    assert [each.operation for each in hops] == ["policy", "retrieval", "tool", "tool", "model"]
    assert all(first.end <= second.begin for first, second in itertools.pairwise(hops))
    (attempt,) = found.attempts("policy")
    (served,) = found.spans("policy", host="guard")
    assert (attempt.parent, served.parent, served.trace) == (hops[0].span, attempt.span, workflow.trace)
    connecting = attempt.attributes.pop(CONNECT)
    assert isinstance(connecting, int)
    assert 0 < connecting < attempt.end - attempt.begin
    assert attempt.attributes == {"server.address": "guard", "chaoskit.attempt": 1}
    assert [CONNECT in each.attributes for each in found.attempts("tool")] == [True, False]  # it is kept


def test_context_makes_the_prompt_longer(tmp_path: Path) -> None:
    """What is retrieved and what tools answer reaches the model: some four bytes are a token of its prompt."""
    _, _, plain = ask(tmp_path, gateway(GENERATE), stream=False)
    _, _, full = ask(tmp_path, gateway(RETRIEVE, TWO_TOOLS, GENERATE), stream=False)

    before, after = (json.loads(each)["usage"]["prompt_tokens"] for each in (plain, full))
    assert after - before == pytest.approx((4 * 2000 + 2 * 1000) / 4, abs=10)


def test_a_trace_is_taken_over_and_passed_on(tmp_path: Path) -> None:
    """The client's trace is that of all spans, and its span is the workflow's parent."""
    trace, parent = "1" * 32, "2" * 16
    ask(tmp_path, gateway(POLICY, GENERATE), headers=f"traceparent: 00-{trace}-{parent}-01\r\n")

    spans = read(tmp_path, Span)
    assert {each.trace for each in spans} == {trace}
    assert next(each for each in spans if each.operation == "workflow").parent == parent


def test_the_client_chooses_the_workflow(tmp_path: Path) -> None:
    """By a header field, or by the model's name; else it is the first; an unknown one is refused."""
    settings = replace(gateway(GENERATE), workflows={"chat": (GENERATE,), "support": (POLICY, GENERATE)})

    async def work(running: Chain) -> list[int]:
        asked: list[dict[str, Any]] = [
            {"headers": "x-workflow: support\r\n"},
            {"model": "support"},
            {},
            {"headers": "x-workflow: no\r\n"},
        ]
        return [(await running.ask(**each))[0] for each in asked]

    assert play(tmp_path, settings, work) == [200, 200, 200, 404]
    names = [each.attributes.get("gen_ai.workflow.name") for each in Chain(0, tmp_path).spans("workflow")]
    assert names == ["support", "support", "chat", None]


def test_a_path_that_there_is_not_is_answered_with_those_that_there_are(tmp_path: Path) -> None:
    """All of them: each is answered."""

    async def work(running: Chain) -> dict[str, tuple[int, str]]:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{running.port}") as client:
            found = [await client.get(path) for path in ("/nothing", "/v1/models", "/health")]
        return {each.url.path: (each.status_code, each.text) for each in found}

    answers = play(tmp_path, gateway(GENERATE), work)

    assert {path: status for path, (status, _) in answers.items()} == {
        "/nothing": 404,
        "/v1/models": 200,
        "/health": 200,
    }
    assert "POST /v1/chat/completions, GET /v1/models and GET /health" in answers["/nothing"][1]


def test_a_denied_request_ends_there(tmp_path: Path) -> None:
    """With HTTP 403; a policy host that fails denies as well, unless the stage fails open."""
    denies = ALL | {"guard": replace(GUARD, denies=1.0)}
    fails = ALL | {"guard": replace(GUARD, failures=1.0)}

    assert ask(tmp_path, gateway(POLICY, GENERATE), denies)[0] == 403
    assert ask(tmp_path, gateway(POLICY, GENERATE), fails)[0] == 502
    assert ask(tmp_path, gateway(replace(POLICY, fails_open=True), GENERATE), fails)[0] == 200


def test_a_late_retrieval_is_left_out_at_its_deadline(tmp_path: Path) -> None:
    """The request goes on without context; the hop's outcome is `timeout`, and the fallback has its name."""
    slow = ALL | {"vectors": replace(VECTORS, latency=Latency(5000 * MS, 5000 * MS))}
    stage = replace(RETRIEVE, timers=CallTimers(deadline=50 * MS), fallbacks=("no-context",))

    status, head, _ = ask(tmp_path, gateway(stage, GENERATE), slow)

    (hop,) = Chain(0, tmp_path).hops("retrieval")
    assert status == 200
    assert "x-chaoskit-retrieval: timeout,no-context" in head
    assert (hop.error, hop.attributes[OUTCOME], hop.attributes[FALLBACK]) == ("timeout", "timeout", "no-context")
    assert 50 * MS <= hop.end - hop.begin < 100 * MS


def test_without_a_fallback_a_late_retrieval_ends_the_request(tmp_path: Path) -> None:
    """With HTTP 504."""
    slow = ALL | {"vectors": replace(VECTORS, latency=Latency(5000 * MS, 5000 * MS))}
    stage = replace(RETRIEVE, timers=CallTimers(deadline=20 * MS))

    assert ask(tmp_path, gateway(stage, GENERATE), slow)[0] == 504


def test_a_miss_is_no_error(tmp_path: Path) -> None:
    """It is asked of the fallback, and without one the request goes on without context."""
    hosts = ALL | {"vectors": replace(VECTORS, miss=1.0), "second": VECTORS}
    with_second = replace(RETRIEVE, fallbacks=("second", "no-context"))

    assert ask(tmp_path, gateway(RETRIEVE, GENERATE), hosts)[0] == 200
    assert ask(tmp_path, gateway(with_second, GENERATE), hosts)[0] == 200

    plain, helped = (each.attributes for each in Chain(0, tmp_path).hops("retrieval"))
    assert plain == {"gen_ai.operation.name": "retrieval", OUTCOME: "miss"}
    assert helped == {"gen_ai.operation.name": "retrieval", OUTCOME: "miss", FALLBACK: "second"}


def test_cached_results_stand_in(tmp_path: Path) -> None:
    """The latest ones of the stage; before there are any, the next fallback does."""
    stage = RetrieveStage(("vectors",), 4, CallTimers(deadline=10**9), ("cached", "no-context"))

    async def work(running: Chain) -> list[int]:
        return [(await running.ask())[0] for _ in range(40)]

    flaky = ALL | {"vectors": replace(VECTORS, failures=0.5)}
    assert set(play(tmp_path, gateway(stage, GENERATE), work, flaky)) == {200}
    hops = Chain(0, tmp_path).hops("retrieval")
    used = [each.attributes.get(FALLBACK) for each in hops]
    first = next(number for number, each in enumerate(hops) if each.attributes[OUTCOME] == "hit")
    assert set(used[:first]) <= {"no-context"}
    assert set(used[first:]) == {None, "cached"}


def test_a_part_of_the_shards_is_a_degraded_answer(tmp_path: Path) -> None:
    """Those that are late are left out at their deadline."""
    spread = replace(VECTORS, latency=Latency(20 * MS, 200 * MS), shards=8, shard_deadline=30 * MS)

    ask(tmp_path, gateway(replace(RETRIEVE, k=80), GENERATE), ALL | {"vectors": spread})

    (hop,) = Chain(0, tmp_path).hops("retrieval")
    assert hop.attributes[OUTCOME] == "degraded"
    assert hop.end - hop.begin >= 30 * MS


def test_retries_are_attempts_of_the_hop(tmp_path: Path) -> None:
    """Each with its number and its error; the hop has the time of all, and the budget ends them."""
    broken = ALL | {"tools": replace(TOOLS, failures=1.0)}
    stage = replace(TWO_TOOLS, timers=CallTimers(retries=3))

    async def work(running: Chain) -> list[int]:
        return [(await running.ask())[0] for _ in range(3)]

    assert play(tmp_path, gateway(stage, GENERATE), work, broken) == [200, 200, 200]
    numbers = [each.attributes["chaoskit.attempt"] for each in Chain(0, tmp_path).attempts("tool")]
    assert numbers[:4] == [1, 2, 3, 4]
    assert len([each for each in numbers if isinstance(each, int) and each > 1]) == 11  # ten, and what nine calls add


def test_a_hedge_answers_for_a_slow_attempt(tmp_path: Path) -> None:
    """It begins after its time, its answer counts, and the slow one is given up."""
    wide = ALL | {"tools": replace(TOOLS, latency=Latency(2 * MS, 4000 * MS))}
    stage = replace(TWO_TOOLS, calls=Count(30, 30), timers=CallTimers(hedge_after=30 * MS))

    ask(tmp_path, gateway(stage, GENERATE), wide)

    attempts = Chain(0, tmp_path).attempts("tool")
    hedges = [each for each in attempts if each.attributes.get("chaoskit.hedge")]
    assert hedges
    assert [each for each in attempts if each.error == "cancelled"]
    for each in hedges:
        other = next(one for one in attempts if one.parent == each.parent and one is not each)
        assert 30 * MS <= each.begin - other.begin < 60 * MS


def test_the_next_model_answers_for_one_that_fails(tmp_path: Path) -> None:
    """One that refuses, one that nobody listens for, one that stalls before its first token."""
    busy = replace(MODEL, deviations=(Refusal(503, None, SURE),))
    stalls = replace(MODEL, first_token_median=Duration(60 * 10**9), first_token_p99=Duration(60 * 10**9))
    hosts = ALL | {"busy": busy, "stalls": stalls}
    models = ("busy", "nobody:1", "stalls", "model")
    stage = GenerateStage(models, CallTimers(per_try=50 * MS))

    status, _, body = ask(tmp_path, gateway(stage), hosts)

    attempts = Chain(0, tmp_path).attempts("model")
    assert (status, body.count('"seq"')) == (200, 5)
    assert [each.error for each in attempts] == ["503", "connect", "timeout", None]
    assert [each.attributes["server.address"] for each in attempts] == ["busy", "nobody", "stalls", "model"]


def test_a_breaker_leaves_a_failing_host_alone(tmp_path: Path) -> None:
    """After so many failures it is not asked, until it is tried again."""
    busy = replace(MODEL, deviations=(Refusal(503, None, SURE),))
    stage = GenerateStage(("busy", "model"))
    settings = gateway(stage, breaker=Breaker(2, 100 * MS))

    async def work(running: Chain) -> list[int]:
        codes = [(await running.ask())[0] for _ in range(4)]
        await asyncio.sleep(0.12)
        return [*codes, (await running.ask())[0]]

    assert play(tmp_path, settings, work, ALL | {"busy": busy}) == [200] * 5
    told = [each.error for each in Chain(0, tmp_path).attempts("model") if each.attributes["server.address"] == "busy"]
    assert told == ["503", "503", "breaker", "breaker", "503"]


@pytest.mark.parametrize(
    ("how", "tokens", "ending"),
    [("break", 3, "broken"), ("error", 3, "error"), ("end", 3, "done"), ("resume", 8, "done")],
)
def test_an_answer_that_breaks_off(tmp_path: Path, how: MidStream, tokens: int, ending: str) -> None:
    """Is broken for the client as well, told as an error, ended as if complete, or resumed by the next model."""
    hosts = ALL | {"cuts": replace(MODEL, deviations=(Cut(3, "close", SURE),))}
    settings = gateway(GenerateStage(("cuts", "model")), mid_stream=how)

    status, _, body = ask(tmp_path, settings, hosts, tokens=8)

    assert (status, body.count('"seq"')) == (200, tokens)
    is_whole, is_done, has_error = body.endswith("0\r\n\r\n"), "[DONE]" in body, '"error"' in body
    found = "error" if has_error else "done" if is_done else "broken"
    assert (found, is_whole) == (ending, ending != "broken")
    (hop,) = Chain(0, tmp_path).hops("model")
    assert hop.error == (None if how == "resume" else "closed")


def test_a_resumed_answer_is_the_whole_one(tmp_path: Path) -> None:
    """No word is missing or said twice: the next model is told what the client has."""
    hosts = ALL | {"cuts": replace(MODEL, deviations=(Cut(3, "close", SURE),))}
    usage = {"stream_options": {"include_usage": True}}
    keys: dict[str, Any] = {"tokens": 8, "headers": "x-chaoskit-stream: 7\r\n", **usage}

    _, _, resumed = ask(tmp_path, gateway(GenerateStage(("cuts", "model")), mid_stream="resume"), hosts, **keys)
    _, _, whole = ask(tmp_path, gateway(GENERATE), **keys)

    assert text_of(resumed) == text_of(whole)
    assert re.findall(r'"seq":(\d+)', resumed) == list("01234567")
    assert '"completion_tokens":8' in resumed


def test_a_client_that_leaves_cancels_what_is_asked(tmp_path: Path) -> None:
    """The attempt, the hop and the workflow end as cancelled."""
    slow = ALL | {"tools": replace(TOOLS, latency=Latency(5000 * MS, 5000 * MS))}

    async def work(running: Chain) -> None:
        task = asyncio.ensure_future(running.ask())
        await asyncio.sleep(0.1)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)

    play(tmp_path, gateway(TWO_TOOLS, GENERATE), work, slow)

    assert {each.error for each in Chain(0, tmp_path).spans()} == {"cancelled"}


def test_mistakes_are_answered_in_one_sentence(tmp_path: Path) -> None:
    """Of the path and of the body."""

    async def work(running: Chain) -> list[int]:
        return [(await running.ask(messages=3))[0], (await running.ask(model=None))[0]]

    assert play(tmp_path, gateway(GENERATE), work) == [400, 400]


def test_a_repeated_run_has_the_same_spans(tmp_path: Path) -> None:
    """Their identities, errors and attributes; only their times differ."""
    found = []
    for name in ("a", "b"):
        run = tmp_path / name
        run.mkdir()
        ask(run, gateway(POLICY, RETRIEVE, TWO_TOOLS, GENERATE))
        spans = Chain(0, run).spans()
        for each in spans:
            for name in (FIRST_TOKEN, CONNECT):
                each.attributes.pop(name, None)
        found.append([(each.span, each.parent, each.error, each.attributes) for each in spans])

    assert found[0] == found[1]
