"""HAProxy: sections, `defaults`, what stands in for what, and that nothing has a default."""

from __future__ import annotations

from pathlib import Path

import pytest
from proxy_programs import HAPROXY_CFG, haproxy_accepts

from chaoskit.errors import SpecError
from chaoskit.timeouts import haproxy
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.timers import Reading, Route
from chaoskit.units import Duration

DEBIAN = f"""{HAPROXY_CFG}
frontend chat
  bind 127.0.0.1:8080,127.0.0.1:8090 # two
  use_backend slow if {{ path_beg /v1/deep }}
  default_backend models
backend models
  server one model-1:8000 check
  server two model-2:8000
backend slow
  timeout server 10m
  retries 1
  retry-on all-retryable-errors
  option http-no-delay
  server one "model-1":8000
"""
NAMED = """
defaults a
  mode http
  timeout connect 1s
  timeout client 2s
  timeout http-request 3s
defaults b from a
  timeout server 9s
listen plain from a
  bind :80
  server m model:8000
listen tunnel from b
  mode tcp
  bind :81
  timeout tunnel 1h
  server m model:8000
"""


def read(*texts: str) -> Reading:
    """What these files say."""
    files = {f"{number}.cfg": text for number, text in enumerate(texts)}
    return haproxy.read(tuple(files), Texts(files))


def values(route: Route) -> dict[str, str]:
    """The timers of a route, by name."""
    return {each.name: str(each.value) for each in route.timers}


@pytest.mark.parametrize(
    "text",
    [
        DEBIAN.replace("\tchroot", "#").replace("model-1", "127.0.0.1").replace("model-2", "127.0.0.1"),
        NAMED.replace("model:", "127.0.0.1:"),
    ],
)
def test_the_files_here_are_haproxys(text: str, tmp_path: Path) -> None:
    """The real `haproxy -c` takes them."""
    paths = text.replace("stats socket", "# ").replace("/etc/haproxy/errors", f"{tmp_path}").replace("errorfile", "# ")
    paths = paths.replace("user haproxy", "# ").replace("group haproxy", "# ")

    assert haproxy_accepts(paths, tmp_path)


def test_debians_own_file_has_fifty_seconds() -> None:
    """Its `defaults` reach every section after them; numbers without a unit are milliseconds."""
    models = next(route for route in read(DEBIAN).routes if len(route.callees) == 2)

    assert values(models) == {"timeout connect": "5s", "timeout server": "50s"}
    assert models.ports == {8080, 8090}
    assert [(each.host, each.port) for each in models.callees] == [("model-1", 8000), ("model-2", 8000)]
    assert (models.retries.attempts("connect"), models.retries.attempts("idle")) == (4, 1)
    assert [str(each.value) for each in read(DEBIAN).own] == ["50s", "50s", "50s"]


def test_a_backend_has_its_own_timers_before_those_of_defaults() -> None:
    """Of `slow`, whose retries wait for late servers too, and which is in no hurry to merge."""
    slow = next(route for route in read(DEBIAN).routes if len(route.callees) == 1)

    assert values(slow) == {"timeout connect": "5s", "timeout server": "10min"}
    assert slow.retries.attempts("idle") == 2
    assert slow.holds == ()
    assert slow.callees[0].host == "model-1"


def test_small_pieces_are_merged_unless_it_is_switched_off() -> None:
    """`option http-no-delay` of either side; `no option` takes it back."""
    models = next(route for route in read(DEBIAN).routes if len(route.callees) == 2)
    both = DEBIAN.replace("default_backend", "option http-no-delay\n  default_backend")

    assert "200 ms" in models.holds[0].sentence
    assert all(not route.holds for route in read(both).routes)
    assert any(route.holds for route in read(both.replace("option http-no-delay", "no option http-no-delay")).routes)


def test_what_is_not_written_never_runs_out() -> None:
    """`plain` has no server timeout, and the place is its section."""
    plain, tunnel = read(NAMED).routes

    server = next(each for each in plain.timers if each.name == "timeout server")
    assert server.value is None
    assert server.mend(Duration.parse("1min")) == "write timeout server 60s in the listen section of 0.cfg:9"
    assert values(tunnel) == {"timeout connect": "1s", "timeout tunnel": "1h"}


def test_http_request_stands_in_for_keep_alive() -> None:
    """As the manual says of timeout http-keep-alive."""
    kinds = {each.kind: each.name for each in read(NAMED).own}

    assert kinds == {"send": "timeout client", "request": "timeout http-request", "keep-alive": "timeout http-request"}


def test_several_files_are_one_configuration() -> None:
    """`defaults` of one file reach the sections of the next."""
    front = "frontend f\n bind :80\n default_backend m\nbackend m\n server s model:8000\n"

    (route,) = read(HAPROXY_CFG, front).routes

    assert values(route)["timeout server"] == "50s"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("global\n daemon\n", "no frontend"),
        ("frontend f\n timeout client soon\n", "'soon' is no duration"),
        ("listen f\n bind :80\n retries many\n server s m:1\n", "'many' is no number of retries"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, says: str) -> None:
    """Another kind of file, and broken values."""
    with pytest.raises(SpecError, match=says):
        read(text)
