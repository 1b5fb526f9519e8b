"""Each pattern of timers that contradict each other: a file that has it, and one that has not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from proxy_programs import HAPROXY_CFG, caddy_accepts, haproxy_accepts, nginx_accepts

from chaoskit.planning.timer_check import HostOfLab, TimerCheck, check_timers
from chaoskit.spec.hosts import ServiceHost
from chaoskit.spec.objectives import parse
from chaoskit.spec.server import Server
from chaoskit.spec.workload import Workload
from chaoskit.timeouts.files import Texts
from chaoskit.units import Duration

PATIENT = {"connect": "5s", "first-token": "10min", "idle": "10min"}
NGINX = """http {
  server {
    listen 8080;
    location / {
      proxy_pass http://model:8000;
      proxy_buffering off;
    }
  }
}
"""
HAPROXY = """defaults
  mode http
  option http-no-delay
  timeout connect 5s
  timeout client 50s
  timeout server 50s
frontend chat
  bind :8080
  default_backend models
backend models
  server one model:8000
"""
ENVOY = """static_resources:
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - typed_config:
          "@type": v3.HttpConnectionManager
          route_config:
            virtual_hosts:
            - routes:
              - match: {prefix: /}
                route:
                  cluster: model
  clusters:
  - name: model
    load_assignment:
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: model, port_value: 8000}}}}]}]
"""
CADDY = """:8080 {
  reverse_proxy model:8000 {
    transport http {
      read_timeout 5m
      keepalive off
    }
  }
}
"""
RUN = {
    "nginx.conf": ("nginx", "-p", ".", "-c", "nginx.conf"),
    "haproxy.cfg": ("haproxy", "-f", "haproxy.cfg"),
    "envoy.yaml": ("envoy", "-c", "envoy.yaml"),
    "Caddyfile": ("caddy", "run", "--config", "Caddyfile"),
}


def check(
    name: str,
    text: str,
    server: dict[str, Any] | None = None,
    timeouts: dict[str, str] | None = None,
    tokens: int = 100,
    objectives: tuple[str, ...] = (),
    **others: dict[str, Any],
) -> TimerCheck:
    """A gateway with this file in front of the reference server; `others` are more hosts, or keys of the gateway."""
    workload = Workload.model_validate(
        {"max-concurrency": 2, "output-tokens": tokens, "timeouts": PATIENT | (timeouts or {})}
    )
    keys: dict[str, dict[str, Any]] = {"gateway": {"run": RUN.get(name, ("my-gateway",))}, "model": {"reference": True}}
    for host, given in others.items():
        keys[host] = keys.get(host, {}) | given
    hosts = [
        HostOfLab(
            host,
            (host,) if host != "model" else ("model", "model-1", "model-2"),
            ServiceHost.model_validate(given),
            Server.model_validate(server or {}) if "reference" in given else None,
        )
        for host, given in keys.items()
    ]
    files = dict.fromkeys(keys, Texts({name: text}))
    return check_timers(hosts, "http://gateway:8080/v1/chat", workload, list(map(parse, objectives)), files)


def said(found: TimerCheck) -> list[str]:
    """All findings."""
    return [*found.warnings, *found.advice]


@pytest.mark.parametrize(("name", "text"), [("nginx.conf", NGINX), ("haproxy.cfg", HAPROXY), ("Caddyfile", CADDY)])
def test_nothing_is_said_of_timers_that_fit(name: str, text: str) -> None:
    """A quick model behind proxies with patience, and a client with more."""
    assert said(check(name, text)) == []


def test_a_thinking_model_and_an_idle_timer() -> None:
    """nginx's untouched 60 s against a silence of 65 s: within a stream, and before its first token."""
    thinking = {"pause": {"after": 20, "for": "65s"}}
    before = {"pause": {"after": 0, "for": "65s"}}
    mended = NGINX.replace("off;", "off; proxy_read_timeout 100s;")

    assert said(check("nginx.conf", NGINX, thinking)) == [
        "gateway gives up a silent answer after 60s (nginx's default proxy_read_timeout), and model is silent for "
        "65.02s (a pause of 65s); write proxy_read_timeout 100s; in the location of nginx.conf:4"
    ]
    rare = {"pause": {"after": 20, "for": "65s", "share": "2%"}}
    assert "65.02s (a pause of 65s in 2% of the responses)" in said(check("nginx.conf", NGINX, rare))[0]
    assert "the first token of model takes 65.4s" in said(check("nginx.conf", NGINX, before))[0]
    assert said(check("nginx.conf", mended, thinking)) == []


