"""Lists every metric of objectives: its unit, its definition, and what other tools call it.

This is the one table of metrics: objectives are parsed by it, the analysis and the reports name metrics as it does, and
the pages are generated from it. A latency is followed by a statistic: `ttft_p95`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["duration", "share", "per-minute", "per-second"]
Scope = Literal["stream", "gap", "phase"]
STATISTICS = ("p50", "p90", "p95", "p99", "max", "mean")
_ARRIVALS = "it follows the arrivals of its phase"


@dataclass(frozen=True)
class Metric:
    """One metric. `scope`: one value for each stream, for each gap, or for the whole phase.

    `aliases` are names of other tools, in lower case, without a statistic; `missing` is why it may have no value.
    `why_no_gain`: why a change to its better side is no improvement by itself; "" where it is one.
    """

    name: str
    kind: Kind
    scope: Scope
    definition: str
    aliases: tuple[str, ...] = ()
    more_is_better: bool = False
    missing: str = "no stream was started"
    why_no_gain: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What an objective may call it."""
        if self.kind != "duration" or self.scope == "phase":
            return (self.name,)
        return tuple(f"{self.name}_{statistic}" for statistic in STATISTICS)


TABLE = (
    Metric(
        "dns",
        "duration",
        "stream",
        "Time of the name lookup. Missing where none was made.",
        ("http_req_looking_up", "time_namelookup"),
        missing="no DNS lookup was made",
    ),
    Metric(
        "connect",
        "duration",
        "stream",
        "Time of the TCP handshake. Missing on a reused connection.",
        ("http_req_connecting", "http_req_blocked", "time_connect"),
        missing="no connection was made: all were reused",
    ),
    Metric(
        "tls",
        "duration",
        "stream",
        "Time of the TLS handshake. Missing without TLS and on a reused connection.",
        ("http_req_tls_handshaking", "time_appconnect"),
        missing="no TLS handshake was made",
    ),
    Metric(
        "upload",
        "duration",
        "stream",
        "Time in which headers and body of the request were written to the socket.",
        ("http_req_sending",),
        missing="no upload was timed",
    ),
    Metric(
        "ttfb",
        "duration",
        "stream",
        "Time to first byte: the response's headers − scheduled.",
        ("http_req_waiting", "time_to_first_byte", "time_starttransfer"),
    ),
    Metric(
        "ttf_event",
        "duration",
        "stream",
        "First server-sent event of any kind − scheduled.",
        ("time_to_first_event", "time_to_first_chunk"),
    ),
    Metric(
        "ttft",
        "duration",
        "stream",
        "Time to first token: first event with content, reasoning included − scheduled.",
        ("time_to_first_token", "gen_ai.server.time_to_first_token", "first_token", "ttfts"),
    ),
    Metric(
        "ttft_from_sent",
        "duration",
        "stream",
        "The same event − the time at which the request was sent.",
    ),
    Metric(
        "ttfo",
        "duration",
        "stream",
        "First content that is not reasoning − scheduled.",
        ("time_to_first_output_token", "time_to_first_output"),
        missing="no stream had output apart from reasoning",
    ),
    Metric(
        "itl",
        "duration",
        "gap",
        "Inter-token latency: from one content event to the next, as received.",
        ("inter_token_latency", "inter_chunk_latency", "itls", "tbt", "time_between_tokens"),
        missing="no stream had two tokens",
        why_no_gain="tokens that come together have gaps of 0",
    ),
    Metric(
        "tpot",
        "duration",
        "stream",
        "Time per output token: (last token − first token) / (tokens − 1), tokens by the server's usage.",
        ("time_per_output_token", "gen_ai.server.time_per_output_token"),
        missing="no stream had two tokens",
    ),
    Metric(
        "e2el",
        "duration",
        "stream",
        "End-to-end latency: last token − scheduled, of a complete stream.",
        (
            *("http_req_duration", "http_req_receiving", "iteration_duration", "request_latency", "latency", "e2e"),
            *(
                "latencies",
                "e2e_latency",
                "end_to_end_latency",
                "response_time",
                "gen_ai.server.request.duration",
                "request_duration",
                "duration",
            ),
        ),
    ),
    Metric(
        "max_gap",
        "duration",
        "stream",
        "The longest gap of a stream.",
        ("longest_gap", "max_itl"),
        missing="no stream had two tokens",
    ),
    Metric(
        "planned_pace",
        "duration",
        "stream",
        "The server's own pace: mean planned gap of a stream. Reference server only; neither a stall nor waiting.",
        missing="only the reference server tells what it planned",
    ),
    Metric(
        "interruption_rate",
        "share",
        "phase",
        "Interrupted streams / started streams, without `cancelled` ones.",
        (
            *("http_req_failed", "error_rate", "failure_rate", "errors", "failed", "interrupted", "interruptions"),
            *("request_error_rate", "error_request_count", "timeout", "timeouts", "timeout_rate", "fail_ratio"),
        ),
    ),
    Metric(
        "empty_rate",
        "share",
        "phase",
        "Streams that ended well without a token / started streams, without `cancelled` ones.",
        ("empty", "empty_responses", "empty_response_rate"),
    ),
    Metric(
        "short_rate",
        "share",
        "phase",
        "Streams that ended well with far fewer tokens than asked for, though the model had not finished / the same.",
        ("short", "short_responses", "short_response_rate"),
    ),
    Metric(
        "stall_ratio",
        "share",
        "phase",
        "Σ time that a reader of `reading-rate` (20 tokens/s) has nothing to read / Σ gaps.",
        ("waiting", "rebuffering_ratio"),
    ),
    Metric(
        "stall_interval_fraction",
        "share",
        "phase",
        "Stalls / gaps.",
    ),
    Metric(
        "delivered_fraction",
        "share",
        "phase",
        "Tokens received / tokens that the server meant to send. Reference server only.",
        ("delivered", "delivery_rate"),
        more_is_better=True,
    ),
    Metric(
        "stalls_per_minute",
        "per-minute",
        "phase",
        "Stalls / Σ gaps, in minutes of streaming.",
        ("stalls", "stall_count", "stall_rate"),
    ),
    Metric(
        "goodput",
        "per-second",
        "phase",
        "Complete streams, not empty or short, that met every objective for one and ended in the phase / its length.",
        (
            *("request_goodput", "request_throughput", "requests_per_second", "http_reqs", "iterations"),
            *("good_requests", "rps", "qps", "request_rate"),
        ),
        more_is_better=True,
        why_no_gain=_ARRIVALS,
    ),
    Metric(
        "tokens_per_second",
        "per-second",
        "phase",
        "Tokens received in the phase, by the server's usage / its length, of all streams together.",
        (
            *("output_throughput", "output_token_throughput", "total_token_throughput", "throughput", "tokens/s"),
            *("tps", "token_throughput", "output_tokens_per_second"),
        ),
        more_is_better=True,
        why_no_gain=_ARRIVALS,
    ),
    Metric(
        "toolchain",
        "duration",
        "stream",
        "Tool-chain completion: the end of the last hop's answer, by its span − scheduled; never where it failed.",
        (
            *("gen_ai.workflow.duration", "gen_ai.invoke_workflow.duration", "workflow_duration", "chain_duration"),
            *("tool_chain", "toolchain_latency", "tool_chain_latency", "toolchain_completion"),
        ),
        missing="no span of a hop was recorded",
    ),
    Metric(
        "retrieval_fallback_ratio",
        "share",
        "phase",
        "Requests that a fallback answered, as retrieval missed its deadline or failed / those that needed retrieval.",
        ("fallback_ratio", "fallback_rate", "retrieval_fallback_rate", "miss_to_fallback_ratio"),
        missing="no span of a retrieval was recorded",
    ),
    *(
        Metric(
            f"retrieval_{outcome}_ratio",
            "share",
            "phase",
            f"Requests with a retrieval that {what} / those whose retrievals tell their outcome.",
            (f"retrieval_{outcome}_rate", *more),
            missing="no span tells the outcome of a retrieval",
        )
        for outcome, what, *more in (
            ("miss", "answered in time that it has nothing", "retrieval_misses"),
            ("timeout", "did not answer within its deadline", "retrieval_timeouts"),
            ("error", "failed", "retrieval_errors"),
            ("degraded", "answered with a part of what was asked"),
        )
    ),
    Metric(
        "degraded_ratio",
        "share",
        "phase",
        "Requests answered while a step of the degradation ladder was in force / requests admitted, by their spans.",
        ("degraded", "degraded_rate", "degradation_ratio"),
        missing="no span of a workflow was recorded",
    ),
    Metric(
        "shed_rate",
        "share",
        "phase",
        "Requests that admission refused, by span or HTTP status 429 / started streams, without `cancelled` ones.",
        ("shed", "shed_ratio", "rejection_rate", "rejected", "rejections", "throttled", "rate_limited"),
    ),
    Metric(
        "queued_rate",
        "share",
        "phase",
        "Requests that waited to be admitted / those whose spans tell of admission.",
        ("queued", "queued_ratio"),
        missing="no span tells of admission",
    ),
    Metric(
        "downgrade_rate",
        "share",
        "phase",
        "Requests that another service tier answered than was asked for / those whose spans tell both.",
        ("downgraded", "downgrades", "downgrade_ratio", "silent_downgrade"),
        missing="no span tells the service tier that was asked for and the one that answered",
    ),
    Metric(
        "recovery_time",
        "duration",
        "phase",
        "From the end of the phase until goodput is back at its level before it, of 20 requests in a row.",
        ("recovery", "time_to_recover", "recovers", "mttr"),
        missing="no phase follows it, or too few requests came before it or after it",
    ),
)
METRICS: Mapping[str, Metric] = {name: metric for metric in TABLE for name in metric.names}
"""By every name that an objective may use."""
HEADLINES = {
    "ttft_p50": "TTFT p50",
    "ttft_p95": "TTFT p95",
    "ttft_p99": "TTFT p99",
    "itl_p50": "ITL p50",
    "itl_p99": "ITL p99",
    "stalls_per_minute": "stalls",
    "stall_ratio": "waiting",
    "interruption_rate": "interrupted",
    "goodput": "goodput",
    "tokens_per_second": "tokens/s",
}
"""The rows of a report, by name, and what they are called there."""

