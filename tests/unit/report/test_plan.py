"""A plan on a terminal: every change before it is made."""

from __future__ import annotations

import io

import pytest
from made_runs import plan as in_a_lab
from rich.console import Console

from chaoskit.host_lookups import HostLookups
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.report.plan import render
from chaoskit.spec.load import parse

FILE = """\
name: real
question: How much?
stage: {{target: "https://api.example.com/v1", model: gpt, key-env: MY_KEY{stage}}}
workload: {{request-rate: 10/s, output-tokens: 5}}
faults:
  lossy: {{direction: {direction}, netem: {{delay: 30ms, loss: 1%}}}}
timeline: [{{baseline: 10s}}, {{{phase}: 10s}}]
"""
GROUND = HostLookups("eth0", addresses={"api.example.com": ("192.0.2.7", "2001:db8::7")})


def shown(plan: Plan) -> str:
    """The screen's lines, wide enough for all."""
    file = io.StringIO()
    render(plan, Console(file=file, width=400))
    return file.getvalue()


def on_interface(stage: str = "", direction: str = "both", phase: str = "lossy", classifier: str = "flower") -> str:
    """What is shown of an experiment on eth0."""
    text = FILE.format(stage=stage, direction=direction, phase=phase)
    return shown(compile_plan(parse(text, "x.yaml"), GROUND, classifier))


def test_the_matched_traffic_is_shown() -> None:
    """Addresses, each filter, the lease, and the name of the key's environment variable."""
    lines = [line.strip() for line in on_interface().splitlines()]

    for line in (
        "api.example.com is 192.0.2.7, 2001:db8::7",
        "ifb chaos-down",
        "qdisc chaos-down: netem, limit 3715",
        "clsact eth0",
        "filter eth0 egress 51717: ip tcp to 192.0.2.7/32 port 443, through chaos-up",
        "filter eth0 ingress 51717: ip tcp from 192.0.2.7/32 port 443, through chaos-down",
        "filter eth0 ingress 51720: ipv6 tcp from 2001:db8::7/128 fragments of any port, through chaos-down",
    ):
        assert line in lines
    text = "\n".join(lines)
    assert "The interface eth0 (15 changes, all put back: at the latest 30 s after the run's last sign of life" in text
    assert "https://api.example.com/v1 for gpt, with the key in MY_KEY: openai-chat" in text
    assert "down: delay 30ms loss 1%" in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"stage": ", everything: true"}, "filter eth0 ingress 51717: everything, through chaos-down"),
        ({"stage": ", protocol: icmp, to: '10.0.0.0/8'"}, "51717: ip icmp from 10.0.0.0/8, through chaos-down"),
        ({"stage": ", local-port: 8000", "direction": "up"}, "51717: ip tcp from port 8000, through chaos-up"),
        (
            {"stage": ", ip: '4'", "classifier": "u32"},
            "filter eth0 ingress 51973 to 51997: u32 on bytes of the headers",
        ),
        ({"stage": ", ip: '4'", "classifier": "u32"}, "matches IPv4 tcp with 192.0.2.7/32 at port 443"),
        ({"stage": ", local-port: 8000"}, "matches everything with any host, at our port 8000"),
        ({"phase": "warm-up"}, "The interface eth0 (nothing on it is changed)"),
        ({}, "warning stage: fragments show no ports"),
        ({}, "warning stage: with GSO a real interface sends up to 64 kB as one packet"),
    ],
)
def test_every_kind_of_match_is_shown(options: dict[str, str], line: str) -> None:
    """A whole interface, protocols, ports, kernels without flower, nothing at all; with their warnings."""
    assert line in on_interface(**options)


def test_changes_of_phases_alone_are_shown() -> None:
    """An interface without changes at the start is still changed by its phases."""
    text = FILE.format(stage="", direction="up", phase="lossy").replace(
        "{direction: up, netem: {delay: 30ms, loss: 1%}}", "{mss-clamp: 1360}"
    )

    told = shown(compile_plan(parse(text, "x.yaml"), GROUND))

    assert "The interface eth0 (changed by its phases alone, all put back: at the latest 30 s after" in told
    assert "handshakes: mss at most 1360" in told
    assert "matches tcp with 192.0.2.7/32 at port 443" in told


def test_a_lab_is_shown() -> None:
    """Its changes are in namespaces of its own."""
    text = shown(in_a_lab())

    assert "The lab (" in text
    assert "client-router down: delay 30ms loss 10%" in text