def test_a_long_answer_and_a_timer_of_the_whole() -> None:
    """Envoy's 15 s against a healthy answer of twenty; it is compared with tokens, pace and pauses."""
    mended = ENVOY.replace("cluster: model", "timeout: 35s\n                  cluster: model")

    (found,) = check("envoy.yaml", ENVOY, tokens=1000).warnings

    assert found == (
        "gateway cuts an answer after 15s (Envoy's default timeout), and an answer of model takes 20.38s "
        "(first-token p99 400ms, then 999 tokens at 20ms each); write timeout: 35s in the route of envoy.yaml:12"
    )
    assert said(check("envoy.yaml", mended, tokens=1000)) == []
    assert said(check("envoy.yaml", ENVOY, tokens=700)) == []
    assert said(check("envoy.yaml", ENVOY, {"pause": {"after": 9, "for": "2s"}}, tokens=700)) != []


def test_an_unknown_model_is_taken_to_be_as_slow_as_people_read() -> None:
    """Of it only the whole answer is guessed, and that is said."""
    hosts = [
        HostOfLab("gateway", ("gateway",), ServiceHost(run=RUN["envoy.yaml"]), None),
        HostOfLab("model", ("model",), ServiceHost(run=("my-model",)), None),
    ]
    workload = Workload.model_validate({"max-concurrency": 1, "output-tokens": 1000, "timeouts": PATIENT})

    found = check_timers(
        hosts, "http://gateway:8080", workload, (), dict.fromkeys(("gateway", "model"), Texts({"envoy.yaml": ENVOY}))
    )

    assert (
        "takes about 51s (1000 tokens at 20 tokens/s, as is taken of a server that is not known)" in found.warnings[0]
    )


def test_an_inner_wait_longer_than_the_outer_one() -> None:
    """The proxy still waits when the client has long gone: an advice, with the inner or the outer line to write."""
    found = check("haproxy.cfg", HAPROXY, timeouts={"first-token": "30s"})
    slow = check("haproxy.cfg", HAPROXY, {"pause": {"after": 0, "for": "28s"}}, {"first-token": "30s"})

    assert found.advice == (
        "gateway waits 50s for model (timeout server in haproxy.cfg:6), but client waits 30s for gateway "
        "(first-token in workload.timeouts): what comes later comes to nobody; write timeout server 24s in "
        "haproxy.cfg:6",
    )
    assert slow.advice[0].endswith("; write first-token: 75s in workload.timeouts")
    assert said(check("haproxy.cfg", HAPROXY, timeouts={"first-token": "55s"})) == []


def test_a_default_of_the_probe_is_not_held_against_a_proxy() -> None:
    """Its 65 s are longer than usual proxies have; before a more patient one it is the client's timer to extend."""
    workload = Workload.model_validate({"max-concurrency": 2}).at_target()
    hosts = [
        HostOfLab("gateway", ("gateway",), ServiceHost(run=RUN["haproxy.cfg"]), None),
        HostOfLab("model", ("model",), ServiceHost(reference=True), Server()),
    ]
    files = {"haproxy.cfg": HAPROXY}

    usual, patient = (
        check_timers(hosts, "http://gateway:8080/", workload, (), dict.fromkeys(("gateway", "model"), Texts(each)))
        for each in (files, {"haproxy.cfg": HAPROXY.replace("server 50s", "server 90s")})
    )

    assert (usual.warnings, usual.advice) == ((), ())
    assert patient.warnings == ()
    assert patient.advice[0].endswith("; write first-token: 140s in workload.timeouts")
    assert "but client waits 65s for gateway (chaoskit's default first-token)" in patient.advice[0]


