"""An engine is written with vLLM's options, and each mistake in it is named."""

from pathlib import Path

import pytest

from chaoskit.errors import SpecError
from chaoskit.server.inference.profiles import PROFILES, StepTimes
from chaoskit.server.inference.settings import OUTPUT_LENGTHS, EngineSettings, Lengths
from chaoskit.spec.script import responses
from chaoskit.units import Duration

MS = 10**6
WHOLE = """
engine:
  profile: {step: {128: 13ms, 1: 10ms}, per-1000-context-tokens: 65us}
  max-num-seqs: 16
  max-num-batched-tokens: 512
  long-prefill-token-threshold: 256
  kv-cache-tokens: 40000
  block-size: 32
  max-model-len: 8000
  scheduling-policy: priority
  max-waiting-queue-length: 100
  queue-full-status: 429
  prompt-tokens: {median: 1000, p99: 4000}
  output-tokens: azure-2023-conversation
"""


def engine(tmp_path: Path, text: str, **options: str) -> EngineSettings:
    """The settings of a file with this text."""
    path = tmp_path / "script.yaml"
    path.write_text(text)
    found = responses(str(path), dict(options)).script(7).engine
    assert found is not None
    return found


def test_every_key_reaches_the_engine(tmp_path: Path) -> None:
    """All keys of a file are in the settings that the engine follows; the points of a profile are in order."""
    assert engine(tmp_path, WHOLE) == EngineSettings(
        steps=StepTimes(((1, 10 * MS), (128, 13 * MS)), Duration(65_000)),
        kv_cache=40_000,
        max_seqs=16,
        max_batched_tokens=512,
        long_prefill_threshold=256,
        block=32,
        max_model_len=8000,
        policy="priority",
        max_waiting=100,
        full_status=429,
        prompt=Lengths.of(1000, 4000),
        output=OUTPUT_LENGTHS["azure-2023-conversation"],
    )


def test_a_file_is_written_as_it_was_read(tmp_path: Path) -> None:
    """Written out and read again, an engine is the same."""
    path = tmp_path / "script.yaml"
    path.write_text(WHOLE)
    found = responses(str(path), {})

    assert type(found).model_validate(found.written()) == found
    assert type(found).model_validate_json(found.model_dump_json()) == found


def test_a_profile_alone_is_an_engine(tmp_path: Path) -> None:
    """`engine: NAME` in short."""
    assert engine(tmp_path, "engine: llama-3-8b-a100") == engine(tmp_path, "engine: {profile: llama-3-8b-a100}")


@pytest.mark.parametrize("name", PROFILES)
def test_a_published_profile_has_its_cache(tmp_path: Path, name: str) -> None:
    """It says how many tokens its cache holds; the rest is as vLLM has it."""
    found = engine(tmp_path, f"engine: {{profile: {name}}}")

    assert found == EngineSettings(PROFILES[name].steps, PROFILES[name].kv_cache)
    assert PROFILES[name].steps.problem() == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "profile: missing"),
        ("{profile: llama-3-8b-a10}", "which is no profile; did you mean llama-3-8b-a100?"),
        ("{profile: gpt-7}", "there are llama-3-8b-a100, llama-3-70b-a100-tp4"),
        ("{profile: llama-3-8b-a100, max-num-seq: 3}", "did you mean max-num-seqs"),
        ("{profile: llama-3-8b-a100, max-num-seqs: 0}", "expected 1 or more"),
        ("{profile: llama-3-8b-a100, max-num-batched-tokens: 100}", "fewer than max-num-seqs, 256"),
        ("{profile: llama-3-8b-a100, max-model-len: 500000}", "more than the KV cache holds, 412000 tokens"),
        ("{profile: llama-3-8b-a100, kv-cache-tokens: 8}", "fewer than one block, which has 16"),
        ("{profile: llama-3-8b-a100, scheduling-policy: sjf}", "'fcfs' or 'priority'"),
        ("{profile: llama-3-8b-a100, queue-full-status: 500}", "expected '429' or '503'"),
        ("{profile: llama-3-8b-a100, prompt-tokens: azure}", "is no trace; there are azure-2023-conversation"),
        ("{profile: llama-3-8b-a100, output-tokens: 1k}", "or write a number of tokens, or {median: 1000, p99: 4000}"),
        ("llama", "which is no profile; there are llama-"),
        ("{profile: llama-3-8b-a100, prompt-tokens: {median: 9, p99: 3}}", "p99 3 is below the median 9"),
        ("{profile: {step: {1: 10ms}}}", "a profile of your own needs kv-cache-tokens"),
        (
            "{profile: {step: {1: 10ms, 100: 5ms}}, kv-cache-tokens: 9000}",
            "a step of 100 tokens takes less time than one of 1",
        ),
        ("{profile: {step: {1: 10}}, kv-cache-tokens: 9000}", "has no unit; write 10ms or 10s"),
        ("{profile: {step: {}}, kv-cache-tokens: 9000}", "step"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    """With its key, and what to write."""
    with pytest.raises(SpecError) as error:
        engine(tmp_path, f"engine: {text}")

    assert told in str(error.value)


@pytest.mark.parametrize("key", ["first-token: {median: 1s, p99: 2s}", "token-interval: 10ms"])
def test_there_is_one_pace(tmp_path: Path, key: str) -> None:
    """An engine and the keys of the scripted pace exclude each other."""
    with pytest.raises(SpecError, match="the engine computes when tokens leave; remove it, or engine"):
        engine(tmp_path, f"engine: {{profile: llama-3-8b-a100}}\n{key}")


def test_options_of_the_pace_exclude_an_engine_too(tmp_path: Path) -> None:
    """`--first-token` beside a file with an engine."""
    with pytest.raises(SpecError, match="the engine computes when tokens leave"):
        engine(tmp_path, "engine: {profile: llama-3-8b-a100}", **{"first-token": "1s"})
