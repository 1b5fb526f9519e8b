"""The gateway admits, queues, sheds and degrades over real sockets, and its spans and answers say so."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tier_chain import GENERATE, MS, RETRIEVE, TOOLS, TWO_TOOLS, VECTORS, Chain, Host, chain, gateway

from chaoskit.records import span_names
from chaoskit.records.spans import Span
from chaoskit.server.schedule import Script
from chaoskit.tiers.admission import AdmissionSettings, Rank
from chaoskit.tiers.carriage import Carriage
from chaoskit.tiers.ladder import LadderSettings, Step
from chaoskit.tiers.limiters import LimiterSettings
from chaoskit.tiers.settings import Controls, GenerateStage
from chaoskit.units import Duration

RANKS = (Rank("premium", 2), Rank("standard", 1), Rank("batch", 0))
CARRIAGE = Carriage("header", "x-class", {rank.name: rank.name for rank in RANKS})
SLOW = Script(Duration(60 * MS), Duration(60 * MS), Duration(1 * MS), seed=3)
HOSTS: dict[str, Host] = {"model": SLOW, "vectors": VECTORS, "tools": TOOLS}
PAGE = (
    "vllm:num_requests_running 1\nvllm:num_requests_waiting {waiting}\nvllm:kv_cache_usage_perc 0.1\n"
    "# a page of an engine\n"
)


class Gauge:
    """A model's metrics: how many wait, and whether it answers."""

    def __init__(self) -> None:
        self.waiting = 0
        self.is_answering = True
        self.asked = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) and self.is_answering:
                assert head.startswith(b"GET /metrics HTTP/1.1\r\n")
                self.asked += 1
                body = PAGE.format(waiting=self.waiting).encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            await asyncio.sleep(60)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


@asynccontextmanager
async def gauge() -> AsyncIterator[Gauge]:
    """One that listens."""
    found = Gauge()
    listener = socket.create_server(("127.0.0.1", 0))
    found.port = listener.getsockname()[1]
    server = await asyncio.start_server(found.serve, sock=listener)
    try:
        yield found
    finally:
        server.close()


def play(run: Path, work: Any, stages: tuple[Any, ...] = (GENERATE,), ladder: Any = None, **keys: Any) -> Any:
    """What `work(chain, gauge)` gives, at a gateway with these settings of its admission."""
    settings = AdmissionSettings(ranks=RANKS, poll=20 * MS, **keys)

    async def go() -> Any:
        async with gauge() as meter:
            controls = Controls(settings, ladder, CARRIAGE, (f"nobody:{meter.port}",))
            async with chain(run, gateway(*stages, controls=controls), HOSTS) as running:
                return await work(running, meter)

    return asyncio.run(go())


async def ask(running: Chain, name: str, **keys: Any) -> tuple[int, str, str]:
    """A request of this class."""
    return await running.ask(headers=f"x-class: {name}\r\n", **keys)


async def until(condition: Any) -> None:
    """Wait for it."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def workflow_of(run: Path, number: int) -> Span:
    """The number-th workflow of the gateway."""
    return Chain(0, run).spans("workflow")[number]


def test_the_more_important_goes_first(tmp_path: Path) -> None:
    """Three wait behind one; spans tell class, admission and the time in the queue."""

    async def work(running: Chain, _: Gauge) -> list[str]:
        order: list[str] = []

        async def one(name: str, label: str) -> None:
            status, _, _ = await ask(running, name)
            assert status == 200
            order.append(label)

        async with asyncio.TaskGroup() as group:
            for name, label in (("batch", "1"), ("batch", "2"), ("standard", "3"), ("premium", "4")):
                group.create_task(one(name, label))
                await asyncio.sleep(0.01)
        return order

    assert play(tmp_path, work, policy="priority", max_in_flight=1) == ["1", "4", "3", "2"]
    first, last = workflow_of(tmp_path, 0), workflow_of(tmp_path, 1)
    assert first.attributes[span_names.ADMISSION] == "admitted"
    assert first.attributes[span_names.ADMISSION_QUEUE] == 0
    assert last.attributes[span_names.ADMISSION] == "queued"
    assert last.attributes[span_names.TRAFFIC_CLASS] == "batch"
    waited = last.attributes[span_names.ADMISSION_QUEUE]
    assert isinstance(waited, int)
    assert waited > 3 * 60 * MS - 40 * MS


def test_what_is_shed_is_told_why(tmp_path: Path) -> None:
    """By the model's own metrics: 429, the reason, Retry-After; who is more important is served."""

    async def work(running: Chain, meter: Gauge) -> list[tuple[int, str, str]]:
        await until(lambda: meter.asked >= 2)
        idle = await ask(running, "batch")
        meter.waiting = 3
        asked = meter.asked
        await until(lambda: meter.asked >= asked + 2)
        return [idle, await ask(running, "batch"), await ask(running, "standard"), await ask(running, "premium")]

    thresholds = {"standard": 1.0, "batch": 0.6}
    found = play(tmp_path, work, policy="shed", max_in_flight=10, thresholds=thresholds, retry_after=7 * 10**9)

    assert [status for status, _, _ in found] == [200, 429, 200, 200]
    head, body = found[1][1].lower(), found[1][2]
    assert "x-llm-d-request-dropped-reason: saturated" in head
    assert "retry-after: 7" in head
    assert "the model is saturated" in body
    shed = workflow_of(tmp_path, 1)
    assert (shed.error, shed.attributes[span_names.ADMISSION]) == ("saturated", "shed")


