"""An experiment file of a service lab is planned with the timers of its hosts."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from chaoskit.conduct.file_check import check
from chaoskit.conduct.planning import prepare
from chaoskit.errors import SpecError
from chaoskit.planning.model import Plan
from chaoskit.report.plan import render
from chaoskit.spec.load import load

EXPERIMENT = """\
name: thinking
question: Does a stream survive a pause?
stage:
  lab: service
  hosts:
    gateway: {run: [nginx, -p, ., -c, conf/nginx.conf], files: [conf/nginx.conf]}
    model: {reference: {pause: {after: 20, for: 65s}}, replicas: 2}
  target: http://gateway:8080/v1/chat/completions
workload: {max-concurrency: 2, timeouts: {first-token: 2min, idle: 2min}}
timeline: [{baseline: 200s}]
"""
NGINX = "http {\n  include servers/*;\n}\n"
SERVER = (
    "server {\n  listen 8080;\n  location / {\n    proxy_buffering off;\n    proxy_pass http://model-2:8000;\n  }\n}\n"
)
CUT = (
    "gateway gives up a silent answer after 60s (nginx's default proxy_read_timeout), and model is silent for 65.02s "
    "(a pause of 65s); write proxy_read_timeout 100s; in the location of conf/servers/chat:3"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The experiment, with nginx's files beside it."""
    (tmp_path / "conf/servers").mkdir(parents=True)
    (tmp_path / "conf/nginx.conf").write_text(NGINX)
    (tmp_path / "conf/servers/chat").write_text(SERVER)
    (tmp_path / "x.yaml").write_text(EXPERIMENT)
    return tmp_path / "x.yaml"


def test_a_plan_has_the_timers_and_what_is_wrong_with_them(file: Path) -> None:
    """Also in plan.json, with who set each; the files are found from any folder."""
    plan = prepare(load(file))

    assert [each for each in plan.warnings if "gateway" in each] == [CUT]
    assert Plan.model_validate_json(plan.model_dump_json()).timers == plan.timers
    idle = next(each for each in plan.timers if each.callee == "model" and each.kind == "idle")
    assert (idle.host, idle.value, idle.source) == ("gateway", 60 * 10**9, "nginx's default proxy_read_timeout")


def test_the_plan_on_a_screen_has_a_table_of_them(file: Path) -> None:
    """A pair of hosts is named once; the warning is among the warnings, on 80 columns too."""
    screen = io.StringIO()

    render(prepare(load(file)), Console(file=screen, width=80))

    rows = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    assert "client -> gateway connect 5 s chaoskit's default connect" in rows
    assert "gateway -> model connect 60 s nginx's default" in rows
    assert "idle 60 s nginx's default proxy_read_timeout" in rows
    assert "gateway keep-alive 75 s nginx's default keepalive_timeout" in rows
    assert any(row.startswith("warning gateway gives up a silent answer after 60s") for row in rows)


def test_validate_says_the_same(file: Path) -> None:
    """And nothing of it once the advice is taken."""
    assert CUT in check([load(file)]).warnings

    (file.parent / "conf/servers/chat").write_text(SERVER.replace("off;", "off; proxy_read_timeout 100s;"))

    assert not [each for each in check([load(file)]).warnings if "gateway" in each]


def test_a_configuration_that_is_missing_stops_nothing(file: Path) -> None:
    """One line among the warnings; the plan is whole."""
    (file.parent / "conf/nginx.conf").unlink()

    plan = prepare(load(file))

    assert "gateway: the timers of nginx are not read: conf/nginx.conf: No such file or directory" in plan.warnings
    assert plan.phases


def test_other_labs_have_no_timers(file: Path) -> None:
    """The edge lab's plan is as it was."""
    text = file.read_text()
    start, end = text.index("stage:"), text.index("workload:")
    file.write_text(f"{text[:start]}stage: {{lab: edge}}\n{text[end:]}")

    assert prepare(load(file)).timers == ()


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("calls: [modell]", "stage.hosts.gateway.calls: 'modell' is no host of this lab; did you mean model?"),
        ("timers: {idle: 5}", "stage.hosts.gateway.timers.idle: '5' has no unit; write 5ms or 5s"),
        ("timers: {ide: 5s}", "did you mean idle?"),
        ("timers: {retries: -1}", "stage.hosts.gateway.timers.retries"),
        ("calls: {model: {total: 2 days}}", "stage.hosts.gateway.calls.model.total"),
        ("calls: 5", "stage.hosts.gateway.calls"),
    ],
)
def test_a_mistake_in_the_keys_is_told_with_its_line(keys: str, says: str, file: Path) -> None:
    """Unknown hosts, missing units, misspelled timers."""
    file.write_text(EXPERIMENT.replace("files: [conf/nginx.conf]", f"{keys}"))

    with pytest.raises(SpecError) as refused:
        load(file)

    assert says in str(refused.value)
    assert str(refused.value).startswith(f"{file}:6: ")


def test_calls_are_written_as_a_list_or_with_timers(file: Path) -> None:
    """A name, several, replicas too, and what each is waited for."""
    for words in ("model", "[model]", "[model-2]", "{model: {idle: 7s}}", "{model: }"):
        file.write_text(
            EXPERIMENT.replace(
                "run: [nginx, -p, ., -c, conf/nginx.conf], files: [conf/nginx.conf]", f"run: mine, calls: {words}"
            )
        )
        timers = {(each.host, each.callee, each.kind): each.value for each in prepare(load(file)).timers}
        assert timers.get(("gateway", "model", "idle")) == (7 * 10**9 if "7s" in words else None)
