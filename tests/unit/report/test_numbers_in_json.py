"""In every document, a number is a finite number or null with the reason beside it, and is defined in the document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from made_runs import Made, ns
from random_runs import random_run

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.matrix import MatrixResult, VariantResult
from chaoskit.analysis.result import Cause, NetworkKind, Result
from chaoskit.planning.until_decided import looks_of
from chaoskit.records.directory import UNCOMPRESSED
from chaoskit.records.host_records import ConnectionEnd
from chaoskit.records.look_record import Look
from chaoskit.report.definitions import table
from chaoskit.report.null_reasons import explained
from chaoskit.report.result_json import as_json
from chaoskit.report.vllm_keys import as_json as probe_json
from chaoskit.spec.workload import Workload

WORDS = ("never", "-never", "inf", "-inf", "infinity", "-infinity", "nan")
OPEN_LOOP = Workload.model_validate({"request-rate": "2/s"})
CLOSED_LOOP = Workload.model_validate({"max-concurrency": 2})
EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
TEXTS = ("provenance",)  # parts of a result without numbers
NO_NUMBERS = (
    *TEXTS,
    "tiers",
    "until_decided",
    "spans",
    "late_first_tokens",
    "traffic_class",
    "workflow",
    "model",
    "protocol",
    "machine",
)  # or null
KINDS = ("run", "probe", "compared", "empty", "silent", "cut off")


def refuse(word: str) -> None:
    """For json: constants that are not JSON."""
    raise AssertionError(word)


@cache
def result(kind: str, seed: int) -> Result:
    """A run with a plan, or the records of a probe; without any request, or without any token."""
    with TemporaryDirectory() as folder:
        run = random_run(seed) if kind in ("run", "probe") else Made(plan=None)
        if kind == "silent":
            run.stream(0, [], "first_token_timeout", ended=1000)
        if kind == "cut off":
            for number in range(5):
                run.stream(9 * number, [9 * number + 1], "reset", ended=9 * number + 2000, port=number + 1)
                ends = (("client", number + 1, "server", 80), ("server", 80, "client", number + 1))
                run.records.append(ConnectionEnd(ns(9 * number), "router", "to-client", "syn", *ends[0]))
                run.records.append(ConnectionEnd(ns(9 * number + 2000), "router", "to-server", "rst", *ends[1]))
        if kind == "probe":
            run.plan, run.records = None, [each for each in run.records if type(each).__name__ != "Phase"]
        if kind == "run" and seed % 2 and run.plan is not None:
            run.plan = run.plan.model_copy(update={"looks": looks_of(3, "as-written")})
            run.records.append(Look(ns(29_000), 1, (), (), ("all",)))
        directory = run.write(Path(folder) / "run")
        (directory / "requests.jsonl").touch()
        if kind == "compared":
            plain = Made(plan=None)
            plain.stream(0, [50, 90])
            plain.write(directory / UNCOMPRESSED)
        return analyse(directory)


@cache
def documents(kind: str, seed: int) -> list[dict[str, Any]]:
    """Everything that is written of it."""
    one = result(kind, seed)
    matrix = MatrixResult(
        chaoskit="0", name="m", question="?", status="finished", detail="", axes=("x",),
        variants=(VariantResult(name="a", values=("1",), result=one),),
    )  # fmt: skip
    texts = (as_json(one), as_json(matrix), probe_json(one, OPEN_LOOP), probe_json(one, CLOSED_LOOP))
    return [json.loads(text, parse_constant=refuse) for text in texts]


def parts(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a document with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, below in value.items():
            if key not in TEXTS:
                yield from parts(below, f"{path}.{key}")
    elif isinstance(value, list):
        for below in value:
            yield from parts(below, path)


def is_number(value: Any) -> bool:
    """Whether it is a number, or a list of them."""
    return (isinstance(value, int | float) and not isinstance(value, bool)) or (
        isinstance(value, list) and bool(value) and all(map(is_number, value))
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_no_word_stands_for_a_number(kind: str, seed: int) -> None:
    """No value is a word for infinity, and each null has its reason in the same object."""
    for document in documents(kind, seed):
        for path, part in parts(document):
            if path.endswith(("null_because", "definitions")):
                continue
            for key, value in part.items():
                if isinstance(value, str):
                    assert value.lower() not in WORDS, (path, key)
                if value is None and key not in (*TEXTS, "result"):
                    assert part.get("missing") or part.get("null_because", {}).get(key), (path, key)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_every_number_is_defined(kind: str, seed: int) -> None:
    """Every key of a probe's document with a number has a sentence with its unit in the document."""
    for document in [*documents(kind, seed)][2:]:
        definitions = document["definitions"]
        for path, part in parts({key: value for key, value in document.items() if key != "definitions"}):
            for key, value in part.items():
                if is_number(value) or (value is None and key not in NO_NUMBERS):
                    place = f"{path}.{key}"
                    assert any(place.endswith(f".{known}") for known in (*definitions, *ways(definitions))), (
                        f"{place}: give it a sentence and its unit in chaoskit/report/definitions.py"
                    )


