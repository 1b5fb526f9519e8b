"""Tests the two kinds of stage, lab and interface, and errors for keys of the other kind."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from chaoskit.errors import SpecError
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.injection import To
from chaoskit.spec.load import parse
from chaoskit.spec.stage import InterfaceStage, ServiceStage

GOOD = """\
name: own-endpoint
question: How much?
stage:
  target: https://api.example.com/v1
  interface: eth0
  model: gpt-4o-mini
  key-env: OPENAI_API_KEY
  allow-management-interface: true
workload: {request-rate: 2/s}
faults:
  lossy:
    direction: down
    netem: {loss: 1%}
timeline: [{baseline: 20s}, {lossy: 30s}]
seed: 42
"""
LAB = GOOD.replace("  target: https://api.example.com/v1\n", "  lab: edge\n").replace(
    "  interface: eth0\n  model: gpt-4o-mini\n  key-env: OPENAI_API_KEY\n  allow-management-interface: true\n", ""
)
LINKED = LAB.replace("direction: down", "direction: down\n    link: client-router")
SERVER = "server: {token-interval: 5ms}\nseed: 42"
SYSCTL = "    node: client\n    sysctl: {net.ipv4.tcp_ecn: 1}\n"
SERVICE = """\
name: chain
question: How much?
stage:
  lab: service
  hosts: {gateway: {run: gateway, ready: 8080}, model: {reference: true}}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 2/s}
faults:
  slow: {host: model, direction: both, netem: {delay: 1ms}}
