"""The real Chaos Toolkit runs chaoskit's activities: on loopback, without a fault."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import ActivityFailed

from chaoskit import chaostoolkit, child_command
from chaoskit.chaostoolkit import actions, tolerances

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "chaostoolkit" / "slow-path.yaml"
CHAOS = str(Path(sys.executable).parent / "chaos")
KEY = "sk-nobody-may-see-this"


def chaos(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the program there, without a look at the network."""
    options = ("--no-version-check", "--no-log-file", "--settings", str(place / "settings.yaml"))
    variables = {"PATH": "/usr/bin:/bin", "ENDPOINT_KEY": KEY, "HOME": str(place)}
    return subprocess.run(
        [CHAOS, *options, *words], cwd=place, capture_output=True, text=True, env=variables, timeout=120, check=False
    )


@pytest.fixture
def endpoint() -> Iterator[str]:
    """The address of a reference server."""
    server = child_command.start("serve", "--port", "0")
    assert server.stdout is not None
    yield server.stdout.readline().decode().split()[0]
    child_command.stop(server)


def probe(name: str, tolerance: object, **arguments: object) -> dict[str, Any]:
    """A probe of the endpoint."""
    return activity(name, "probes", "probe", **arguments) | {"type": "probe", "tolerance": tolerance}


def activity(name: str, module: str, function: str, **arguments: object) -> dict[str, Any]:
    """An activity of chaoskit."""
    provider = {"type": "python", "module": f"chaoskit.chaostoolkit.{module}", "func": function}
    return {"name": name, "type": "action", "provider": {**provider, "arguments": arguments}}


def tolerance(function: str, **arguments: object) -> dict[str, Any]:
    """A tolerance of chaoskit."""
    return activity("enough", "tolerances", function, **arguments) | {"type": "probe"}


def test_its_activities_are_discovered() -> None:
    """Each action and probe is listed with its sentence and the types of its arguments."""
    found = {each["name"]: each for each in chaostoolkit.discover()["activities"]}

    assert {name: each["type"] for name, each in found.items()} == {
        "inject": "action",
        "restore": "action",
        "run_experiment": "action",
        "probe": "probe",
        "verdict": "probe",
    }
    assert all(each["doc"] for each in found.values())
    assert {each["name"]: each.get("type") for each in found["inject"]["arguments"]}["duration"] == "string"


def test_the_example_is_valid(tmp_path: Path) -> None:
    """`chaos validate` finds nothing wrong with the experiment of the documentation."""
    done = chaos(tmp_path, "validate", str(EXAMPLE))

    assert done.returncode == 0, done.stderr


def test_an_experiment_measures_and_fails_in_one_sentence(tmp_path: Path, endpoint: str) -> None:
    """Tolerances judge what a probe measured; what fails is one sentence in the journal, and no secret is there."""
    enough = tolerance("is_below", metric="ttft_p50", bound="10s")
    arguments = {"url": endpoint, "requests": 10, "options": {"output-tokens": 3}}
    hypothesis = [
        probe("fast", enough, **arguments),
        probe("met", tolerance("is_met", may_be_undecided=True), **arguments, objectives=["interruption_rate <= 50%"]),
    ]
    for each in hypothesis:
        each["provider"]["secrets"] = ["endpoint"]
    experiment = {
        "title": "on loopback",
        "description": "no fault",
        "secrets": {"endpoint": {"api_key": {"type": "env", "key": "ENDPOINT_KEY"}, "x-tenant": "blue"}},
        "runtime": {"hypothesis": {"strategy": "before-method-only"}},
        "steady-state-hypothesis": {"title": "well", "probes": hypothesis},
        "method": [activity("no file", "actions", "run_experiment", path="nowhere.yaml")],
        "rollbacks": [activity("nothing to do", "actions", "restore")],
    }
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))

    done = chaos(tmp_path, "run", "experiment.json")

    text = (tmp_path / "journal.json").read_text()
    journal = json.loads(text)
    assert done.returncode == 0, done.stderr
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    outputs = [each["output"] for each in journal["steady_states"]["before"]["probes"]]
    assert [each["started"] for each in outputs] == [10, 10]
    assert outputs[1]["objectives"][0]["text"] == "interruption_rate <= 50%"
    (failed,) = journal["run"]
    assert "nowhere.yaml: No such file or directory; give the path of an experiment file" in failed["exception"][-1]
    assert journal["rollbacks"][0]["output"] == []
    assert KEY not in text + done.stderr + done.stdout


def test_a_latency_that_was_never_reached_is_above_every_bound() -> None:
    """A tolerance is not met by what has no value, and a word that is none says which there are."""
    value = {"ttft": {"p50_ms": 120.0, "p95_ms": None}, "verdict": "met"}

    assert tolerances.is_below("ttft_p50", "200ms", value)
    assert not tolerances.is_below("ttft_p50", "120ms", value)
    assert not tolerances.is_below("ttft_p95", "1h", value)
    with pytest.raises(ActivityFailed, match="'ttfb_p50' is no latency of this probe; there are ttft_p95"):
        tolerances.is_below("ttfb_p50", "1s", value)
    with pytest.raises(ActivityFailed, match="bound: "):
        tolerances.is_below("ttft_p50", "fast", value)


@pytest.mark.parametrize(("verdict", "is_met", "is_accepted"), [("met", 1, 1), ("undecided", 0, 1), ("broken", 0, 0)])
def test_undecided_is_met_only_where_it_may_be(verdict: str, is_met: int, is_accepted: int) -> None:
    """A verdict that is undecided is not met unless the experiment says so."""
    value = {"verdict": verdict}

    assert tolerances.is_met(value) == bool(is_met)
    assert tolerances.is_met(value, may_be_undecided=True) == bool(is_accepted)


def test_a_fault_that_cannot_be_is_refused() -> None:
    """A mistake in an injection is the sentence of the command, with what to write."""
    with pytest.raises(ActivityFailed, match="for: "):
        actions.inject("soon", up="delay 20ms", options={"everything": True})
