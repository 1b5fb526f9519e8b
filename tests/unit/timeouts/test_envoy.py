"""Envoy: its famous defaults, routes and their policies, and clusters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from proxy_programs import envoy_accepts

from chaoskit.errors import SpecError
from chaoskit.timeouts import envoy
from chaoskit.timeouts.files import Texts
from chaoskit.timeouts.timers import Reading, Timer

BOOTSTRAP = """\
static_resources:
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: all
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /v1/}
                route:
                  timeout: 0s
                  idle_timeout: 90s
                  weighted_clusters: {clusters: [{name: model, weight: 1}]}
                  retry_policy: {retry_on: 5xx, per_try_timeout: 0.25s}
              - match: {prefix: /}
                route: {cluster: model}
  clusters:
  - name: model
    type: STRICT_DNS
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http_protocol_options: {}}
        common_http_protocol_options: {idle_timeout: 30s}
    load_assignment:
      cluster_name: model
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: model, port_value: 8000}}}}]}]
"""


def read(text: str) -> Reading:
    """What this file says."""
    return envoy.read("envoy.yaml", Texts({"envoy.yaml": text}))


def timers(reading: Reading, path: str) -> dict[str, Timer]:
    """Those of the route of this path, by kind."""
    (route,) = reading.serving(8080, path)
    return {each.kind: each for each in route.timers}


def test_the_file_here_and_what_is_advised_are_envoys(tmp_path: Path) -> None:
    """The real `envoy --mode validate` takes it, and a timer where the advice puts it."""
    assert envoy_accepts(BOOTSTRAP, tmp_path)

    total = timers(read(BOOTSTRAP), "/")["total"]
    line = int(total.place.rpartition(":")[2]) - 1
    lines = BOOTSTRAP.splitlines()
    lines[line] = lines[line].replace("}", f", {total.written.format(35)}}}")
    mended = "\n".join(lines)

    assert "timeout: 35s" in mended
    assert envoy_accepts(mended, tmp_path)
    assert str(timers(read(mended), "/")["total"].value) == "35s"
    assert not envoy_accepts(BOOTSTRAP.replace("timeout: 0s", "timeout: soon"), tmp_path)


def test_an_untouched_route_ends_after_fifteen_seconds() -> None:
    """Its defaults: 15 s for all, 5 min of silence, 5 s to connect; written where they would be written."""
    found = timers(read(BOOTSTRAP), "/")

    assert {kind: str(each.value) for kind, each in found.items()} == {
        "connect": "5s", "idle": "5min", "total": "15s", "reuse": "30s",
    }  # fmt: skip
    assert found["total"].source == "Envoy's default timeout"
    assert found["total"].place == "the route of envoy.yaml:25"
    assert found["reuse"].source == "idle_timeout in envoy.yaml:33"


def test_a_timer_of_zero_is_switched_off_and_a_route_has_its_own_idle_time() -> None:
    """`timeout: 0s` never runs out, and one retry follows from a policy that has no number."""
    found = timers(read(BOOTSTRAP), "/v1/chat")
    (route,) = read(BOOTSTRAP).serving(8080, "/v1/chat")

    assert found["total"].value is None
    assert (str(found["idle"].value), found["idle"].place) == ("90s", "envoy.yaml:21")
    assert str(found["first-byte"].value) == "250ms"
    assert (route.retries.count, route.retries.attempts("first-byte"), route.retries.is_default) == (1, 2, True)
    assert [(each.host, each.port, each.place) for each in route.callees] == [("model", 8000, "envoy.yaml:36")]


def test_json_in_camel_case_is_the_same() -> None:
    """Envoy takes both spellings of its keys, and JSON as well."""

    def camel(value: object) -> object:
        if isinstance(value, dict):
            words = {key: key.split("_") for key in value}
            return {
                key if "." in key else words[key][0] + "".join(map(str.capitalize, words[key][1:])): camel(each)
                for key, each in value.items()
            }
        return [camel(each) for each in value] if isinstance(value, list) else value

    text = json.dumps(camel(yaml.safe_load(BOOTSTRAP)))

    assert "portValue" in text
    for path in ("/", "/v1/"):
        found, same = timers(read(BOOTSTRAP), path), timers(read(text), path)
        assert {kind: each.value for kind, each in found.items()} == {kind: each.value for kind, each in same.items()}


def test_routes_that_are_elsewhere_are_told() -> None:
    """A route discovery service has them, not the file."""
    found = read(BOOTSTRAP.replace("route_config:", "rds_config:"))

    assert found.routes == ()
    assert found.remark == "envoy.yaml: its routes are not in the file"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "envoy.yaml:1: not YAML"),
        ("- a", "holds no keys"),
        ("admin: {}", "no static listener"),
        (BOOTSTRAP.replace("timeout: 0s", "timeout: soon"), "'soon' is no duration"),
        ("a: &a [*a]\nstatic_resources: *a", "no static listener"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, says: str) -> None:
    """Another kind of file, a broken value, a document that contains itself."""
    with pytest.raises(SpecError, match=says):
        read(text)