timeline: [{baseline: 20s}, {slow: 30s}]
"""
SLOW = "{host: model, direction: both, netem: {delay: 1ms}}"
# a file, what is replaced in it, by what, and the sentence that must answer it
MISTAKES = [
    (SERVICE, "http://gateway", "http://client", "x.yaml:6: stage.target: the client is the probe itself; name anoth"),
    (SERVICE, SLOW, "{host: model, tunnel: jumbo-mismatch}", "x.yaml:9: faults.slow: a switch between two hosts"),
    (
        SERVICE,
        "ready: 8080",
        "timeouts: {read: 1s}",
        "x.yaml:5: stage.hosts.gateway.timeouts: unknown key; did you mean timers?",
    ),
    (
        SERVICE,
        "run: gateway",
        "command: gateway",
        "x.yaml:5: stage.hosts.gateway.command: unknown key; did you mean run",
    ),
    (SERVICE, "ready: 8080", "ports: 8080", "x.yaml:5: stage.hosts.gateway.ports: unknown key; did you mean ready?"),
    (SERVICE, "hosts: {", "services: {", "x.yaml:5: stage.services: unknown key; did you mean hosts?"),
    (
        SERVICE,
        "http://gateway:8080",
        "http://model",
        "x.yaml:6: stage.target: model listens on 8000 alone; write http://",
    ),
    (
        SERVICE,
        "ready: 8080",
        "ready: 8080/up",
        "x.yaml:5: stage.hosts.gateway.ready: found '8080/up', expected a port (",
    ),
    (
        SERVICE,
        "ready: 8080",
        "ready: {port: 1}",
        "x.yaml:5: stage.hosts.gateway.ready.port: unknown key; did you mean t",
    ),
    (
        SERVICE,
        SLOW,
        "{host: model, link: down}",
        "x.yaml:9: faults.slow: does not say what is changed; add netem: dela",
    ),
    (SERVICE, "host: model,", "between: [model],", "x.yaml:9: faults.slow.between: found a list of 1, expected more"),
    (SERVICE, SLOW, "{host: model, sysctl: {net.a: 1}}", "x.yaml:9: faults.slow.host: unknown key; expected one of n"),
    (GOOD, "target:", "taget:", "x.yaml:4: stage.taget: unknown key; did you mean target?"),
    (GOOD, "interface:", "interfaze:", "x.yaml:5: stage.interfaze: unknown key; did you mean interface?"),
    (GOOD, "key-env:", "keyenv:", "x.yaml:7: stage.keyenv: unknown key; did you mean key-env?"),
    (GOOD, "  target: https://api.example.com/v1\n", "", "x.yaml:3: stage.target: missing; add target: ..."),
    (
        GOOD,
        "https://api.example.com/v1",
        "api.example.com",
        "x.yaml:4: stage.target: found 'api.example.com', expected",
    ),
    (GOOD, "https://api.example.com/v1", "ftp://x/", "x.yaml:4: stage.target: found 'ftp://x/', expected a URL"),
    (
        GOOD,
        "https://api.example.com/v1",
        "http://a:99999/",
        "x.yaml:4: stage.target: found 'http://a:99999/', expected",
    ),
    (
        GOOD,
        "https://api",
        "https://me:pw@api",
        "x.yaml:4: stage.target: this URL has a user name or password",
    ),
    (GOOD, "eth0", "eth0/1", "x.yaml:5: stage.interface: found 'eth0/1', expected"),
    (GOOD, "OPENAI_API_KEY", "sk-12345", "x.yaml:7: stage.key-env: not the name of an environment variable; write for"),
    (
        GOOD,
        "allow-management-interface: true",
        "allow-management-interface: 7",
        "x.yaml:8: stage.allow-management-interface: found '7', expected true",
    ),
    (GOOD, "  interface: eth0", "  lab: edge", "x.yaml:3: stage: this lab has its own server, and a target is"),
    (GOOD, "  interface: eth0", "  to: 10.0.0.0/99:1", "x.yaml:5: stage.to: '10.0.0.0/99' is no host; write for"),
    (GOOD, "  interface: eth0", "  everything: true\n  to: a", "x.yaml:3: stage: everything is all traffic of the"),
    (GOOD, "  interface: eth0", "  protocol: sctp", "x.yaml:5: stage.protocol: found 'sctp', expected 'tcp', 'udp'"),
    (GOOD, "  interface: eth0", "  protocol: icmp", "x.yaml:3: stage: icmp has no ports; remove the port or the"),
    (GOOD, "direction: down", "direction: in", "x.yaml:12: faults.lossy.direction: found 'in', expected down"),
    (GOOD, "seed: 42", SERVER, "x.yaml:15: server: the target is a real server, which chaoskit cannot"),
    (
        GOOD,
        "    direction",
        "    link: client-router\n    direction",
        "x.yaml:11: faults.lossy: a real interface has no link",
    ),
    (
        GOOD,
        "    direction: down\n    netem: {loss: 1%}\n",
        SYSCTL,
        "x.yaml:11: faults.lossy: client is a host of the lab",
    ),
    (GOOD, "{lossy: 30s}", "{lossy+lossy: 30s}", "x.yaml:14: timeline.1: lossy+lossy sets qdisc chaos-down twice"),
    (
        LAB,
        "seed",
        "seed",
        "x.yaml:7: faults.lossy: say where in the lab; add link: client-router or link: router-server",
    ),
    (LINKED, "lab: edge", "labb: edge", "x.yaml:4: stage.labb: unknown key; did you mean lab?"),
    (LINKED, "lab: edge", "egde: lab", "x.yaml:4: stage.egde: unknown key; expected one of lab, ip"),
    (
        LINKED,
        "stage:\n  lab: edge",
        "stage: {}",
        "x.yaml:3: stage: empty; write lab: edge to build a network, or",
    ),
    (LINKED, "stage:\n  lab: edge", "stage: [lab]", "x.yaml:3: stage: found a list of 1, expected keys below it"),
]


def stage(**words: str) -> InterfaceStage:
    """The stage of the good file with these words in it."""
    written = "".join(f"  {key.replace('_', '-')}: {value}\n" for key, value in words.items())
    loaded = parse(GOOD.replace("  interface: eth0\n", f"  interface: eth0\n{written}"), "x.yaml").stage
    assert isinstance(loaded, InterfaceStage)
    return loaded


@pytest.mark.parametrize(("file", "right", "wrong", "answer"), MISTAKES, ids=[answer[7:50] for *_, answer in MISTAKES])
def test_each_mistake_is_answered_at_its_line(file: str, right: str, wrong: str, answer: str) -> None:
    """File, line, dotted path, and what to write: also where a word of the one stage stands in the other."""
    assert right in file

    with pytest.raises(SpecError) as caught:
        parse(file.replace(right, wrong, 1), "x.yaml")

    said = str(caught.value)
    assert said.startswith(answer)
    assert len(said.splitlines()) == 1


def test_a_key_in_the_wrong_place_is_not_repeated() -> None:
    """A password in the URL, or the key itself where its name should be, is in no complaint."""
    for wrong in (
        GOOD.replace("OPENAI_API_KEY", "sk-12345"),
        GOOD.replace("//api", "//me:sk-12345@api"),
        GOOD.replace("com/v1", "com/v1?api-version=3&api-key=sk-12345"),
        GOOD.replace("https://api.example.com/v1", "ftp://api.example.com/v1?x=sk-12345"),
        GOOD.replace("https://api.example.com/v1", "https://me:sk-12345/x@api.example.com/v1"),
    ):
        with pytest.raises(SpecError) as caught:
            parse(wrong, "x.yaml")

        assert "sk-12345" not in str(caught.value)


def test_faults_apply_to_the_target_by_default() -> None:
    """Without any word about whom, it is the target's host and port over TCP; a word about whom stands alone."""
    unnamed = stage()

    assert (unnamed.to, unnamed.protocol) == ((To(host="api.example.com", port=443),), "tcp")
    assert stage(ip="6").to == unnamed.to
    assert stage(protocol="udp").protocol == "udp"
    assert (stage(to="10.0.0.0/8").to, stage(to="10.0.0.0/8").protocol) == ((To(host="10.0.0.0/8"),), None)
    assert (stage(local_port="8000").to, stage(local_port="8000").local_port) == ((), 8000)
    assert stage(everything="true").to == ()


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://127.0.0.1", "127.0.0.1", 80),
        ("https://[2001:db8::1]/v1", "2001:db8::1", 443),
        ("http://[::1]:8000", "::1", 8000),
        ("https://API.example.com:8443/v1?x=1", "api.example.com", 8443),
    ],
)
def test_the_target_is_a_host_and_a_port(url: str, host: str, port: int) -> None:
    """Read from the URL, with the scheme's usual port."""
    loaded = parse(GOOD.replace("https://api.example.com/v1", url), "x.yaml").stage

    assert isinstance(loaded, InterfaceStage)
    assert loaded.to == (To(host=host, port=port),)
    assert loaded.hosts == (host,)


