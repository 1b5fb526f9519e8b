"""Reads the timers of Envoy: those of each route of its static configuration, and its defaults.

Defaults: https://www.envoyproxy.io/docs/envoy/latest/faq/configuration/timeouts (route 15 s, stream idle 5 min,
connection idle 1 h, connect 5 s) and the retry policy of config.route.v3 (1 retry where there is a policy). A timer of
0 s is switched off. What a route waits for ends with `timeout`, its retries included.
"""

from __future__ import annotations

from collections.abc import Iterator

from chaoskit.errors import SpecError
from chaoskit.timeouts import durations
from chaoskit.timeouts.files import Files
from chaoskit.timeouts.timers import Callee, Hold, Kind, Reading, Retries, Route, Timer
from chaoskit.timeouts.yaml_lines import Value, compose

PROGRAM = "Envoy"
_MANAGER = "HttpConnectionManager"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_HCM = "HTTP connection manager"
_EVENT_STREAM = "text/event-stream"


def read(path: str, files: Files) -> Reading:
    """The timers of this bootstrap file. Raises SpecError."""
    return of_document(compose(files.read(path), path))


def of_document(document: Value) -> Reading:
    """The timers of a bootstrap configuration. Raises SpecError."""
    resources = document["static_resources"]
    clusters = {each["name"].text: each for each in resources["clusters"]}
    managers = list(_managers(resources))
    if not managers:
        raise SpecError(f"{document.file}: has no static listener with an HTTP connection manager")
    routes = [route for port, manager in managers for route in _routes(manager, port, clusters)]
    remark = "" if routes else f"{document.file}: its routes are not in the file"
    return Reading(PROGRAM, tuple(_own(managers[0][1])), tuple(routes), remark=remark)


def _managers(resources: Value) -> Iterator[tuple[int | None, Value]]:
    """Every HTTP connection manager, with the port that it listens on."""
    for listener in resources["listeners"]:
        port = _number(listener["address.socket_address.port_value"])
        for chain in (*listener["filter_chains"], listener["default_filter_chain"]):
            for each in chain["filters"]:
                if each["typed_config.@type"].text.endswith(_MANAGER):
                    yield port, each["typed_config"]


def _number(value: Value) -> int | None:
    words = value.text
    return int(words) if words.isascii() and words.isdigit() and len(words) < 10 else None


def _timer(kind: Kind, noun: str, block: Value, key: str, default: str = "") -> Timer:
    """A timer of a block, which is called by a noun; `default` "" means that none is set."""
    found = block[key]
    name = key.rpartition(".")[2]
    value = durations.protobuf(found.text or default) if found.text or default else None
    is_kept = kind in ("reuse", "keep-alive")
    return Timer(
        kind=kind,
        value=value if value or is_kept else None,
        name=name,
        place=found.place if found.text else f"the {noun} of {block.place}",
        written=f"{name}: {{}}s",
        is_default=not found.text,
        program=PROGRAM,
    )


def _own(manager: Value) -> Iterator[Timer]:
    yield _timer("keep-alive", _HCM, manager, "common_http_protocol_options.idle_timeout", "3600s")
    yield _timer("request", _HCM, manager, "request_timeout")


def _routes(manager: Value, port: int | None, clusters: dict[str, Value]) -> Iterator[Route]:
    for host in manager["route_config.virtual_hosts"]:
        for entry in host["routes"]:
            action = entry["route"]
            if action.is_there:
                cluster = _cluster(action, clusters)
                policy = action["retry_policy"] if action["retry_policy"].is_there else host["retry_policy"]
                yield Route(
                    callees=tuple(_callees(cluster)),
                    timers=tuple(_timers(manager, action, policy, cluster)),
                    ports=frozenset() if port is None else frozenset({port}),
                    path=_path(entry["match"]),
                    retries=_retries(policy),
                    holds=tuple(_holds(manager)),
                )


def _path(match: Value) -> str:
    """The beginning of the paths that match."""
    for key in ("path", "prefix", "path_separated_prefix"):
        if match[key].text:
            return match[key].text
    return ""


def _cluster(action: Value, clusters: dict[str, Value]) -> Value:
    name = action["cluster"]
    if not name.text:
        name = next((each["name"] for each in action["weighted_clusters.clusters"]), name)
    return clusters.get(name.text, Value(action.file, None, name.line))


def _callees(cluster: Value) -> Iterator[Callee]:
    for group in cluster["load_assignment.endpoints"]:
        for each in group["lb_endpoints"]:
            address = each["endpoint.address.socket_address"]
            if address["address"].text:
                yield Callee(address["address"].text, _number(address["port_value"]), address["address"].place)


def _timers(manager: Value, action: Value, policy: Value, cluster: Value) -> Iterator[Timer]:
    yield _timer("connect", "cluster", cluster, "connect_timeout", "5s")
    if policy.is_there:
        if policy["per_try_timeout"].text:
            yield _timer("first-byte", "retry_policy", policy, "per_try_timeout")
        if policy["per_try_idle_timeout"].text:
            yield _timer("idle", "retry_policy", policy, "per_try_idle_timeout")
    if action["idle_timeout"].text:
        yield _timer("idle", "route", action, "idle_timeout")
    else:
        yield _timer("idle", _HCM, manager, "stream_idle_timeout", "300s")
    yield _timer("total", "route", action, "timeout", "15s")
    for noun, block, key in (
        ("route", action, "max_stream_duration.max_stream_duration"),
        (_HCM, manager, "common_http_protocol_options.max_stream_duration"),
    ):
        if block[key].text:
            yield _timer("total", noun, block, key)
    kinds = dict(cluster["typed_extension_protocol_options"].keys())
    options = kinds.get(_HTTP_OPTIONS, cluster)
    yield _timer("reuse", "cluster", options, "common_http_protocol_options.idle_timeout", "3600s")


def _retries(policy: Value) -> Retries:
    if not policy.is_there or not policy["retry_on"].text:
        return Retries(0)
    number = _number(policy["num_retries"])
    place = policy["num_retries"].place if number is not None else policy.place
    after: frozenset[Kind] = frozenset({"connect", "first-byte"})
    return Retries(1 if number is None else number, after, "num_retries", place, number is None)


def _holds(manager: Value) -> Iterator[Hold]:
    for each in manager["http_filters"]:
        config = each["typed_config"]
        if not config["@type"].text.endswith("Compressor"):
            continue
        types = config["response_direction_config.common_config.content_type"]
        types = types if types.is_there else config["content_type"]
        for one in types:
            if one.text == _EVENT_STREAM:
                sentence = f"compresses event streams ({one.place}): tokens wait for a full block"
                yield Hold(sentence, f"remove {_EVENT_STREAM} from {one.place}", False)