def test_both_wait_equally_long() -> None:
    """60 s against 60 s: chance says who ends it."""
    equal = {"first-token": "60s"}

    (found,) = check("nginx.conf", NGINX, timeouts=equal).warnings

    assert "client and gateway both wait 60s" in found
    assert found.endswith("write proxy_read_timeout 48s; in the location of nginx.conf:4")
    assert said(check("nginx.conf", NGINX.replace("off;", "off; proxy_read_timeout 48s;"), timeouts=equal)) == []


def test_attempts_multiply() -> None:
    """HAProxy connects four times for 5 s, and the client waits for 20 s; with retry-on late answers count."""
    short = {"first-token": "20s"}
    late = HAPROXY.replace("backend models\n", "backend models\n  retry-on all-retryable-errors\n").replace("50s", "6s")

    connecting = check("haproxy.cfg", HAPROXY.replace("server 50s", "server 15s"), timeouts=short)

    assert connecting.warnings == (
        "gateway tries model 4 times 5s (timeout connect in haproxy.cfg:4, default retries), 20s in all, but client "
        "waits 20s for gateway (first-token in workload.timeouts): the last tries come to nobody; write timeout "
        "connect 4s in haproxy.cfg:4",
    )
    assert "4 times 6s (timeout server in haproxy.cfg:6" in check("haproxy.cfg", late, timeouts=short).warnings[0]
    assert check("haproxy.cfg", HAPROXY.replace("connect 5s", "connect 4s"), timeouts=short).warnings == ()


def test_attempts_that_the_same_proxy_has_no_time_for() -> None:
    """Envoy's limit of the whole call ends its retries too."""
    policy = "retry_policy: {retry_on: 5xx, num_retries: 3, per_try_timeout: 8s}"
    text = ENVOY.replace("cluster: model", f"cluster: model\n                  {policy}")

    (found,) = check("envoy.yaml", text).warnings

    assert "tries model 4 times 8s" in found
    assert "32s in all, but ends the call after 15s (Envoy's default timeout): the last tries never happen" in found
    assert found.endswith("write per_try_timeout: 3s in envoy.yaml:14")
    assert check("envoy.yaml", text.replace("8s", "3s")).warnings == ()


def test_stages_in_turn_against_one_budget() -> None:
    """Retrieval, tools and the model each fit into the client's ten seconds, and not together."""
    calls = {"vectors": {"total": "4s"}, "model": {"first-byte": "8s"}}
    vectors, gateway = {"run": "my-vectors"}, {"calls": calls}

    (found,) = check("", "", timeouts={"first-token": "10s"}, gateway=gateway, vectors=vectors).warnings

    assert "gateway calls vectors (4s) and model (8s) in turn, up to 12s in all, but client waits 10s" in found
    assert "write first-byte: 4s in stage.hosts.gateway.calls.model" in found
    assert check("", "", timeouts={"first-token": "15s"}, gateway=gateway, vectors=vectors).warnings == ()
    objective = check("", "", objectives=("ttft_p95 < 9s",), gateway=gateway, vectors=vectors).warnings
    assert "but the objective is ttft_p95 < 9s: each fits" in objective[0]


def test_a_budget_of_the_whole_and_timers_that_begin_again() -> None:
    """Fifty seconds from token to token are no bound of an answer; one timer of the whole is."""
    (found,) = check("haproxy.cfg", HAPROXY, objectives=("e2el_p95 < 30s",)).advice

    assert found == (
        "the objective is e2el_p95 < 30s, and no timer is of a whole answer: 50s (timeout server in haproxy.cfg:6) "
        "begin again with each token; write stream: 30s in workload.timeouts"
    )
    bounded = said(check("haproxy.cfg", HAPROXY, timeouts={"stream": "30s"}, objectives=("e2el_p95 < 30s",)))
    assert not any("begin again" in each for each in bounded)
    assert said(check("haproxy.cfg", HAPROXY, objectives=("ttft_p95 < 3s",))) == []


