"""Whom a run's probe asks, and with which sockets; what a command in a lab is told."""

from __future__ import annotations

import pytest

from chaoskit.conduct.lab_client import addresses, trust
from chaoskit.conduct.lab_hosts import root
from chaoskit.conduct.probes import target_of
from chaoskit.conduct.span_receiver import trace_seed
from chaoskit.host_lookups import HostLookups
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.model import Plan
from chaoskit.probe.target import SocketOptions
from chaoskit.server import certificates
from chaoskit.spec.load import parse
from chaoskit.spec.server import Server
from chaoskit.spec.telemetry import Telemetry

FILE = """\
name: tuned
question: Does it help?
stage: {stage}
workload: {{request-rate: 2/s}}
client: {{maxseg: 1360, congestion-control: bbr}}
timeline: [{{baseline: 2s}}]
"""


def plan(stage: str) -> Plan:
    """The plan of an experiment with a client that is tuned, on this stage."""
    ground = HostLookups("eth0", addresses={"api.example.com": ("192.0.2.7",)})
    return compile_plan(parse(FILE.format(stage=stage), "x.yaml"), ground)


def test_in_a_lab_the_algorithm_is_the_hosts() -> None:
    """The sockets have the MSS alone, and the lab's root is trusted where the server speaks TLS."""
    plain, secure = (target_of(plan(stage)) for stage in ("{lab: edge}", "{lab: edge, tls: true}"))

    assert plain.sockets == secure.sockets == SocketOptions(maxseg=1360)
    assert (plain.ca_file, secure.ca_file) == (None, certificates.ROOT)
    assert (plain.url, secure.url) == ("http://10.2.0.1:8000", "https://10.2.0.1:8000")


def test_on_a_real_interface_the_sockets_have_both() -> None:
    """And nobody is trusted beyond the usual authorities."""
    target = target_of(plan("{target: https://api.example.com, model: m}"))

    assert target.sockets == SocketOptions(maxseg=1360, congestion_control="bbr")
    assert (target.model, target.addresses, target.ca_file) == ("m", ("192.0.2.7",), None)


def test_requests_name_traces_in_a_service_lab() -> None:
    """And in the edge lab, where a program or an engine may have spans; those of other labs have the bytes they had."""
    service = "{{lab: service, hosts: {{model: {}}}, target: 'http://model:8000'}}"
    program, engine = (
        plan(service.format(words)) for words in ("{run: ./model}", "{reference: {engine: {profile: llama-3-8b-a100}}}")
    )

    edge = plan("{lab: edge}")
    queueing = edge.model_copy(update={"server": Server.model_validate({"engine": "llama-3-8b-a100"})})

    assert trace_seed(edge, 1) is None
    assert trace_seed(queueing, 1) == 0
    assert trace_seed(plan(service.format("{reference: true}")), 1) is None
    assert trace_seed(program, 1) == trace_seed(program, 2) == trace_seed(engine, 1) == 0


def test_requests_to_a_target_name_traces_where_spans_are_received() -> None:
    """Others in every run: what collects the spans of its programs outlives the run."""
    real = plan("{target: https://api.example.com, model: m}")
    listening = real.model_copy(update={"telemetry": Telemetry()})

    assert trace_seed(real, 1) is None
    assert trace_seed(listening, 1) not in (None, trace_seed(listening, 2))


@pytest.mark.parametrize("tls", ["false", "true"])
def test_a_command_is_told_where_the_server_is_and_whom_to_trust(tls: str) -> None:
    """By the variables that clients look at; nothing about certificates where none are shown."""
    compiled = plan(f"{{lab: edge, ip: 6, tls: {tls}}}")
    scheme, file = ("https", str(certificates.ROOT)) if tls == "true" else ("http", None)

    told = addresses(compiled.target) | trust(root(compiled.target))

    assert told["OPENAI_BASE_URL"] == f"{scheme}://[fd02::1]:8000/v1"
    assert {told.get(name) for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")} == {file}
