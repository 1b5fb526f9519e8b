"""Tests the expansion of a matrix into variants, their names, and the locations of errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.errors import SpecError
from chaoskit.planning.compile import compile_plan
from chaoskit.planning.stage import placeholder_lookups
from chaoskit.spec.load import EXPERIMENT, parse, parse_document, to_yaml
from chaoskit.spec.matrix import Variants, load_variants, parse_variants

EXPERIMENTS = shipped.FILES
GOOD = """\
name: sizes
question: Which sizes?
stage: {lab: edge}
workload: {request-rate: 4/s, prompt-size: 1kB}
server:
  first-token: {median: 150ms, p99: 400ms}
faults:
  wifi: {link: client-router, direction: down, netem: {delay: 30ms, loss: 1%}}
  vpn:
    - {link: router-server, direction: up, netem: delay 40ms}
    - {link: router-server, direction: down, netem: {delay: 10ms}}
timeline: [{baseline: 20s}, {wifi: 30s}, {vpn: 10s}]
objectives:
  - ttft_p95 < 800ms during wifi
seed: 42
matrix:
"""
# the matrix, a key in each line from 17 on, and the line that must answer it
MISTAKES = [
    ("workload.prompt-size: [200B, 4]", "17: matrix.workload.prompt-size.1: '4' has no unit; write 4B or 4kB"),
    ("workload.prompt-size: [200B, 4ms]", "17: matrix.workload.prompt-size.1: '4ms' has the unit 'ms', which"),
    ("workload.prompt-sise: [1kB, 2kB]", "17: matrix.workload.prompt-sise: unknown key; did you mean prompt-size?"),
    (
        "wrokload.prompt-size: [1kB, 2kB]",
        "17: matrix.wrokload.prompt-size: wrokload: unknown key; did you mean workload?",
    ),
    ("workload.prompt-size: 4kB", "17: matrix.workload.prompt-size: found '4kB', expected a list of values, for"),
    ("workload.prompt-size: []", "17: matrix.workload.prompt-size: found an empty list, expected a list of values"),
    ("workload.prompt-size: [1kB, 1kB]", "17: matrix.workload.prompt-size: '1kB' is given twice; keep one"),
    ("workload: {seed: [1]}", "17: matrix.workload: found keys (seed), expected a list; write the whole path as"),
    ("name: [a, b]", "17: matrix.name: name cannot be varied; write for example workload.prompt-size: [1kB"),
    ("question: [a, b]", "17: matrix.question: question cannot be varied"),
    ("matrix.seed: [1, 2]", "17: matrix.matrix.seed: matrix cannot be varied"),
    ("faults.wfi.netem.delay: [1ms]", "17: matrix.faults.wfi.netem.delay: no fault is called 'wfi'; did you mean wifi"),
    ("faults.wifi.netem.dealy: [1ms]", "17: matrix.faults.wifi.netem.dealy: unknown key; did you mean delay?"),
    (
        "faults.wifi.netem.loss.gemodel.p: [1%]",
        "17: matrix.faults.wifi.netem.loss.gemodel.p: faults.wifi.netem.loss is '1%' in this file, which has no keys",
    ),
    (
        "faults.vpn.netem.delay: [1ms]",
        "17: matrix.faults.vpn.netem.delay: faults.vpn is a list of 2 in this file, counted from 0; "
        "write for example faults.vpn.0.netem.delay",
    ),
    (
        "faults.vpn.2.netem.delay: [1ms]",
        "17: matrix.faults.vpn.2.netem.delay: faults.vpn is a list of 2 in this file, counted from 0; "
        "write for example faults.vpn.0.netem.delay",
    ),
    (
        "faults.vpn.0.netem.delay: [1ms]",
        "17: matrix.faults.vpn.0.netem.delay: faults.vpn.0.netem is 'delay 40ms' in this file, which has no keys",
    ),
    ("timeline.wifi: [1s, 2s]", "17: matrix.timeline.wifi: timeline is a list of 3 in this file, counted from 0; "),
    ("timeline.1.wifi: [10s, 1ms]", "17: matrix.timeline.1.wifi.1: timeline.1: 1ms is too short for a phase"),
    ("timeline.1.wfi: [10s, 20s]", "17: matrix.timeline.1.wfi: timeline.1: a phase is one name and its length"),
    (
        "server.first-token.p99: [200ms, 40ms]",
        "17: matrix.server.first-token.p99.1: server.first-token: p99 40ms is below the median 150ms",
    ),
    (
        "workload.http: [1.1, 2]\n  workload.connections: [shared]",
        '4: workload: connections: shared needs http: "2" (i',
    ),
    ("stage: [{lab: edge}, {lab: egde}]", "17: matrix.stage.1.lab: found 'egde', expected 'edge'"),
    ("timeline.1: [{wifi: 9s}, {vpn: 9s}]", "14: objectives.0: 'wifi' is no phase of the timeline; expected one"),
    ("seed: [1, 2]\n  seed.x: [1]", "18: matrix.seed.x: seed is '42' in this file, which has no keys"),
    (
        "workload.timeouts: [{idle: 5s}]\n  workload.timeouts.idle: [3s]",
        "18: matrix.workload.timeouts.idle: varies what workload.timeouts varies; keep one of them",
    ),
    ("seed: [1, 2, 3]\n  repeats: [" + "1, " * 22 + "]", "18: matrix.repeats: '1' is given twice"),
]
MISTAKE_IDS = [matrix.replace("\n  ", "; ")[:40] for matrix, _ in MISTAKES]

SERVICE = """\
name: chain
question: How much?
stage:
  lab: service
  hosts: {gateway: {run: gateway, ready: 8080}, model: {reference: true}}
  target: http://gateway:8080/v1/chat/completions