def test_no_timer_at_all() -> None:
    """HAProxy without `timeout server` waits for ever, and warns of it itself; of Caddy it is an advice."""
    unlimited = HAPROXY.replace("  timeout server 50s\n", "").replace("  timeout client 50s\n", "")

    found = check("haproxy.cfg", unlimited)
    caddy = check("Caddyfile", CADDY.replace("      read_timeout 5m\n", ""))

    assert found.warnings == (
        "nothing ends gateway's call of model when that hangs (no timeout server in the backend section of "
        "haproxy.cfg:8); write timeout server 60s in the backend section of haproxy.cfg:8",
        "gateway has no timeout client, so that it waits without end; write timeout client 60s in the frontend section "
        "of haproxy.cfg:5",
    )
    assert caddy.warnings == ()
    assert caddy.advice == (
        "nothing ends gateway's call of model when that hangs (no read_timeout in the transport block of Caddyfile:3); "
        "write read_timeout 60s in the transport block of Caddyfile:3",
    )


def test_tokens_that_are_held_back() -> None:
    """nginx's buffers before HTTP/1.0, HAProxy's merging: each with the line that ends it."""
    buffers = check("nginx.conf", NGINX.replace("      proxy_buffering off;\n", ""))
    chunks = check("nginx.conf", NGINX.replace("proxy_buffering off", "proxy_http_version 1.1"))
    merges = check("haproxy.cfg", HAPROXY.replace("  option http-no-delay\n", ""))

    assert buffers.warnings == (
        "gateway buffers (nginx's default proxy_buffering) and asks by HTTP/1.0, as nginx before 1.29.7 does: without "
        "chunks tokens wait for a full buffer; write proxy_buffering off; in the location of nginx.conf:4",
    )
    assert (chunks.warnings, len(chunks.advice)) == ((), 1)
    assert merges.warnings[0].endswith("write option http-no-delay in the frontend section of haproxy.cfg:6")


def test_a_connection_that_is_reused_while_it_is_closed() -> None:
    """The race behind many a 502: nginx reuses for 60 s what uvicorn closes after 5 s."""
    text = NGINX.replace("http {\n", "http {\n  upstream models { server model:8000; keepalive 8; }\n")
    text = text.replace("model:8000;\n      proxy_b", "models;\n      proxy_b")
    uvicorn = {"run": ("uvicorn", "model:app"), "reference": None}

    (found,) = check("nginx.conf", text, model=uvicorn).warnings
    kept = check("nginx.conf", text, model={**uvicorn, "run": ("uvicorn", "model:app", "--timeout-keep-alive", "75")})

    assert "for up to 60s (nginx's default keepalive_timeout), and model closes it after 5s" in found
    assert found.endswith("write keepalive_timeout 2s; in the upstream of nginx.conf:2")
    assert kept.warnings == ()


def test_a_host_that_the_lab_does_not_have() -> None:
    """There is no Internet inside."""
    (found,) = check("nginx.conf", NGINX.replace("model:8000", "api.example.com")).warnings

    assert found == "gateway calls api.example.com (nginx.conf:5), and no host of this lab has that name; add the host"


def test_replicas_are_one_host() -> None:
    """model-1 and model-2 are replicas of model, and are told of once."""
    text = NGINX.replace("http {\n", "http {\n  upstream models { server model-1:8000; server model-2:8000; }\n")
    text = text.replace("http://model:8000", "http://models")

    found = check("nginx.conf", text, {"pause": {"after": 20, "for": "65s"}})

    assert len(said(found)) == 1
    assert {(row.host, row.callee) for row in found.rows} == {
        ("client", "gateway"),
        ("gateway", "model"),
        ("gateway", None),
    }


