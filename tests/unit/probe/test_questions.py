"""What requests of several workflows, and of a trace, ask."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, ready, request, token, workload

from chaoskit.probe.drive import DriveOptions, Target
from chaoskit.records.model import Request

DEMAND = {
    "chat": "60%",
    "support": {"share": "40%", "model": "big", "output-tokens": 7, "prompt-size": "300B", "system": "Be brief."},
}


def asked(count: int, **words: Any) -> tuple[list[tuple[dict[str, str], dict[str, Any]]], list[Request]]:
    """The headers and bodies of so many requests, in the order of their numbers, and their records."""
    seen: list[tuple[dict[str, str], dict[str, Any]]] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, headers, body = await request(reader)
        seen.append((headers, json.loads(body)))
        writer.write(HEAD + chunk(token(), DONE) + END)

    async def main() -> list[Request]:
        async with far_side(behave) as url:
            options = DriveOptions(seed=5, start=await ready(), length=None, requests=count)
            return (await ask(Target(url, "small"), workload(**words), options)).requests

    records = asyncio.run(main())
    return sorted(seen, key=lambda each: int(each[0]["x-chaoskit-stream"])), sorted(records, key=lambda one: one.stream)


def test_a_workflow_is_carried_by_the_model() -> None:
    """`model` has its name, unless it has a model of its own; records have the workflow."""
    seen, records = asked(30, demand=DEMAND)

    assert Counter(body["model"] for _, body in seen) == Counter(
        {"chat": "chat", "support": "big"}[str(one.workflow)] for one in records
    )
    assert {one.workflow for one in records} == {"chat", "support"}
    for (_, body), one in zip(seen, records, strict=True):
        assert body["max_tokens"] == (7 if one.workflow == "support" else 100)
        assert body["messages"][0]["role"] == ("system" if one.workflow == "support" else "user")
        assert len(body["messages"][-1]["content"]) == (300 if one.workflow == "support" else 50)


@pytest.mark.parametrize(("carrier", "model"), [("header X-Workflow", "small"), ("none", "small")])
def test_a_workflow_is_carried_by_a_header(carrier: str, model: str) -> None:
    """The model is then the target's."""
    seen, records = asked(10, demand=DEMAND, carry={"workflow": carrier})

    told = [headers.get("x-workflow") for headers, _ in seen]
    assert told == [one.workflow if carrier != "none" else None for one in records]
    assert {body["model"] for _, body in seen} == {model, "big"}


def test_a_trace_says_what_is_asked(tmp_path: Path) -> None:
    """Prompts of four bytes for each token, and as many tokens as its answer had; the last request is its last."""
    path = tmp_path / "trace.csv"
    path.write_text("milliseconds,input_tokens,output_tokens\n0,10,3\n20,100,5\n40,15,1\n")

    seen, records = asked(100, trace=str(path))

    assert [body["max_tokens"] for _, body in seen] == [3, 5, 1]
    assert [len(body["messages"][0]["content"]) for _, body in seen] == [40, 400, 60]
    assert [one.scheduled - records[0].scheduled for one in records] == [0, 20_000_000, 40_000_000]
