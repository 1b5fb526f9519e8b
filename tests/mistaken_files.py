"""A good experiment file, and the mistakes that an author makes in it, with what must be said of each."""

from __future__ import annotations

GOOD = """\
name: loss
question: How much?
stage: {lab: edge}
workload:
  protocol: openai-chat
  http: 1.1
  request-rate: 2/s
  prompt-size: 4kB
  output-tokens: 120
  timeouts: {connect: 5s, first-token: 10s, idle: 5s}
server:
  first-token: {median: 150ms, p99: 400ms}
  token-interval: 20ms
faults:
  wifi:
    link: client-router
    direction: down
    netem: {delay: 30ms, jitter: 5ms, distribution: paretonormal, loss: {gemodel: {p: 1%, r: 30%}}}
timeline: [{baseline: 20s}, {wifi: 30s}, {recovery: 10s}]
objectives:
  - ttft_p95 < 800ms during wifi
  - interruption_rate <= 1%
  - ttft_p95 during wifi < 3x baseline
seed: 42
"""
# what is replaced, by what, and the sentence that must answer it
MISTAKES = [
    ("delay: 30ms", "delay: 30", "x.yaml:18: faults.wifi.netem.delay: '30' has no unit"),
    ("delay: 30ms", "dealy: 30ms", "x.yaml:18: faults.wifi.netem.dealy: unknown key; did you mean delay?"),
    (
        "delay: 30ms",
        "delay: -30ms",
        "x.yaml:18: faults.wifi.netem.delay: '-30ms' is too small;",
    ),
    ("p: 1%", "p: 120%", "x.yaml:18: faults.wifi.netem.loss.gemodel.p: '120%' is too large;"),
    (
        "loss: {gemodel: {p: 1%, r: 30%}}",
        "loss: 101%",
        "x.yaml:18: faults.wifi.netem.loss: '101%' is too large;",
    ),
    ("r: 30%}}", "r: 30%}, share: 1%}", "x.yaml:18: faults.wifi.netem.loss: give exactly one of share, gemodel"),
    ("paretonormal", "gauss", "x.yaml:18: faults.wifi.netem.distribution: found 'gauss', expected 'uniform'"),
    ("jitter: 5ms, ", "", "x.yaml:18: faults.wifi.netem: distribution needs a jitter"),
    ("prompt-size: 4kB", "prompt-size: 4ms", "x.yaml:8: workload.prompt-size: '4ms' has the unit 'ms'"),
    ("request-rate: 2/s", "burstiness: 1.0", "x.yaml:4: workload: give either request-rate"),
    ("direction: down", "direction: in", "x.yaml:17: faults.wifi.direction: found 'in', expected down, up or"),
    ("link: client-router", "link: client-sever", "x.yaml:16: faults.wifi.link: found 'client-sever', expected"),
    ("workload:", "work-load:", "x.yaml:4: work-load: unknown key; did you mean workload?"),
    (
        "{wifi: 30s}",
        "{wfi: 30s}",
        "x.yaml:19: timeline.1: 'wfi' is neither a fault nor a clean phase; did you mean wifi",
    ),
    ("{wifi: 30s}", "{wifi: 30}", "x.yaml:19: timeline.1: '30' has no unit"),
    ("{wifi: 30s}", "{wifi: 3ms}", "x.yaml:19: timeline.1: 3ms is too short"),
    ("{wifi: 30s}", "{wifi+wifi: 30s}", "x.yaml:19: timeline.1: wifi+wifi sets qdisc to-client in router twice"),
    ("{wifi: 30s}", "{wifi: 30s, recovery: 3s}", "x.yaml:19: timeline.1: a phase is one name and its length"),
    ("< 800ms during wifi", "< 800ms during wfi", "x.yaml:21: objectives.0: 'wfi' is no phase of the timeline; did"),
    ("< 800ms during", "< 800 during", "x.yaml:21: objectives.0: '800' has no unit"),
    ("< 3x baseline", "< 3x bseline", "x.yaml:23: objectives.2: 'bseline' is no phase of the timeline; did you mean"),
    ("ttft_p95 <", "tfft_p95 <", "x.yaml:21: objectives.0: 'tfft_p95' is not a metric; did you mean ttft_p95?"),
    ("- interruption_rate <= 1%", "- be quick", "x.yaml:22: objectives.1: 'be quick' is not an objective; write for"),
    (
        "- interruption_rate <= 1%",
        "- ttft_p95<0.8s  during wifi",
        "x.yaml:22: objectives.1: says what objectives.0 says; keep one",
    ),
    ("< 3x baseline", "< 3x wifi", "x.yaml:23: objectives.2: compares wifi with itself; name another phase"),
    (
        "seed: 42",
        "seed: 99999999999999999999",
        "x.yaml:24: seed: found '99999999999999999999', expected less than 2^63",
    ),
    (
        "output-tokens: 120",
        "output-tokens: 1,200",
        "x.yaml:9: workload.output-tokens: found '1,200', expected a whole number; write 1200",
    ),
    (
        "output-tokens: 120",
        "output-tokens: 2k",
        "x.yaml:9: workload.output-tokens: found '2k', expected a whole number; write 2000",
    ),
    ("output-tokens: 120", "output-tokens: -3", "x.yaml:9: workload.output-tokens: found '-3', expected 1 or more"),
    (
        "output-tokens: 120",
        "max_tokens: 120",
        "x.yaml:9: workload.max_tokens: unknown key; did you mean output-tokens?",
    ),
    ("output-tokens: 120", "burstiness: nan", "x.yaml:9: workload.burstiness: found 'nan', expected a number"),
    ("output-tokens: 120", "burstiness: -1", "x.yaml:9: workload.burstiness: found '-1', expected 0 or more"),
    ("{wifi: 30s}", "{wifi: 30}", "x.yaml:19: timeline.1: '30' has no unit; write 30s"),
    (
        "    direction: down\n    netem: {delay: 30ms, jitter: 5ms, distribution: paretonormal, "
        "loss: {gemodel: {p: 1%, r: 30%}}}\n",
        "",
        "x.yaml:15: faults.wifi: does not say what is changed; add netem: delay 30ms, or one of sysctl, mtu",
    ),
    (
        "  timeouts: {connect: 5s, first-token: 10s, idle: 5s}",
        "  timeouts: 5s",
        "x.yaml:10: workload.timeouts: found '5s', expected keys below it: connect, first-token, idle",
    ),
    (
        "protocol: openai-chat",
        "protocol: openai",
        "x.yaml:5: workload.protocol: found 'openai', expected 'openai-chat',",
    ),
    ("{wifi: 30s}", "wifi", "x.yaml:19: timeline.1: a phase is one name and its length; write for example"),
    (
        "- interruption_rate <= 1%",
        "- interruption_rate: 1%",
        "x.yaml:22: objectives.1: an objective is a sentence; write interruption_rate < 1%",
    ),
    (
        "prompt-size: 4kB",
        "max-concurrency: 4",
        "x.yaml:4: workload: request-rate is an open loop, and max-concurrency a",
    ),
    (
        "seed: 42",
        "client: {maxseg: 1360B}",
        "x.yaml:24: client.maxseg: found '1360B', expected a whole number; write 1360",
    ),
    ("stage: {lab: edge}\n", "", "x.yaml:1: stage: missing; add stage: {lab: edge}"),
    ("    direction: down\n", "", "x.yaml:15: faults.wifi.direction: missing; add direction: down, or up, or both"),
    ("name: loss", f"name: {'a' * 65}", f"x.yaml:1: name: found '{'a' * 60}'… (65 characters), expected 64 characters"),
    ("seed: 42", "seed: many", "x.yaml:24: seed: found 'many', expected a whole number"),
    ("seed: 42", "seed: 1\nseed: 2", "x.yaml:25: seed: duplicate key, first in line 24"),
    ("name: loss", "name: Loss_1", "x.yaml:1: name: found 'Loss_1', expected lower-case letters"),
    ("question: How much?\n", "", "x.yaml:1: question: missing; add question: ..."),
    ("lab: edge", "lab: egde", "x.yaml:3: stage.lab: found 'egde', expected 'edge'"),
    ("stage: {lab: edge}", "stage: edge", "x.yaml:3: stage: found 'edge', expected keys below it"),
    ("p99: 400ms", "p99: 40ms", "x.yaml:12: server.first-token: p99 40ms is below the median 150ms"),
    ("http: 1.1", "http: 3", "x.yaml:6: workload.http: found '3', expected '1.1' or '2'"),
    ("  wifi:\n    link", "  baseline:\n    link", "x.yaml:15: faults.baseline: 'baseline' cannot name a fault"),
]
