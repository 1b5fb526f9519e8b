"""An answer that a gateway shortens and says so, or that its model ends by itself, is not short; a cut one still is."""

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from far_side import Outcome, ask, workload
from tier_chain import GENERATE, MODEL, MS, Host, chain, gateway

from chaoskit.probe.protocols.asked_tokens import Asked
from chaoskit.probe.shortfall import due
from chaoskit.server.app import serve
from chaoskit.server.deviations import Malformed
from chaoskit.server.formats import APIS
from chaoskit.server.inference.profiles import StepTimes
from chaoskit.server.inference.settings import EngineSettings, Lengths
from chaoskit.server.schedule import Script
from chaoskit.tiers.admission import AdmissionSettings
from chaoskit.tiers.ladder import LadderSettings, Step
from chaoskit.tiers.settings import Controls, GenerateStage
from chaoskit.units import Duration

CONCISE, BREADTH = Step("concise", 0, -1, max_tokens=20), Step("breadth", 0, -1, breadth=0.5)
ENGINE = EngineSettings(StepTimes(((1, 1 * MS),), Duration(0)), 100_000)
DRAWN = replace(ENGINE, output=Lengths.of(30, 31))
CUT = (Malformed("short"),)  # a tenth of the tokens, and a proper end


def measured(run: Path, model: Script, step: Step | None, most: int | None = None, **asked: Any) -> Outcome:
    """What the probe says of an answer of 100 tokens behind a gateway with this step in force."""
    ladder = None if step is None else LadderSettings((step,), "queue")
    controls = Controls(AdmissionSettings(poll=5 * MS), ladder)
    settings = gateway(GENERATE if most is None else GenerateStage(("model",), max_tokens=most), controls=controls)
    hosts: dict[str, Host] = {"model": model}

    async def go() -> Outcome:
        async with chain(run, settings, hosts) as running:
            if step is not None:
                async with asyncio.timeout(10):
                    while not running.spans("other"):  # the switch
                        await asyncio.sleep(0.02)
            return await ask(f"http://127.0.0.1:{running.port}", workload(output_tokens=100, **asked))

    return asyncio.run(go())


def deviating(model: Script) -> Script:
    """The same, whose answers are cut to a tenth."""
    return replace(model, deviations=CUT)


DEGRADED: dict[str, tuple[Script, Step | None, int | None, int, str | None]] = {
    "concise": (MODEL, CONCISE, None, 20, None),
    "concise, with an engine": (replace(MODEL, engine=ENGINE), CONCISE, None, 20, None),
    "concise, and cut": (deviating(MODEL), CONCISE, None, 2, "short"),
    "concise, with an engine, and cut": (deviating(replace(MODEL, engine=ENGINE)), CONCISE, None, 2, "short"),
    "degraded otherwise, and cut": (deviating(MODEL), BREADTH, None, 10, "short"),
    "shortened without a word": (MODEL, None, 20, 20, "short"),
    "shortened without a word, with an engine": (replace(MODEL, engine=ENGINE), None, 20, 20, "short"),
    "the model ends by itself": (replace(MODEL, engine=DRAWN), None, None, 30, None),
    "the model ends by itself, and is cut": (deviating(replace(MODEL, engine=DRAWN)), None, None, 3, "short"),
    "all of it": (replace(MODEL, engine=ENGINE), None, None, 100, None),
}


@pytest.mark.parametrize("case", DEGRADED.values(), ids=DEGRADED.keys())
def test_only_what_nobody_meant_is_short(
    tmp_path: Path, case: tuple[Script, Step | None, int | None, int, str | None]
) -> None:
    """Behind a real gateway: what its ladder or the model's own end shortened is told, and anything else is short."""
    model, step, most, tokens, flag = case

    found = measured(tmp_path, model, step, most).request

    assert (found.completion, found.asked, found.flag) == ("complete", 100, flag)
    assert abs(found.tokens - tokens) <= 1
    assert found.degraded == (None if step is None else step.name)
    assert (found.computed is None) == (model.engine is None)


@pytest.mark.parametrize("api", [api.name for api in APIS])
@pytest.mark.parametrize("is_cut", [False, True])
def test_an_engine_tells_how_long_its_answer_is_to_be_in_every_protocol(api: str, is_cut: bool) -> None:
    """Each has room for it in its first event, so that an answer that was cut is known from one that was drawn."""
    script = replace(MODEL, engine=DRAWN, deviations=CUT if is_cut else ())

    async def go() -> Outcome:
        listener, stop = socket.create_server(("127.0.0.1", 0)), asyncio.Event()
        server = asyncio.create_task(serve(listener, script, stop))
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            return await ask(url, workload(protocol=api, output_tokens=100))
        finally:
            stop.set()
            await server

    found = asyncio.run(go()).request

    assert found.completion == "complete"
    assert found.computed == pytest.approx(30, abs=1)
    assert found.flag == ("short" if is_cut else None)


@pytest.mark.parametrize(
    ("degraded", "limit", "left"),
    [
        (None, "20", (100, 50)),
        ("breadth", "20", (100, 50)),
        ("breadth, concise", "20", (20, 20)),
        ("concise", "200", (100, 50)),
        ("concise", None, (None, None)),
        ("concise", "²", (None, None)),
        ("concise", "9" * 5000, (None, None)),
    ],
)
def test_what_a_gateway_tells_stands_for_what_was_asked(
    degraded: str | None, limit: str | None, left: tuple[int | None, int | None]
) -> None:
    """Its limit counts only beside the step that shortens; a step without a number leaves nothing to compare with."""
    assert due(Asked(100, 50), degraded, limit) == left
