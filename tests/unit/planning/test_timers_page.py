"""docs/timers.md says what the program says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from pages import TOP, blocks

from chaoskit.conduct.file_check import check
from chaoskit.spec.load import load
from chaoskit.timeouts import caddy, envoy, haproxy, litellm, nginx
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.timers import Kind, Reading

PAGE = (TOP / "docs" / "timers.md").read_text()
ENVOY = """{"static_resources": {"listeners": [{"filter_chains": [{"filters": [{"typed_config": {
"@type": "HttpConnectionManager", "route_config": {"virtual_hosts": [{"routes": [{"route": {"cluster": "a"}}]}]}}}]}]}],
"clusters": [{"name": "a"}]}}"""
UNTOUCHED = {
    "nginx": nginx.defaults(),
    "HAProxy": haproxy.read(["x"], Texts({"x": "listen a\n bind :80\n mode http\n server b model:80\n"})),
    "Envoy": envoy.read("x", Texts({"x": ENVOY})),
    "Caddy": caddy.defaults(),
    "LiteLLM": litellm.read("x", Texts({"x": "model_list: [{litellm_params: {model: a}}]"})),
}
ROW = re.compile(r"^\| (\w+) \| `([\w ]+)` \| `([\w-]+)` \| ([^|]+) \|", re.MULTILINE)


def of(reading: Reading) -> set[tuple[str, str, str]]:
    """Setting, kind and value of each default, but for those that do not matter to a stream."""
    timers = (*reading.own, *(timer for route in reading.routes for timer in route.timers))
    return {(each.name, each.kind, "never" if each.value is None else each.value.spaced()) for each in timers}


@pytest.mark.parametrize("program", UNTOUCHED)
def test_the_table_of_defaults_is_true(program: str) -> None:
    """Each row is what a reader finds in a configuration without timers."""
    rows = {(name, kind, value) for of, name, kind, value in ROW.findall(PAGE) if of == program}

    assert rows
    assert rows <= of(UNTOUCHED[program])


def test_every_kind_of_timer_is_explained() -> None:
    """The table of the kinds is complete."""
    explained = re.findall(r"^\| `([\w-]+)` \| [^|]+\|$", PAGE, re.MULTILINE)

    assert explained == list(get_args(Kind))


def test_the_example_says_what_the_page_says(tmp_path: Path) -> None:
    """The experiment and the configuration of the page lead to the two sentences of the page."""
    (config,) = (text for kind, text in blocks(PAGE) if kind == "nginx")
    experiment = next(text for kind, text in blocks(PAGE) if kind == "yaml")
    (said,) = (text for kind, text in blocks(PAGE) if kind == "text")
    (tmp_path / "nginx.conf").write_text(config)
    (tmp_path / "thinking.yaml").write_text(experiment)

    found = check([load(tmp_path / "thinking.yaml")])

    assert [each for each in found.warnings if each.startswith("gateway")] == said.splitlines()
