"""What an experiment's stage needs to know is looked up on this very machine, and nothing is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.conduct.planning import prepare
from chaoskit.errors import RefusedError, SpecError
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import load, parse
from chaoskit.spec.stage import InterfaceStage

FILE = """\
name: x
question: x?
stage: {{target: "http://{host}:8000", ip: "4"{more}}}
workload: {{request-rate: 4/s}}
faults:
  slow: {{direction: down, netem: {{delay: 30ms}}}}
timeline: [{{baseline: 2s}}, {{slow: 2s}}]
"""
LAB = Path(__file__).parents[3] / "experiments" / "loss-first-token.yaml"


def experiment(host: str = "127.0.0.1", more: str = "") -> Experiment:
    """A small one with that target."""
    return parse(FILE.format(host=host, more=more), "x.yaml")


def test_the_interface_is_the_one_that_leads_to_the_target() -> None:
    """To ourselves it is loopback, with its own size, and a name brings its addresses."""
    numbered, named = prepare(experiment()).interface, prepare(experiment("localhost")).interface

    assert numbered is not None
    assert named is not None
    assert (numbered.name, numbered.mtu, numbered.addresses) == ("lo", 65536, {})
    assert "127.0.0.1" in named.addresses["localhost"]
    assert named.target_addresses == ("127.0.0.1",)


def test_a_lab_needs_no_look() -> None:
    """Its plan is the same on every machine."""
    assert prepare(load(LAB)).interface is None


@pytest.mark.parametrize(
    ("host", "more", "sentence"),
    [
        ("no-such-name.invalid", "", r"no-such-name\.invalid does not resolve"),
        ("127.0.0.1", ", interface: no-such-link", "there is no interface no-such-link here; there are: lo"),
    ],
)
def test_what_is_not_there_is_refused(host: str, more: str, sentence: str) -> None:
    """A name without addresses, an interface that nobody has: a sentence each."""
    with pytest.raises(RefusedError, match=sentence):
        prepare(experiment(host, more))


def test_a_run_asks_for_the_key_before_it_begins() -> None:
    """A plan is shown without the key; a run without it is the author's mistake, and sudo's way around is named."""
    name = f"CHAOSKIT_TEST_{os.getpid()}"
    keyed = experiment(more=f", key-env: {name}")

    assert prepare(keyed).interface is not None
    with pytest.raises(SpecError, match=f"{name} is not set: export {name}=.*sudo --preserve-env={name}"):
        prepare(keyed, to_run=True)


def test_a_lab_is_planned_without_asking_a_kernel() -> None:
    """`validate` and `plan` of a lab do not pay for pyroute2, a sixth of a second."""
    lab = Path(__file__).parents[3] / "experiments" / "loss-first-token.yaml"
    program = (
        "import sys; from pathlib import Path; from chaoskit.conduct.file_check import check; "
        "from chaoskit.conduct.planning import prepare; from chaoskit.spec.load import load; "
        f"each = load(Path({str(lab)!r})); check([each]); prepare(each); "
        "print([name for name in ('pyroute2', 'scapy', 'numpy') if name in sys.modules])"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout == "[]\n"


@pytest.mark.parametrize(
    ("path", "model", "asked"),
    [
        ("", "m", "/v1/chat/completions"),
        ("/prefix/v1", "m", "/prefix/v1/chat/completions"),
        ("/my/own", None, "/my/own"),
    ],
)
def test_a_plan_has_the_path_that_is_asked(path: str, model: str | None, asked: str) -> None:
    """Not the base URL that stands in the file."""
    stage = {"target": f"http://127.0.0.1:8000{path}", "ip": "4"} | ({"model": model} if model else {})
    found = experiment().model_copy(update={"stage": InterfaceStage.model_validate(stage)})

    assert prepare(found).target == f"http://127.0.0.1:8000{asked}"


SERVICE = """\
name: x
question: Is it there?
stage:
  lab: service
  hosts:
    gateway: {run: [no-such-program, -x], ready: 8080}
    model: {reference: true}
  target: http://gateway:8080/v1
workload: {request-rate: 2/s}
timeline: [{baseline: 10s}]
"""


def test_a_program_that_is_missing_is_told_before_a_guest_boots() -> None:
    """A plan notes it, and a run is refused in the same words."""
    experiment = parse(SERVICE, "x.yaml")
    (note,) = [remark for remark in prepare(experiment).remarks if "no-such-program" in remark]

    with pytest.raises(RefusedError) as refused:
        prepare(experiment, to_run=True)

    assert note == str(refused.value)
    assert note.startswith("the host gateway: there is no program no-such-program")