def test_names_are_the_hosts_to_resolve() -> None:
    """The target's host first, then everybody else who is named; addresses are no names."""
    found = stage(to="[proxy.example.com, 10.0.0.0/8, proxy.example.com:80]")

    assert found.hosts == ("api.example.com", "proxy.example.com", "10.0.0.0/8")
    assert found.names == ("api.example.com", "proxy.example.com")


@pytest.mark.parametrize(
    "file",
    [
        GOOD,
        LINKED,
        GOOD.replace("  interface: eth0", "  to: [10.0.0.0/8, '[::1]:80']"),
        GOOD.replace("  interface: eth0", "  to: x.example"),
    ],
)
def test_the_schema_for_editors_takes_both(file: str) -> None:
    """A file with either stage passes the JSON Schema."""
    jsonschema.validate(yaml.load(file, yaml.SafeLoader), Experiment.model_json_schema(by_alias=True))


def test_the_schema_for_editors_knows_both() -> None:
    """A mistyped key of an interface is none."""
    file = yaml.load(GOOD.replace("key-env", "key-evn"), yaml.SafeLoader)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(file, Experiment.model_json_schema(by_alias=True))


def test_a_server_beside_a_target_is_told_with_all_other_mistakes() -> None:
    """Not only once everything inside it, and everything else, is right."""
    text = GOOD.replace("seed: 42", "server: {first-token: 100ms}\nobjectives: [ttft_p95 < 1s during losy]")
    with pytest.raises(SpecError) as refused:
        parse(text, "x.yaml")

    told = [line.partition(": ")[2].partition(":")[0] for line in str(refused.value).splitlines()]
    assert told == ["server.first-token", "server", "objectives.0"]
    assert "a real server, which chaoskit cannot configure; remove server" in str(refused.value)


@pytest.mark.parametrize(("replicas", "memory", "expected"), [(1, "", None), (7, "", 1088), (7, "700MiB", 700)])
def test_many_hosts_have_more_memory(replicas: int, memory: str, expected: int | None) -> None:
    """Beside two other hosts; what the file says counts."""
    file = yaml.safe_load(SERVICE.replace(":8080", ":8000"))
    file["stage"]["hosts"] = {
        "gateway": {"reference": True}, "model": {"reference": True}, "many": {"reference": True, "replicas": replicas}
    }  # fmt: skip
    if memory:
        file["stage"]["memory"] = memory
    stage = parse(yaml.safe_dump(file), "x.yaml").stage

    assert isinstance(stage, ServiceStage)
    assert stage.guest_memory == (None if expected is None else expected * 2**20)