def test_metrics_that_do_not_come_are_saturation(tmp_path: Path) -> None:
    """200 ms after the last ones everything but the most important class is shed, and served when they come again."""

    async def work(running: Chain, meter: Gauge) -> list[int]:
        await until(lambda: meter.asked >= 2)
        before, _, _ = await ask(running, "standard")
        meter.is_answering = False
        await asyncio.sleep(0.4)
        blind = [(await ask(running, name))[0] for name in ("standard", "premium")]
        return [before, *blind]

    assert play(tmp_path, work, policy="shed", max_in_flight=10, thresholds={"standard": 1.0}) == [200, 429, 200]


def test_who_waits_too_long_or_leaves_frees_the_place(tmp_path: Path) -> None:
    """The first is refused after `ttl`; the second's span is cancelled; the third is served."""

    async def work(running: Chain, _: Gauge) -> list[int]:
        running_one = asyncio.create_task(ask(running, "batch", tokens=300))
        await asyncio.sleep(0.02)
        late = asyncio.create_task(ask(running, "batch"))
        leaving = asyncio.create_task(ask(running, "premium"))
        await asyncio.sleep(0.02)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        refused = (await late)[0]
        served = (await running_one)[0]
        return [refused, served, (await ask(running, "standard"))[0]]

    assert play(tmp_path, work, policy="fcfs", max_in_flight=1, ttl=100 * MS) == [429, 200, 200]
    late = next(each for each in Chain(0, tmp_path).spans("workflow") if each.error == "ttl-expired")
    assert late.attributes[span_names.ADMISSION_QUEUE] == pytest.approx(100 * MS, abs=60 * MS)
    gone = next(each for each in Chain(0, tmp_path).spans("workflow") if each.error == "cancelled")
    assert gone.attributes[span_names.ADMISSION] == "queued"


def test_a_limiter_answers_503(tmp_path: Path) -> None:
    """At once, as Envoy's does."""

    async def work(running: Chain, _: Gauge) -> list[int]:
        first = asyncio.create_task(ask(running, "premium"))
        await asyncio.sleep(0.02)
        second = await ask(running, "premium")
        return [second[0], (await first)[0]]

    limiter = LimiterSettings(first_limit=1, least=1)
    assert play(tmp_path, work, policy="gradient", limiter=limiter) == [503, 200]


STEPS = (
    Step("breadth", 0.6, 0.3, breadth=0.5),
    Step("single-tool", 0.8, 0.6),
    Step("concise", 1.0, 0.8, max_tokens=2),
)


def test_the_ladder_degrades_marks_and_lets_go(tmp_path: Path) -> None:
    """Half of the results, one tool, two tokens; `x-degraded` says so; afterwards all is as before."""

    async def work(running: Chain, meter: Gauge) -> list[tuple[int, str, str]]:
        await asyncio.sleep(0.6)
        before = await ask(running, "premium")
        meter.waiting = 10
        await asyncio.sleep(0.15)
        during = await ask(running, "premium")
        meter.waiting = 0
        await asyncio.sleep(0.6)
        return [before, during, await ask(running, "premium")]

    ladder = LadderSettings(STEPS, hold=100 * MS)
    found = play(tmp_path, work, (RETRIEVE, TWO_TOOLS, GENERATE), ladder, policy="none", stale_after=5 * 10**9)

    assert [status for status, _, _ in found] == [200] * 3
    assert ["x-degraded: breadth,single-tool,concise" in head.lower() for _, head, _ in found] == [False, True, False]
    assert [body.count('"seq"') for _, _, body in found] == [5, 2, 5]
    running = Chain(0, tmp_path)
    assert len(running.hops("tool")) == 2 + 1 + 2
    assert [each.attributes.get(span_names.DEGRADED) for each in running.spans("workflow")] == [
        None,
        "breadth,single-tool,concise",
        None,
    ]
    switches = [
        (each.attributes[span_names.LADDER_SWITCH], each.attributes[span_names.LADDER_STEP], each.begin)
        for each in sorted(running.spans("other"), key=lambda span: span.end)
    ]
    assert [each[:2] for each in switches] == [
        ("entered", "breadth"),
        ("entered", "single-tool"),
        ("entered", "concise"),
        ("released", "concise"),
        ("released", "single-tool"),
        ("released", "breadth"),
    ]
    released = [at for _, _, at in switches[3:]]
    assert all(later - earlier >= 100 * MS for earlier, later in itertools.pairwise(released))


@pytest.mark.parametrize("tells", [True, False])
def test_models_are_told_the_priority(tmp_path: Path, tells: bool) -> None:
    """As vLLM has it, lower first, where the file says so; the class's header goes with the call in any case."""
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def model(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        length = int(heads[-1].lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        bodies.append(await reader.readexactly(length))
        answer = b'{"choices": [{"message": {"content": "hi"}}]}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer)

    async def go() -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        server = await asyncio.start_server(model, sock=listener)
        controls = Controls(AdmissionSettings(ranks=RANKS), None, CARRIAGE, (), tells_priority=tells)
        settings = gateway(GenerateStage((f"nobody:{listener.getsockname()[1]}",)), controls=controls)
        async with chain(tmp_path, settings, {}) as running:
            status, _, _ = await ask(running, "premium", stream=False)
        server.close()
        return status

    assert asyncio.run(go()) == 200
    assert json.loads(bodies[0]).get("priority") == (-2 if tells else None)
    assert b"x-class: premium\r\n" in heads[0]
