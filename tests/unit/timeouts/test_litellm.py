"""LiteLLM: whose setting counts, and its defaults."""

from __future__ import annotations

import pytest

from chaoskit.errors import SpecError
from chaoskit.timeouts import litellm
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.timers import Reading

CONFIG = """\
model_list:
- model_name: small
  litellm_params: {model: openai/small, api_base: "http://model:8000/v1", timeout: 30, stream_timeout: 4.5}
- model_name: large
  litellm_params:
    model: openai/large
    api_base: https://large.internal/v1
    max_retries: 0
router_settings: {num_retries: 5, timeout: 20}
litellm_settings: {request_timeout: 600}
"""


def read(text: str) -> Reading:
    """What this file says."""
    return litellm.read("config.yaml", Texts({"config.yaml": text}))


def test_a_model_has_its_own_timers_before_the_routers_and_the_general_ones() -> None:
    """In the order of LiteLLM's documentation; retries repeat all that a call waits for."""
    small, large = read(CONFIG).routes

    assert {each.kind: (str(each.value), each.place) for each in small.timers} == {
        "first-byte": ("4.5s", "config.yaml:3"),
        "total": ("30s", "config.yaml:3"),
    }
    assert {each.kind: (str(each.value), each.place) for each in large.timers} == {
        "first-byte": ("None", "the litellm_params of config.yaml:5"),
        "total": ("20s", "config.yaml:9"),
    }
    assert (small.retries.attempts("total"), large.retries.attempts("total")) == (6, 1)
    assert [(each.host, each.port) for route in (small, large) for each in route.callees] == [
        ("model", 8000),
        ("large.internal", 443),
    ]


def test_what_is_not_written_is_litellms_default() -> None:
    """100 minutes for a call, and two retries."""
    (route,) = read("model_list:\n- litellm_params: {model: openai/x}\n").routes

    assert [str(each.value) for each in route.timers if each.kind == "total"] == ["1h40min"]
    assert route.retries.count == 2
    assert route.callees == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1", "no model_list"),
        (CONFIG.replace("timeout: 30", "timeout: os.environ/T"), "'os.environ/T' is no duration"),
        (
            CONFIG.replace("num_retries: 5", "num_retries: many").replace("max_retries: 0", "x: 1"),
            "'many' is no number",
        ),
    ],
)
def test_what_cannot_be_read_says_why(text: str, says: str) -> None:
    """Another kind of file, and values that only its process knows."""
    with pytest.raises(SpecError, match=says):
        read(text)