def test_remedies_are_shown() -> None:
    """Parameters, routes with their sizes, socket options, and TLS."""
    text = """\
name: tuned
question: Does it help?
stage: {lab: edge, tls: true}
workload: {request-rate: 10/s, output-tokens: 5}
client: {sysctl: {net.ipv4.tcp_mtu_probing: 1}, route-mtu: 1400, congestion-control: bbr}
server: {maxseg: 1360}
timeline: [{baseline: 10s}]
"""
    lines = [line.strip() for line in shown(compile_plan(parse(text, "x.yaml"))).splitlines()]

    for line in (
        "client: sysctl net.ipv4.tcp_mtu_probing value=1",
        "client: sysctl net.ipv4.tcp_congestion_control value=bbr",
        "client: route 0.0.0.0/0 via=10.1.0.254 mtu=1400",
        "server: maxseg 1360, on each of its sockets",
        "Sends   openai-chat over HTTP/1.1 and TLS, 10/s open loop (about 107 streams), 1kB prompts, 5 tokens",
    ):
        assert line in lines
    assert not any(line.startswith("client: maxseg") for line in lines)


def test_sockets_on_a_real_interface_are_shown() -> None:
    """Only the probe's own sockets are tuned."""
    text = FILE.format(stage="", direction="down", phase="warm-up")
    text += "client: {maxseg: 1360, congestion-control: bbr}\n"

    assert "client: maxseg 1360 and congestion-control bbr, on each of its sockets" in shown(
        compile_plan(parse(text, "x.yaml"), GROUND)
    )


SERVICE = """\
name: chain
question: How slow?
stage:
  lab: service
  hosts: {gateway: {run: gateway, ready: 8080, sysctl: {net.ipv4.tcp_ecn: 1}}, model: {reference: true}}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 10/s, output-tokens: 5}
faults:
  slow: {between: [gateway, model], direction: to-gateway, netem: {delay: 80ms}}
  hang: {host: model, process: paused}
timeline: [{baseline: 10s}, {slow: 10s}, {hang: 10s}]
"""


def test_what_every_lab_is_made_of_is_folded() -> None:
    """What this file adds is listed; `is_whole` lists all. The count is that of all."""
    found = compile_plan(parse(SERVICE, "chain.yaml"))
    file = io.StringIO()
    render(found, Console(file=file, width=400), is_whole=True)
    folded, whole = shown(found), file.getvalue()

    for text in (folded, whole):
        assert f"The lab ({len(found.stage)} changes" in text
        assert "gateway: sysctl net.ipv4.tcp_ecn value=1" in text
        assert "fabric: clsact to-gateway" in text
    assert "namespace fabric" in whole
    assert "--all" not in whole
    assert "namespace fabric" not in folded
    assert "links, addresses and routes, as in every lab (--all lists them)" in folded


def test_the_state_of_a_program_is_shown() -> None:
    """What it does in the phase, not the kind of the change."""
    assert "the program of model: paused" in shown(compile_plan(parse(SERVICE, "chain.yaml")))


LOADED = """\
name: loaded
question: Who is let in?
stage:
  lab: service
  hosts:
    gateway:
      gateway:
        workflows: {chat: [{retrieve: {k: 8}}, generate], short: [generate]}
        admission: ADMISSION
        degradation: {hold: 10s, steps: [{breadth: 25%, at: 0.6, release: 0.2}, {max-tokens: 20, at: 2, release: 1}]}
    vectors: {retrieval: {}}
    model: {reference: {engine: {profile: llama-3-8b-a100}}}
  target: http://gateway:8000/v1/chat/completions
classes:
  premium: {share: 20%, priority: 2}
  batch: {share: 80%, priority: 0, budget: 8, sent-as: flex}
workload: {request-rate: 5/s, carry: {class: service_tier}}
timeline: [{baseline: 10s}]
"""


@pytest.mark.parametrize(
    ("admission", "told"),
    [
        (
            "{policy: shed, max-in-flight: 8, max-queue: 20, ttl: 5s}",
            "admits by shed: room while fewer than 8 run; at most 20 wait, for 5s; batch shed from saturation 0.6 on",
        ),
        ("{policy: priority}", "admits by priority: room while the model's saturation is below 1; at most 1000 wait"),
        ("{policy: gradient, limiter: {name: envoy}}", "admits by gradient: envoy, by whole answers, 3 to 200 at a ti"),
        ("{}", ""),
    ],
)
def test_who_is_let_in_is_shown(admission: str, told: str) -> None:
    """Classes with their shares; of a gateway its workflows, its admission and its ladder."""
    text = shown(compile_plan(parse(LOADED.replace("ADMISSION", admission), "x.yaml")))
    lines = [line.strip() for line in text.splitlines()]

    assert "20% premium, priority 2" in lines
    assert "80% batch, priority 0, at most 8 at a time, sent as flex" in lines
    assert "Classes  service_tier" in lines
    assert "chat: retrieve from vectors, generate at model" in lines
    assert "short: generate at model" in lines
    steps = "breadth 25% at 0.6 (release 0.2), max-tokens 20 at 2 (release 1); hold 10s"
    assert f"degrades by saturation: {steps}" in lines
    assert [line for line in lines if line.startswith("admits")] == [line for line in lines if told and told in line]
