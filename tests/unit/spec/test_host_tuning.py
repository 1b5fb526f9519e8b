"""Tests host tuning: every key loads, and every error is reported at its line."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from chaoskit.errors import SpecError
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.json_schema import experiment_schema
from chaoskit.spec.load import parse

LAB = """\
name: tuned
question: Does it help?
stage: {lab: edge, ip: 4}
workload: {request-rate: 2/s}
client:
  sysctl: {net.ipv4.tcp_mtu_probing: 1, net.ipv4.tcp_base_mss: 1024}
  route-mtu: 1400
  advmss: 1360
  maxseg: 1360
  congestion-control: bbr
server:
  token-interval: 5ms
  sysctl: {net.ipv4.tcp_slow_start_after_idle: 0}
  route-mtu: 1300
timeline: [{baseline: 2s}]
"""
REAL = LAB.replace("{lab: edge, ip: 4}", "{target: https://api.example.com}").partition("server:")[0]
REAL += "timeline: [{baseline: 2s}]\n"
SYSCTL = "  sysctl: {net.ipv4.tcp_mtu_probing: 1, net.ipv4.tcp_base_mss: 1024}\n"
BBR_BY_SYSCTL = "  sysctl: {net.ipv4.tcp_congestion_control: bbr}\n"
NOT_CHANGED = "chaoskit does not change parameters and routes of a real machine"
# a file, what is replaced in it, by what, and the sentence that must answer it
MISTAKES = [
    (LAB, "client:", "clinet:", "x.yaml:5: clinet: unknown key; did you mean client?"),
    (LAB, "maxseg: 1360", "max-seg: 1360", "x.yaml:9: client.max-seg: unknown key; did you mean maxseg?"),
    (LAB, "net.ipv4.tcp_base_mss", "vm.swappiness", "x.yaml:6: client.sysctl: 'vm.swappiness' is no network parameter"),
    (LAB, "route-mtu: 1400", "route-mtu: 67", "x.yaml:7: client.route-mtu: found '67', expected 68 or more"),
    (LAB, "route-mtu: 1400", "route-mtu: 65536", "x.yaml:7: client.route-mtu: found '65536', expected 65520 or less"),
    (LAB, "route-mtu: 1400", "route-mtu: 1.4kB", "x.yaml:7: client.route-mtu: found '1.4kB', expected a whole number"),
    (LAB, "advmss: 1360", "advmss: 87", "x.yaml:8: client.advmss: found '87', expected 88 or more"),
    (LAB, "advmss: 1360", "advmss: 32768", "x.yaml:8: client.advmss: found '32768', expected 32767 or less"),
    (LAB, "maxseg: 1360", "maxseg: 0", "x.yaml:9: client.maxseg: found '0', expected 88 or more"),
    (LAB, "maxseg: 1360", "maxseg: 32768", "x.yaml:9: client.maxseg: found '32768', expected 32767 or less"),
    (LAB, ": bbr", ": bbr 2", "x.yaml:10: client.congestion-control: found 'bbr 2', expected an algorithm: sysctl"),
    (LAB, "tcp_base_mss: 1024", "tcp_congestion_control: reno", "x.yaml:10: client.congestion-control: sysctl has net"),
    (LAB, "route-mtu: 1300", "route-mtu: 13", "x.yaml:14: server.route-mtu: found '13', expected 68 or more"),
    (
        LAB.replace("ip: 4", "ip: 6"),
        "route-mtu: 1400",
        "route-mtu: 1279",
        "x.yaml:7: client.route-mtu: found 1279, but the stage speaks IPv6, whose smallest MTU is 1280; give 1280",
    ),
    (
        LAB.replace("ip: 4", "ip: 6"),
        "route-mtu: 1300",
        "route-mtu: 1279",
        "x.yaml:14: server.route-mtu: found 1279, but the stage speaks IPv6, whose smallest MTU is 1280; give 1280",
    ),
    (
        REAL,
        "advmss",
        "advmss",
        f"x.yaml:6: client.sysctl: {NOT_CHANGED}; set it yourself for the run: "
        "sudo sysctl -w net.ipv4.tcp_mtu_probing='1'",
    ),
    (
        REAL.replace("  congestion-control: bbr\n", ""),
        SYSCTL,
        BBR_BY_SYSCTL,
        f"x.yaml:6: client.sysctl: {NOT_CHANGED}; for the probe's sockets write congestion-control: bbr",
    ),
    (
        REAL,
        SYSCTL,
        "",
        f"x.yaml:6: client.route-mtu: {NOT_CHANGED}; for the probe's sockets write maxseg: 1360",
    ),
    (
        REAL,
        f"{SYSCTL}  route-mtu: 1400\n",
        "",
        f"x.yaml:6: client.advmss: {NOT_CHANGED}; for the probe's sockets write maxseg: 1360",
    ),
    (
        REAL.partition("client:")[0] + "timeline: [{baseline: 2s}]\n",
        "timeline",
        "server: {maxseg: 1360}\ntimeline",
        "x.yaml:5: server: the target is a real server",
    ),
    (LAB, "ip: 4", "tls: perhaps", "x.yaml:3: stage.tls: found 'perhaps', expected true or false"),
    (REAL, "{target:", "{tls: true, target:", "x.yaml:3: stage.tls: unknown key"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "answer"), MISTAKES, ids=[answer[7:60] for *_, answer in MISTAKES])
def test_each_mistake_is_answered_at_its_line(file: str, right: str, wrong: str, answer: str) -> None:
    """File, line, dotted path, why, and what to write or to type instead."""
    assert right in file

    with pytest.raises(SpecError) as caught:
        parse(file.replace(right, wrong, 1), "x.yaml")

    said = str(caught.value)
    assert said.startswith(answer)
    assert len(said.splitlines()) == 1


def test_every_word_is_for_both_ends() -> None:
    """Client and server take the same words, the server its script besides; what is not said stays as it is."""
    experiment = parse(LAB, "x.yaml")
    plain = parse(LAB[: LAB.index("client:")] + LAB[LAB.index("timeline:") :], "x.yaml")

    assert experiment.client.parameters == {
        "net.ipv4.tcp_mtu_probing": "1",
        "net.ipv4.tcp_base_mss": "1024",
        "net.ipv4.tcp_congestion_control": "bbr",
    }
    assert (experiment.client.route_mtu, experiment.client.advmss, experiment.client.maxseg) == (1400, 1360, 1360)
    assert (experiment.server.route_mtu, experiment.server.token_interval) == (1300, 5_000_000)
    assert (plain.client.parameters, plain.client.route_mtu, plain.client.advmss, plain.client.maxseg) == (
        {},
        *[None] * 3,
    )


@pytest.mark.parametrize("words", ["maxseg: 1360", "congestion-control: bbr", "maxseg: 88\n  congestion-control: reno"])
def test_the_probes_own_sockets_are_tuned_on_a_real_interface_too(words: str) -> None:
    """What changes nothing of the machine is allowed."""
    real = f"{REAL[: REAL.index('client:')]}client:\n  {words}\ntimeline: [{{baseline: 2s}}]\n"

    assert parse(real, "x.yaml").client.written() == yaml.safe_load(real)["client"]


@pytest.mark.parametrize("value", [1, "1"])
def test_editors_may_take_a_parameter_for_a_number(value: Any) -> None:
    """The schema for editors lets a value be a number, as YAML reads it, or a text; a list is neither."""
    schema = experiment_schema()
    words = yaml.safe_load(LAB)
    words["stage"]["ip"] = "4"
    words["client"]["sysctl"] = {"net.ipv4.tcp_mtu_probing": value}

    jsonschema.validate(words, schema)
    assert Experiment.model_validate(words).client.sysctl == {"net.ipv4.tcp_mtu_probing": "1"}

    words["client"]["sysctl"] = {"net.ipv4.tcp_mtu_probing": [value]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(words, schema)
