"""The real Chaos Toolkit runs chaoskit's activities: on loopback, without a fault."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chaoslib.exceptions import ActivityFailed
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.loader import load_experiment

from chaoskit import chaostoolkit, child_command
from chaoskit.chaostoolkit import actions, tolerances

DOCS = Path(__file__).parents[3] / "docs"
EXAMPLES = sorted((DOCS / "examples" / "chaostoolkit").glob("*.yaml"))
GATE = DOCS / "examples" / "chaostoolkit" / "release-gate.yaml"
CONTROL = {"name": "chaoskit", "provider": {"type": "python", "module": "chaoskit.chaostoolkit.control"}}
CHAOS = str(Path(sys.executable).parent / "chaos")
KEY = "sk-nobody-may-see-this"


def chaos(place: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the program there, without a look at the network."""
    options = ("--no-version-check", "--no-log-file", "--settings", str(place / "settings.yaml"))
    variables = {"PATH": "/usr/bin:/bin", "ENDPOINT_KEY": KEY, "HOME": str(place), **more}
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


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_valid_and_the_page_shows_the_file(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `chaos validate` calls finds nothing wrong with the pages' experiments, which stand there whole."""
    monkeypatch.setenv("ENDPOINT_KEY", KEY)
    ensure_experiment_is_valid(load_experiment(str(example)))

    whole = example.read_text().partition("title: ")
    assert f"```yaml\n{whole[1]}{whole[2]}```" in (DOCS / "chaostoolkit.md").read_text()


def test_faults_of_an_example_select_their_traffic() -> None:
    """Nothing but the endpoint's traffic is touched, and no interface by which a machine is managed."""
    methods = [each for example in EXAMPLES for each in yaml.safe_load(example.read_text())["method"]]
    injected = [each["provider"]["arguments"] for each in methods if each["provider"]["func"] == "inject"]

    assert injected
    assert all(each["to"] and "options" not in each for each in injected)


@pytest.mark.parametrize(("objective", "code"), [("ttft_p50 < 10s", 0), ("ttft_p50 < 1us", 1)])
def test_a_release_gate_is_the_exit_code(tmp_path: Path, endpoint: str, objective: str, code: int) -> None:
    """The documented gate, with a real run of chaoskit against an endpoint: 0 when it is met, 1 when it is broken."""
    stage = f"stage: {{target: '{endpoint}'}}\nworkload: {{request-rate: 20/s, output-tokens: 2}}\n"
    text = f"name: gate\nquestion: Well?\n{stage}timeline: [{{baseline: 2s}}]\nobjectives: ['{objective}']\n"
    (tmp_path / "gate.yaml").write_text(text)

    done = chaos(tmp_path, "run", str(GATE), EXPERIMENT="gate.yaml")

    assert done.returncode == code, done.stderr
    assert json.loads((tmp_path / "journal.json").read_text())["deviated"] is bool(code)
    assert done.stderr.count("gate is broken: ") == code


@pytest.mark.parametrize("background", [False, True])
def test_with_the_control_an_action_that_fails_fails_the_experiment(tmp_path: Path, background: bool) -> None:
    """Exit code 1 for a fault that is not in force, and what follows is not measured as if it were."""
    failing = activity("a fault", "actions", "inject", duration="soon", up="delay 20ms", options={"everything": True})
    after = activity("measured", "actions", "restore")
    experiment = {
        "title": "a fault that cannot be",
        "description": "no fault",
        "controls": [CONTROL],
        "method": [failing | {"background": background}, after],
    }
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))

    done = chaos(tmp_path, "run", "experiment.json")

    journal = json.loads((tmp_path / "journal.json").read_text())
    assert (done.returncode, journal["status"]) == (1, "interrupted"), done.stderr
    assert "'a fault' failed, and with it this experiment" in done.stderr
    assert len(journal["run"]) == 1 + background


def test_with_the_control_a_fault_that_is_not_restored_fails_the_experiment(tmp_path: Path) -> None:
    """The other rollbacks are played all the same."""
    last = activity("nothing to do", "actions", "restore")
    experiment = {
        "title": "no such lease",
        "description": "no fault",
        "controls": [CONTROL],
        "method": [],
        "rollbacks": [activity("as before", "actions", "restore", lease="none/such"), last],
    }
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))

    done = chaos(tmp_path, "run", "experiment.json")

    journal = json.loads((tmp_path / "journal.json").read_text())
    assert done.returncode == 1, done.stderr
    assert [each["status"] for each in journal["rollbacks"]] == ["failed", "succeeded"]


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"expect": ["brokn"]}, "expect: 'brokn' is no verdict; did you mean broken?"),
        ({"expect": 5}, "expect: 5 is no verdict; there are met, broken, undecided, none"),
        ({"options": ["clock"]}, "options: found ['clock'], expected names with values, such as {seed: 7}"),
    ],
)
def test_wrong_arguments_are_one_sentence_before_anything_runs(
    tmp_path: Path, arguments: dict[str, Any], said: str
) -> None:
    """Of the action before it runs the file, and with the control before the first activity of the experiment."""
    wrong = activity("wrong", "actions", "run_experiment", path="nowhere.yaml", **arguments)
    first = activity("first", "actions", "run_experiment", path="first.yaml")
    experiment = {"title": "t", "description": "d", "controls": [CONTROL], "method": [first, wrong]}
    (tmp_path / "experiment.json").write_text(json.dumps(experiment))

    with pytest.raises(ActivityFailed) as failed:
        actions.run_experiment("nowhere.yaml", **arguments)
    done = chaos(tmp_path, "run", "experiment.json")

    assert str(failed.value) == said
    assert f"wrong: {said}" in done.stderr
    assert done.returncode == 1
    assert json.loads((tmp_path / "journal.json").read_text())["run"] == []


def test_an_unknown_option_is_one_sentence() -> None:
    """With dashes or without, and without the usage of the command line."""
    for name in ("clok", "--clok"):
        with pytest.raises(ActivityFailed) as failed:
            actions.run_experiment("x.yaml", options={name: "virtual"})

        assert str(failed.value) == "chaoskit run has no option --clok; did you mean --clock auto|real|virtual?"


def test_a_fault_that_cannot_be_is_refused() -> None:
    """A mistake in an injection is the sentence of the command, with what to write."""
    with pytest.raises(ActivityFailed, match="for: "):
        actions.inject("soon", up="delay 20ms", options={"everything": True})