def ways(definitions: dict[str, str]) -> tuple[str, ...]:
    """The ways in which streams end, and what the network did, are keys, too."""
    endings = ("complete", "reset", "idle_timeout", "cancelled", "connect_failed", "first_token_timeout", "truncated")
    kinds = get_args(NetworkKind) if "network_kinds" in definitions else ()
    causes = [name for name in ("interruption_causes", "first_token_causes") if name in definitions]
    return (
        *(f"{name}.{each}" for name in causes for each in get_args(Cause)),
        *(f"completions.{each}" for each in endings if "completions" in definitions),
        *(f"network_kinds.{each}" for each in kinds),
    )


def test_no_definition_is_stale() -> None:
    """Each definition is of a key that some document has."""
    used = {key for kind in KINDS for seed in range(8) for document in documents(kind, seed) for key in seen(document)}
    example = Result.model_validate_json((EXAMPLES / "loss-first-token.json").read_text())
    used |= set(json.loads(probe_json(example, OPEN_LOOP))["definitions"])

    assert set(table()) - used == set()


def seen(document: dict[str, Any]) -> set[str]:
    """The definitions in a document."""
    return set(document.get("definitions", {}))


def test_definitions_are_sentences_with_a_unit() -> None:
    """Each ends with a full stop and names what it counts or its unit."""
    units = (
        *("ms", " s", "ns", "bytes", "a number", "A number", "share of 1", "per second", "per minute", "unit of"),
        *("in unit", "same unit", "numbers of the", "a number of"),
    )
    for key, sentence in table().items():
        assert sentence.endswith("."), key
        assert any(unit in sentence for unit in units), (key, sentence)


def test_the_two_first_tokens_cannot_be_taken_for_each_other() -> None:
    """A server that announces the answer at once: vLLM's key says so, ours beside it says when content came."""
    run = Made(plan=None)
    for n in range(3):
        run.stream(100 * n, [100 * n + 184, 100 * n + 190], first_event=ns(100 * n + 2.5))
    with TemporaryDirectory() as folder:
        document = json.loads(probe_json(analyse(run.write(Path(folder) / "run")), CLOSED_LOOP))

    assert document["mean_ttft_ms"] == pytest.approx(2.5)
    assert document["first_content_p50_ms"] == pytest.approx(184)
    assert "first event of any kind" in document["definitions"]["mean_ttft_ms"]
    assert "first event with content" in document["definitions"]["first_content_p50_ms"]
    assert not {key for key in document if key.startswith("ttft")}


def test_an_explained_object_has_a_reason_for_each_null() -> None:
    """`pmtu --json` and `status --json` have it; a null without a reason is a mistake of ours."""
    assert explained({"a": 1, "b": None}, {"b": "unknown"}) == {"a": 1, "b": None, "null_because": {"b": "unknown"}}
    assert explained({"a": 1}, {}) == {"a": 1}
    with pytest.raises(KeyError):
        explained({"a": None}, {})