_FIRST_EVENT = re.compile(r"(mean|median|p\d+)_ttft_ms")  # of vLLM, which counts the first event of any kind
_UNIT = re.compile(r"_(ms|s|sec|seconds)$")
_WRITTEN_OTHERWISE = {"median": "p50", "med": "p50", "avg": "mean", "average": "mean"}
_PERCENTILE = re.compile(r"\bp\((\d+)\)|\b(\d+)th\b|\bp(\d+)(?=\()")  # k6's p(95), vegeta's 95th, p95(ttft)
_WORD = "|".join((r"p\d+", "max", "mean", *_WRITTEN_OTHERWISE))
_STATISTIC = re.compile(rf"(?:({_WORD})_)?(.+?)(?:[_.]({_WORD}))?")
_USUAL = {"itl": "p99"}  # the statistic that is advised; of others p95


def advice(name: str) -> str:
    """What to write instead of an unknown name: what it is called here, or the closest names."""
    words = _PERCENTILE.sub(lambda found: f"p{found[1] or found[2] or found[3]}", name.strip().lower())
    plain = _UNIT.sub("", re.sub(r"[\s(){}\[\]:-]+", "_", words).strip("_"))
    metric, statistic = _known(plain), ""
    if metric is None and (parts := _STATISTIC.fullmatch(plain)) is not None:
        metric, statistic = _known(parts[2]), parts[1] or parts[3] or ""
    if metric is None and re.fullmatch(_WORD, plain):
        return f"say of what, for example ttft_{_WRITTEN_OTHERWISE.get(plain, plain)}"
    if metric is None:
        close = difflib.get_close_matches(name, METRICS, n=1)
        near = (
            []
            if close
            else difflib.get_close_matches(plain, [each for one in TABLE for each in (one.name, *one.aliases)], n=1)
        )
        if near:
            return advice(near[0])
        every = ", ".join(each.name for each in TABLE)
        return (
            f"did you mean {close[0]}?" if close else f"expected one of {every}; a latency with its statistic: ttft_p95"
        )
    if len(metric.names) == 1:
        return f"did you mean {metric.name}?"
    statistic = _WRITTEN_OTHERWISE.get(statistic, statistic) or _USUAL.get(metric.name, "p95")
    if statistic not in STATISTICS:
        return f"expected one of {', '.join(metric.names)}"
    meant = f"did you mean {metric.name}_{statistic}?"
    if _FIRST_EVENT.fullmatch(name.lower()):
        return f"{meant} What vLLM calls so, the first event of any kind, is ttf_event_{statistic}"
    return meant


def _known(name: str) -> Metric | None:
    """The metric of this name or alias."""
    return next((metric for metric in TABLE if name in (metric.name, *metric.aliases)), None)
