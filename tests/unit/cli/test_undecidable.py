"""Every command that reads objectives says before anything else which of them cannot be decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from warm import chaoskit

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.planning.obstacles import kernel_obstacle
from chaoskit.report.markdown_text import prose
from chaoskit.substrate.selection import SubstrateOptions, on_interface
from chaoskit.sweep.cell_runs import first_journal
from chaoskit.sweep.cells import plan_sweep
from chaoskit.sweep.sweep_folder import SweepFolder

FILE = """\
name: too-short
question: Can it be decided?
stage: {lab: edge}
workload: {request-rate: 2/s, burstiness: 0}
timeline: [{baseline: 20s}]
objectives: [ttft_p95 < 800ms]
"""
TOLD = (
    "ttft_p95 < 800ms: needs 72 streams to be met, gets about 40 in the run; "
    "write one of: request-rate: 3.7/s, repeats: 2, "
)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """An experiment that is too short for its objective."""
    path = tmp_path / "short.yaml"
    path.write_text(FILE)
    return str(path)


def test_validate_and_plan_say_it_where_they_warn(file: str) -> None:
    """It is a warning among the others, and no mistake: the exit code is 0."""
    checked, planned = chaoskit("validate", file), chaoskit("plan", file)

    assert (checked.returncode, planned.returncode) == (0, 0)
    assert f"  warning: {TOLD}" in checked.stdout
    assert f"warning {TOLD}" in " ".join(planned.stdout.split())


def test_a_plan_in_json_stays_json(file: str) -> None:
    """With --json the warning goes to standard error."""
    planned = chaoskit("plan", "--json", file)

    assert json.loads(planned.stdout)["name"] == "too-short"
    assert planned.stderr.startswith(f"warning: {TOLD}")


def test_a_matrix_says_each_sentence_once(tmp_path: Path) -> None:
    """Variants that lack the same are one warning."""
    path = tmp_path / "short.yaml"
    path.write_text(FILE + "matrix: {stage.ip: [4, 6]}\n")

    checked = chaoskit("validate", str(path))

    assert checked.stdout.count(TOLD) == 1


def test_a_probe_says_it_before_its_first_request() -> None:
    """It is the first line on standard error, and an objective that can be decided is not mentioned."""
    url = ("probe", "http://127.0.0.1:9", "--requests", "2")

    answer = chaoskit(*url, "--objective", "ttft_p95 < 800ms", "--objective", "ttft_max < 3s")

    first = answer.stderr.splitlines()[0]
    assert first.startswith("warning: ttft_p95 < 800ms: needs 72 streams to be met, gets about 2; give --requests 72")
    assert "ttft_max" not in answer.stderr


UNUSED = FILE.replace("lab: edge", "target: http://127.0.0.1:9, ip: 4") + (
    "faults: {unused: {direction: down, netem: {delay: 1ms}}}\n"
)
NO_PHASE = "faults.unused: no phase of the timeline uses it"


def test_a_sweep_warns_once_before_its_first_run(tmp_path: Path) -> None:
    """Of all its points; the journal and Markdown keep it. Here all cells have ended before."""
    path, out = tmp_path / "short.yaml", tmp_path / "out"
    path.write_text(UNUSED)
    plan = plan_sweep(path, {}, {"workload.output-tokens": [2, 3]}, 1, SubstrateOptions())
    with SweepFolder.create(out, True, plan.text) as folder:
        journal = first_journal(plan, "runs", None)
        cells = tuple(cell.model_copy(update={"state": "ended", "code": 0}) for cell in journal.cells)
        folder.write_journal(journal.model_copy(update={"cells": cells}))

    again = ("--out", str(out), "--resume", "--report", "markdown")
    done = chaoskit("sweep", str(path), "--vary", "workload.output-tokens=2,3", *again)

    first, second, _ = done.stderr.splitlines()
    assert first == f"warning: {NO_PHASE}"
    assert second.startswith(f"warning: {TOLD}")
    assert json.loads((out / "sweep.json").read_text())["warnings"][0] == NO_PHASE
    assert f"- {prose(NO_PHASE)}" in (out / "report.md").read_text()


def test_a_limit_warns_of_what_concerns_its_outcomes(tmp_path: Path) -> None:
    """Before its first run, and in JSON. It judges measured values, so that a run with few streams is no matter."""
    path, out = tmp_path / "short.yaml", tmp_path / "out"
    path.write_text(UNUSED.replace("[ttft_p95 < 800ms]", "[ttft_p95 < 800ms, tls_p50 < 1s]"))
    search = ("--vary", "workload.request-rate", "--from", "1/s", "--to", "4/s", "--max-time", "1ms")

    done = chaoskit("limit", str(path), *search, "--out", str(out), "--format", "json")

    no_value = "tls_p50 < 1s: has no value, for the URL has no TLS; write https:, or remove it"
    assert done.stderr.splitlines() == [f"warning: {NO_PHASE}", f"warning: {no_value}"]
    assert json.loads(done.stdout)["warnings"] == [NO_PHASE, no_value]


ENDPOINT = """\
name: mine
question: Does it hold?
stage: {target: http://127.0.0.1:8000, key-env: A_KEY_THAT_IS_NOT_SET}
workload: {request-rate: 2/s}
faults: {slow: {direction: down, netem: {delay: 20ms}}}
timeline: [{baseline: 20s}, {slow: 20s}]
"""


def test_what_a_run_would_be_refused_for_is_noted_before(tmp_path: Path) -> None:
    """That the key's variable is not set, by `validate`, `plan` and `init`, in the words of `run`; and no mistake."""
    path = tmp_path / "mine.yaml"
    path.write_text(ENDPOINT)
    refused = chaoskit("run", str(path))
    sentence = refused.stderr.removeprefix("chaoskit: ").strip()
    assert sentence.startswith("variable A_KEY_THAT_IS_NOT_SET is not set: export A_KEY_THAT_IS_NOT_SET=")

    checked, planned = chaoskit("validate", str(path)), chaoskit("plan", "--json", str(path))
    begun = chaoskit(
        "init", str(tmp_path / "new"), "--endpoint", "http://[::1]:8000", "--api-key-env", "A_KEY_THAT_IS_NOT_SET"
    )

    assert (refused.returncode, checked.returncode, planned.returncode, begun.returncode) == (2, 0, 0, 0)
    assert f"  note: {sentence}" in checked.stdout
    assert any(each.startswith(sentence) for each in json.loads(planned.stdout)["remarks"])
    assert f"note: {sentence}" in begun.stdout


def test_a_key_that_is_set_is_not_mentioned(tmp_path: Path) -> None:
    """Nothing is said of it."""
    path = tmp_path / "mine.yaml"
    path.write_text(ENDPOINT.replace("A_KEY_THAT_IS_NOT_SET", "PATH"))

    assert "is not set" not in chaoskit("validate", str(path)).stdout


def test_a_kernel_that_cannot_is_noted_in_the_words_of_a_run() -> None:
    """Each thing that is missing, with what to type; nothing where u32 stands in for flower."""
    missing = {
        "netem": "netem is not in this kernel: sudo modprobe sch_netem, or --substrate uml",
        "flower": "no flower",
    }
    facts = Facts(kernel="6.18", features=frozenset({"ifb", "clsact", "u32"}), missing=missing)

    told = kernel_obstacle("eth0", frozenset({"netem", "ifb", "clsact", "flower"}), facts)

    assert told == (
        "this kernel, 6.18, which has eth0, cannot do this: netem is not in this kernel: sudo modprobe sch_netem"
    )
    with pytest.raises(RefusedError) as refused:
        on_interface("eth0", frozenset({"netem"}), SubstrateOptions(), facts)
    assert str(refused.value) == told
    assert kernel_obstacle("eth0", frozenset({"ifb", "flower"}), facts) == ""