def test_two_proxies_in_a_row() -> None:
    """What the inner proxy waits for is compared with the outer one's wait, not with the client's."""
    inner = {"run": ("nginx", "-p", "."), "calls": ["model"]}
    text = HAPROXY.replace("model:8000", "inner:80")

    found = check("haproxy.cfg", text, inner=inner)

    assert any(
        "inner waits 60s for model (nginx's default proxy_read_timeout), but gateway waits 50s for inner" in each
        for each in found.advice
    )


def test_a_circle_of_calls_ends() -> None:
    """Two hosts that call each other are followed once."""
    found = check("", "", gateway={"calls": ["model"]}, model={"reference": None, "run": "x", "calls": ["gateway"]})

    assert {(row.host, row.callee) for row in found.rows} == {("client", "gateway")}


def test_timers_of_the_file_replace_those_that_are_read() -> None:
    """`timers` is what the author knows better; its place is the path of the key."""
    found = check("nginx.conf", NGINX, gateway={"timers": {"idle": "7s", "keep-alive": "3s", "buffering": "true"}})

    rows = {(row.callee, row.kind): (str(Duration(row.value or 0)), row.source) for row in found.rows}
    assert rows["model", "idle"] == ("7s", "idle in stage.hosts.gateway.timers")
    assert rows["model", "connect"] == ("60s", "nginx's default proxy_connect_timeout")
    assert rows[None, "keep-alive"] == ("3s", "keep-alive in stage.hosts.gateway.timers")
    assert found.warnings == (
        "gateway buffers responses (buffering in stage.hosts.gateway.timers); write buffering: false in "
        "stage.hosts.gateway.timers",
    )


def test_a_file_that_cannot_be_read_is_a_warning() -> None:
    """It names the host, and the plan goes on."""
    (found,) = check("nginx.conf", "http {").warnings

    assert found == "gateway: the timers of nginx are not read: nginx.conf:1: ends within a directive or a block"


def lines_of(found: TimerCheck) -> list[str]:
    """What the findings say to write."""
    return [re.split("; write ", each)[-1].rpartition(" in ")[0].partition(" in the ")[0] for each in said(found)]


def test_what_is_advised_is_what_the_programs_take(tmp_path: Path) -> None:
    """Each line to write, at its place, is accepted by the real nginx, HAProxy and Caddy."""
    thinking = {"pause": {"after": 20, "for": "65s"}}
    plain = NGINX.replace("      proxy_buffering off;\n", "")
    nginx = lines_of(check("nginx.conf", plain, thinking))
    haproxy = lines_of(check("haproxy.cfg", HAPROXY.replace("  option http-no-delay\n", ""), thinking))
    caddy = lines_of(check("Caddyfile", CADDY.replace("read_timeout 5m", ""), thinking))
    location = " ".join(nginx)

    assert sorted(nginx) == ["proxy_buffering off;", "proxy_read_timeout 100s;"]
    assert nginx_accepts(
        f"server {{ listen 127.0.0.1:9; location / {{ proxy_pass http://127.0.0.1:8; {location} }} }}", tmp_path
    )
    assert sorted(haproxy) == ["option http-no-delay", "timeout server 100s"]
    assert haproxy_accepts("listen a\n mode http\n bind 127.0.0.1:9\n" + "\n".join([*haproxy, ""]), tmp_path)
    assert caddy == ["read_timeout 100s"]
    assert caddy_accepts(CADDY.replace("read_timeout 5m", caddy[0]), tmp_path)


def test_debians_haproxy_in_front_of_a_thinking_model() -> None:
    """Its own file, untouched: 50 s."""
    text = f"{HAPROXY_CFG}\nlisten all\n  bind :8080\n  server one model:8000\n"

    (found, _) = check("haproxy.cfg", text, {"pause": {"after": 1, "for": "55s"}}).warnings

    assert "after 50s (timeout server in haproxy.cfg:27)" in found