workload: {request-rate: 2/s}
timeline: [{baseline: 20s}]
matrix:
"""


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("stage.hosts.gatway.replicas: [1, 2]", "no host is called 'gatway'; did you mean gateway?"),
        ("stage.hosts.x.replicas: [1, 2]", "no host is called 'x'; expected one of gateway, model"),
        ("workloads.bulk.request-rate: [1/s]", "no workload is called 'bulk'; expected one of nothing"),
    ],
)
def test_a_name_that_the_file_does_not_give(key: str, said: str) -> None:
    """A misspelled host would otherwise be a new one."""
    with pytest.raises(SpecError) as caught:
        variants(key, file=SERVICE)

    assert str(caught.value) == f"x.yaml:10: matrix.{key.partition(':')[0]}: {said}"


def variants(*keys: str, file: str = GOOD) -> Variants:
    """Those of a file with these lines in its matrix."""
    return parse_variants(file + "".join(f"  {key}\n" for key in keys), "x.yaml")


def names(*keys: str) -> list[str]:
    """What they are called."""
    return [variant.name for variant in variants(*keys).each]


def sentence(text: str) -> str:
    """What is said about this file."""
    with pytest.raises(SpecError) as caught:
        parse_variants(text, "x.yaml")
    return str(caught.value)


def test_every_combination_is_an_experiment_in_the_order_of_the_file() -> None:
    """The first key varies slowest; what is varied, and nothing else, differs; the file itself has no say in it."""
    told = variants("workload.prompt-size: [200B, 4kB]", "faults.wifi.netem.delay: [1ms, 2ms, 3ms]")

    found = [
        (each.experiment.workload.prompt_size, each.experiment.faults["wifi"][0].netem.delay)  # type: ignore[union-attr]
        for each in told.each
    ]
    assert found == [(size, delay * 10**6) for size in (200, 4000) for delay in (1, 2, 3)]
    assert told.axes == ("prompt-size", "delay")
    assert [each.values for each in told.each][:2] == [("200B", "1ms"), ("200B", "2ms")]
    first, *others = (each.experiment.model_copy(update={"workload": None, "faults": None}) for each in told.each)
    assert all(other == first for other in others)


def test_a_file_without_a_matrix_is_one_experiment_without_a_name() -> None:
    """Its text is the file's own."""
    text = GOOD.removesuffix("matrix:\n")

    told = parse_variants(text, "x.yaml")

    assert [(each.name, each.text) for each in told.each] == [("", text)]
    assert told.each[0].experiment == parse(text, "x.yaml")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (["workload.output-tokens: [7]"], lambda each: each.workload.output_tokens == 7),
        (["workload.timeouts.idle: [7s]"], lambda each: each.workload.timeouts.idle == 7 * 10**9),
        (["workload.prompt_size: [7B]"], lambda each: each.workload.prompt_size == 7),
        (["faults.vpn.1.netem.delay: [7ms]"], lambda each: each.faults["vpn"][1].netem.delay == 7_000_000),
        (["faults.vpn.0.netem: [delay 7ms]"], lambda each: each.faults["vpn"][0].netem.delay == 7_000_000),
        (["timeline.2.vpn: [7s]"], lambda each: each.timeline[2].length == 7 * 10**9),
        (["objectives: [[]]"], lambda each: each.objectives == ()),
        (["workload.request-rate: [~]", "workload.max-concurrency: [7]"], lambda each: each.workload.max_concurrency),
        (["stage.ip: [6]"], lambda each: each.stage.ip == "6"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_path_leads_anywhere_in_the_file(keys: list[str], found: object) -> None:
    """Defaults that are not written, lists, short forms, either spelling, whole parts, nothing at all."""
    (variant,) = variants(*keys).each

    assert callable(found)
    assert found(variant.experiment)


def test_everything_after_sysctl_is_one_key() -> None:
    """A parameter's own dots are part of its name, and its last word is what it is called."""
    file = GOOD.replace("faults:\n", "faults:\n  tuned: {node: client, sysctl: {net.ipv4.tcp_ecn: 0}}\n")

    told = variants("faults.tuned.sysctl.net.ipv4.tcp_mtu_probing: [0, 1]", file=file)

    assert [each.name for each in told.each] == ["tcp_mtu_probing=0", "tcp_mtu_probing=1"]
    assert told.each[1].experiment.faults["tuned"][0].sysctl == {  # type: ignore[union-attr]
        "net.ipv4.tcp_ecn": "0",
        "net.ipv4.tcp_mtu_probing": "1",
    }


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["workload.prompt-size: [200B]", "seed: [1]"], "prompt-size=200B,seed=1"),
        (["faults.wifi.netem.delay: [1ms]", "faults.vpn.1.netem.delay: [2ms]"], "wifi.delay=1ms,vpn.delay=2ms"),
        (
            ["faults.vpn.1.netem.delay: [1ms]", "faults.vpn.1.netem.jitter: [1ms]", "faults.vpn.0.netem: [delay 1ms]"],
            "delay=1ms,jitter=1ms,netem=delay-1ms",
        ),
        (
            ["faults.vpn.1.netem.rate.rate: [1mbit]", "faults.wifi.netem.rate.rate: [2mbit]"],
            "vpn.rate=1mbit,wifi.rate=2mbit",
        ),
        (
            ["faults.vpn.0.link: [router-server]", "faults.vpn.1.link: [router-server]"],
            "vpn.0.link=router-server,vpn.1",
        ),
        (["client.sysctl.net.ipv4.tcp_ecn: [0]", "server.sysctl.net.ipv4.tcp_ecn: [1]"], "client.tcp_ecn=0,server.tcp"),
        (["timeline.1: [{wifi: 9s}]"], "timeline.1=wifi-9s"),
        (["faults.wifi.netem: [delay 80ms 20ms loss 1%]"], "netem=delay-80ms-20ms-loss-1%"),
        (["faults.wifi.netem: [{delay: 80ms, loss: 0.1%}]"], "netem=delay-80ms-loss-0.1%"),
        (["objectives: [[ttft_p95 < 800ms during wifi]]"], "objectives=ttft_p95-800ms-during-wifi"),
        (["objectives: [[]]"], "objectives=~1"),
        (["workload.request-rate: [2/s]"], "request-rate=2-s"),
        (["server.first-token.p99: ['0.5 s']"], "p99=0.5-s"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_variant_is_named_by_its_values(keys: list[str], expected: str) -> None:
    """The shortest end of each path that no other has and that is a word, and the value in what a folder allows."""
    (name,) = names(*keys)

    assert name.startswith(expected)


def test_a_rate_is_shown_as_it_is_written() -> None:
    """A folder's name cannot have it; what could be a path or markup stays as it is in that name."""
    keys = ("workload.request-rate: [2/s]", "server.first-token.p99: ['0.5 s']")

    (found,) = variants(*keys).each

    assert found.name == "request-rate=2-s,p99=0.5-s"
    assert found.values == ("2/s", "0.5-s")


def test_values_with_equal_names_are_numbered() -> None:
    """Two folders are never one."""
    assert names("objectives: [[ttft_p95 < 1s], [ttft_p95 > 1s], []]") == [
        "objectives=ttft_p95-1s~1",
        "objectives=ttft_p95-1s~2",
        "objectives=~3",
    ]


def test_long_values_are_named_by_what_tells_them_apart() -> None:
    """What all values have is left out; of one that is still long, what others have as well."""
    commands = [
        '[nginx, -c, two-untouched.conf, -p, ., -e, stderr, -g, "daemon off;"]',
        '[nginx, -c, two-impatient.conf, -p, ., -e, stderr, -g, "daemon off;"]',
        '[envoy, -c, two.yml, --log-level, warn, --concurrency, "1"]',
    ]
    options = [f"litellm --config litellm.yaml --host 0.0.0.0 --port 8080 --timeout {each}" for each in (5, 30)]
    paces = [f"{{token-interval: 20ms, first-token: {{median: 200ms, p99: 400ms}}{more}}}" for more in MORE]

    assert [varied(commands), varied(options), varied(paces, "stage.hosts.model.reference")] == [
        ["run=two-untouched.conf", "run=two-impatient.conf", "run=envoy-two.yml-log-level-warn"],
        ["run=timeout-5", "run=timeout-30"],
        ["reference=token-interval-20ms-first-token", "reference=tokens-per-event-2"],
    ]


MORE = ("", ", tokens-per-event: 2")


def varied(values: list[str], path: str = "stage.hosts.gateway.run") -> list[str]:
    """The names of variants of a service lab with these values."""
    return [each.name for each in variants(f"{path}: [{', '.join(values)}]", file=SERVICE).each]


def test_every_name_is_one_folder(tmp_path: Path) -> None:
    """Long ones are cut, and each is another one."""
    paths = ("faults.wifi.netem.delay", "faults.vpn.1.netem.delay", "server.token-interval")
    values = [f"{'0' * 60}{number}ms" for number in (1, 2)]

    found = names(*(f"{path}: [{', '.join(values)}]" for path in paths))
    for name in found:
        (tmp_path / name).mkdir()

    assert len(found) == 8
    assert {path.name for path in tmp_path.iterdir()} == set(found)
    assert all(re.fullmatch(r"[A-Za-z0-9.%+_,=~-]+", name) for name in found)


@pytest.mark.parametrize(("matrix", "answer"), MISTAKES, ids=MISTAKE_IDS)
def test_each_mistake_is_answered_at_its_entry(matrix: str, answer: str) -> None:
    """One line for each: file, line, the entry of the matrix, what was found, what was expected."""
    said = sentence(GOOD + f"  {matrix}\n")

    assert said.startswith(f"x.yaml:{answer}")
    assert len(said.splitlines()) == 1


def test_a_mistake_of_the_file_stays_where_it_is() -> None:
    """Both are said: the file's own at its own line, once for all variants, and the matrix's at its entry."""
    said = sentence(GOOD.replace("delay: 30ms", "delay: 30") + "  seed: [1, 2, x]\n").splitlines()

    assert said == [
        "x.yaml:8: faults.wifi.netem.delay: '30' has no unit; write 30ms or 30s",
        "x.yaml:17: matrix.seed.2: found 'x', expected a whole number",
    ]


def test_an_error_made_by_the_matrix_is_reported_at_its_entry() -> None:
    """Words that the file does not have at all cannot be wrong in the file."""
    file = GOOD.replace("server:\n  first-token: {median: 150ms, p99: 400ms}\n", "")

    said = sentence(file + "  server.first-token.p99: [1s, 2s]\n")

    assert said == "x.yaml:15: matrix.server.first-token.p99: server.first-token.median: missing; add median: ..."


def test_a_file_may_need_its_matrix() -> None:
    """What is wrong without the matrix, and right with it, is right."""
    file = GOOD.replace("request-rate: 4/s, ", "")

    told = variants("workload.request-rate: [2/s, 4/s]", file=file)

    assert [each.experiment.workload.request_rate.per_second for each in told.each] == [2, 4]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("counts", "answer"), [((65,), "65 variants"), ((5, 13), "5 x 13 = 65 variants"), ((8, 8), "")]
)
def test_sixty_four_variants_are_the_most(counts: tuple[int, ...], answer: str) -> None:
    """One more is refused with the sum."""
    lists = [", ".join(str(number + 1) for number in range(count)) for count in counts]
    text = GOOD + "".join(f"  {key}: [{values}]\n" for key, values in zip(("seed", "repeats"), lists, strict=False))

    if answer:
        assert f"x.yaml:16: matrix: {answer}, and at most 64 are allowed; remove some values, or" in sentence(text)
    else:
        assert len(parse_variants(text, "x.yaml").each) == 64


@pytest.mark.parametrize("matrix", ["", " ~", " [a]", " x", " {}"])
def test_a_matrix_without_keys_gets_an_example(matrix: str) -> None:
    """Nothing, a list, a text are no matrix."""
    said = sentence(GOOD.replace("matrix:\n", f"matrix:{matrix}\n"))

    assert said.startswith("x.yaml:16: matrix: found ")
    assert said.endswith("write for example workload.prompt-size: [1kB, 16kB]")


def test_a_mistyped_matrix_is_recognised() -> None:
    """It is a key like the others."""
    assert "matrx: unknown key; did you mean matrix?" in sentence(GOOD.replace("matrix:", "matrx: {seed: [1]}"))


def test_a_command_for_one_experiment_says_how_to_choose_a_variant() -> None:
    """A command that has no use for several names a variant to type, and where to see the others."""
    told = variants("seed: [1, 2]")

    for name, answer in [
        (None, "x.yaml has a matrix of 2 variants, and one is expected: --variant seed=1"),
        ("seed=3", "--variant: 'seed=3' is no variant of x.yaml; did you mean seed=2?"),
    ]:
        with pytest.raises(SpecError) as caught:
            told.named(name)
        assert str(caught.value).startswith(answer)
    assert told.named("seed=2").experiment.seed == 2
    with pytest.raises(SpecError, match="has no matrix; remove --variant"):
        parse_variants(GOOD.removesuffix("matrix:\n"), "x.yaml").named("seed=2")
    with pytest.raises(SpecError, match=r"x\.yaml:16: matrix: several experiments"):
        parse(GOOD + "  seed: [1, 2]\n", "x.yaml")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_can_be_varied(path: Path) -> None:
    """Each variant's own text is a file that means the same, plan and all."""
    text = path.read_text()
    if not load_variants(path).axes:
        text += "matrix: {seed: [1, 2], workload.prompt-size: [200B, 64kB]}\n"

    for variant in parse_variants(text, str(path)).each:
        again = parse(variant.text, str(path.with_name("again.yaml")))
        assert again == variant.experiment
        assert compile_plan(again, placeholder_lookups(again)) == compile_plan(
            variant.experiment, placeholder_lookups(variant.experiment)
        )


TEXTS = st.text(max_size=8) | st.sampled_from(["~", "null", "1.1", "on", "1e3", "# x", "a: b", "- a", "\x85"])
VALUES = st.recursive(st.none() | TEXTS, lambda each: st.lists(each) | st.dictionaries(TEXTS, each), max_leaves=8)


@settings(deadline=None)
@given(st.dictionaries(TEXTS, VALUES, min_size=1))
def test_words_are_written_as_they_are_read(words: dict[str, object]) -> None:
    """Whatever stands in a file, its text reads as the same words again."""
    assert parse_document(to_yaml(words), "x.yaml", EXPERIMENT).words == words
