"""Defines every key of a result's JSON in one sentence with its unit, for the document itself.

A key of this table is the end of a path in the document, without the indices of lists: `p95_ms`, `failures.count`. The
longest that fits defines a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chaoskit.spec.metrics import TABLE, Metric

_UNITS = {"duration": "ms", "share": "share of 1", "per-minute": "per minute", "per-second": "per second"}
_OF_VLLM = {
    "ttft": "vLLM's time to first token: first event of any kind − start of the request",
    "tpot": "vLLM's time per output token: (last token − first event) / (tokens − 1)",
    "itl": "vLLM's inter-token latency: gaps between events, from the first event of any kind on",
    "e2el": "vLLM's end-to-end latency: last token − start of the request",
}
_STATISTICS = {
    "mean": "mean",
    "median": "median",
    "std": "standard deviation",
    "p90": "90th percentile, interpolated",
    "p95": "95th percentile, interpolated",
    "p99": "99th percentile, interpolated",
}
_PERCENTILES = {
    "mean_ms": "The mean, ms; null where a value is never reached.",
    "p50_ms": "The median, by nearest rank, ms.",
    "p90_ms": "The 90th percentile, by nearest rank, ms.",
    "p95_ms": "The 95th percentile, by nearest rank, ms.",
    "p99_ms": "The 99th percentile, by nearest rank, ms.",
    "max_ms": "The largest value, ms.",
}
_VLLM_COUNTS = {
    "num_prompts": "Requests that were started; a number of streams.",
    "request_rate": "Mean rate at which requests start, per second; null in a closed loop.",
    "burstiness": "Squared coefficient of variation of the gaps between requests, a number; null in a closed loop.",
    "max_concurrency": "Streams at a time, a number; null in an open loop.",
    "duration": "From the first scheduled request to the last record, s.",
    "completed": "Streams that ended with their protocol's end marker, a number; vLLM also counts a clean end without.",
    "failed": "Streams that were interrupted; a number.",
    "total_output_tokens": "Tokens of the complete streams by the server's usage, else events with content; a number.",
    "request_throughput": "completed / duration, per second.",
    "request_goodput": "Complete streams that met every objective / duration, per second; null without objectives.",
    "output_throughput": "total_output_tokens / duration, per second.",
}
_FIRST_CONTENT = {
    "first_content_streams": "Streams of which the first content is known, or known to be never reached; a number.",
    "first_content_never": "How many of first_content_streams never had content; they are longer than everything.",
    **{
        f"first_content_{name}": f"chaoskit's TTFT, first event with content − scheduled, ms. {sentence}"
        for name, sentence in _PERCENTILES.items()
        if name != "max_ms"
    },
}
_RESULT = {
    "schema_version": "The version of this form; a number.",
    "seed": "The seed of arrivals and prompts; a number.",
    "origin": "The begin of the first phase on the run's monotonic clock, ns.",
    "chaoskit.seconds": "From the begin of the first phase to the last record, s.",
    "phases.seconds": "The length of all its rounds together, s.",
    "stall_threshold_ms": "A longer gap between two tokens is a stall, ms.",
    "reading_rate": "Tokens that a reader of a stream reads, per second: slower ones make it wait.",
    "bucket_s": "The length of an interval of timeline, s.",
    "started": "Streams that were started, a number.",
    "complete": "Streams that ended with their protocol's end marker, a number.",
    "interrupted": "Streams that ended in any other way, without cancelled ones; a number.",
    "cancelled": "Streams that the end of the run cut off, a number.",
    "retries": "Streams in which a user asked again what he had given up, a number.",
    "empty": "Streams that ended well without a token, a number.",
    "short": "Streams that ended well with far fewer tokens than asked for, a number.",
    "remarks.count": "Streams whose response was odd in this way, a number.",
    "remarks.streams": "The numbers of the first few, as in requests.jsonl.",
    "completions": "How the streams ended: a number of streams for each way.",
    "failures.count": "Streams that ended in this way, a number.",
    "failures.streams": "The numbers of the first few, as in requests.jsonl.",
    "itl_uncoalesced": "itl without gaps between two tokens of one socket read, ms.",
    "gaps": "Gaps between two tokens, a number.",
    "coalesced": "Gaps between two tokens of one socket read, a number.",
    "streaming_ms": "The sum of all gaps, ms.",
    "stalls": "Gaps longer than the stall threshold after planned pauses are subtracted, a number.",
    "severe_stalls": "Stalls longer than 1 s, a number.",
    "stall_time_ms": "The sum of what stalls last beyond the threshold, ms.",
    "events": "Events with content that arrived, a number.",
    "tokens": "Tokens that arrived: events × tokens_per_event of their stream, a number.",
    "tokens_per_event": "The mean of the streams whose server told its usage, a number.",
    "count": "Values that are summarized, a number.",
    "never": "How many of them were never reached; they are longer than everything. A number.",
    "cut": "How many of them the end of the run cut off, after less than others took; a number.",
    "at_least": "Statistics that are longer than this, of which no more is known: streams ended first.",
    **_PERCENTILES,
    "value": "The estimate, in the unit of its metric.",
    "low": "The lower end of its interval, in the same unit.",
    "high": "The upper end of its interval, in the same unit.",
    "server_ms": "Time of stalls that the server caused, ms.",
    "between_ms": "Time of stalls while something between client and server held the stream back, ms.",
    "network_ms": "Time of stalls that the network caused, ms.",
    "interruption_causes": "Interrupted streams by whose the interruption was, a number of streams for each.",
    "late_first_tokens": "First tokens later than 19 of 20 in the phase of reference, a number.",
    "first_token_causes": "What these took beyond the median of that phase, by whose it was, ms.",
    "first_token_parts": "The same by part of the way to a first token, ms.",
    "first_token_confidence": "How sure these causes are: exact (by the server's own stamps), likely, or none.",
    "network_kinds": "The same by what the network did, ms.",
    "client_ms": "Time of stalls that the client caused, ms.",
    "unknown_ms": "Time of stalls of unknown cause, ms.",
    "arrivals": "Streams that were scheduled in it, however they ended, a number.",
    "rounds.number": "Which repeat of the timeline it is, a number from 0.",
    "begin_s": "Its begin after that of the first phase, s.",
    "ready_s": "When its faults were in force, after the begin of the first phase, s.",
    "end_s": "Its end after the begin of the first phase, s.",
    "level": "How sure each interval is, a share of 1: 0.95, and more where a run takes several looks.",
    "until_decided.most": "Looks that the run could take, with that at its end, a number.",
    "until_decided.rounds": "Rounds of the timeline that were run, a number.",
    "looks.at_s": "Its begin after that of the first phase, s.",
    "looks.round": "Rounds that were done, or nearly so, a number.",
    "at_s": "The begin of the interval after that of its phase, s.",
    "requests": "Requests that were scheduled in it, a number.",
    "ttft_p50_ms": "The median TTFT of the requests that were scheduled in it, ms.",
    "timeline.interrupted": "Streams that were interrupted in it, or fell silent in it and ended later, a number.",
    "timeline.stalls": "Stalls that ended in it, a number.",
    "path_mtu.streams": "Streams that it happened to, a number.",
    "of_streams": "Streams that it could have happened to, a number.",
    "segment": "The sender's MSS, bytes.",
    "path_mtu.path_mtu": "The path MTU that the sender's socket knew, bytes.",
    "retransmissions": "Segments that the sender sent again, a number.",
    "evidence.count": "Streams or samples that it rests on, a number.",
    "intermediaries.streams": "Streams that it cut off or held back, a number.",
    "intermediaries.of_streams": "Streams that were cut off, or that were long enough to tell; a number.",
    "intermediaries.seconds": "The median time of the timer, or between two pieces, s.",
    "intermediaries.bytes": "The median size of a piece, bytes.",
    "intermediaries.spread_ms": "From the shortest to the longest time, ms.",
    "closings.streams": "Streams that ended so, a number.",
    "closings.of_streams": "Streams of the phase that were interrupted, a number.",
    "closings.seconds": "The median time since the last data, or since the request, s.",
    "closings.spread_ms": "From the shortest to the longest of these times, ms.",
    "apart_ms": "At most so long between the end for the client and that for the host it waited for, ms.",
    "compression.streams": "Complete answers, of which the rest are medians; a number.",
    "compression.first_token_ms": "From the scheduled time to the first token, ms.",
    "compression.events": "Events with content, a number.",
    "compression.reads": "Reads with tokens in them, a number.",
    "compression.bursts": "Bursts, each of what came without a gap of more than 10 ms; a number.",
    "compression.longest_gap_ms": "The longest gap between two events, ms.",
    "requests_per_second": "Requests that the model received, per second.",
    "models.phases.busy": "Time in which any step was computed, which monitoring calls utilisation; a share.",
    "running": "Requests in the batch, the mean of samples; a number.",
    "running_max": "The most of them in any sample, a number.",
    "waiting": "Requests in the queue, the mean of samples; a number.",
    "waiting_max": "The most of them in any sample, a number.",
    "kv_usage": "The used part of the KV cache, the mean of samples; a share.",
    "kv_usage_max": "The largest of them, a share.",
    "preemptions": "Times that a request lost its KV cache, a number.",
    "computed_per_second": "Tokens of prompts and answers that were computed, per second.",
    "first_token_p95_ms": "From a request's arrival to its first token, by the server; 95th percentile, ms.",
    "models.phases.refused": "Requests that the model refused, a number.",
    "worst": "The numbers of the worst streams, as in the file.",
    "comparisons.value": "The metric in this phase, in unit.",
    "comparisons.reference": "The metric in the reference phase, in unit.",
    "bound": "What it is compared with, in unit.",
    "objectives.streams": "Streams that it was computed from: those with a value of the metric; a number.",
    "streams_started": "Streams that were scheduled in its phase, of two phases the smaller number; a number.",
    "streams_needed": "How many streams would decide it, a number.",
    "requested": "What the fault should do, in unit.",
    "measured": "What it did, in unit.",
    "tolerance": "How far the two may differ, in unit.",
    "samples": "Packets, handshakes or connections that it was measured on, a number.",
    "scheduling_lag_p99_ms": "How late requests were started, 99th percentile, ms.",
    "loop_lag_p99_ms": "How late the client's event loop woke, 99th percentile, ms.",
    "server_late_p99_ms": "How late the reference server sent, 99th percentile, ms.",
    "server_late_max_ms": "How late the reference server sent any event, ms; of one that did not arrive too.",
    "client_errors": "Requests that failed because of a limit of the client's own machine, a number.",
    "spans.spans": "Spans in spans.jsonl, a number.",
    "spans.requests": "Requests of the run, a number.",
    "without_span": "Requests of which no span was recorded, a number.",
    "duplicates": "Spans with the identity of one before them, left out; a number.",
    "without_parent": "Spans whose parent nobody recorded, placed below their request; a number.",
    "in_circles": "Spans whose parents form a circle, placed below their request; a number.",
    "negative": "Spans that end before they begin, taken to have no length; a number.",
    "of_no_request": "Spans of traces that no request of the run has, left out; a number.",
    "admitted": "Requests that were admitted at once, by their spans; a number.",
    "queued": "Requests that waited to be admitted, by their spans; a number.",
    "shed": "Requests that admission refused, by their spans or HTTP status 429; a number.",
    "inversions": "Requests that went before a waiting one of a more important class, a number.",
    "hit": "Retrievals that found something, a number.",
    "miss": "Retrievals that answered in time that they have nothing, a number.",
    "retrievals.timeout": "Retrievals that did not answer within their deadline, a number.",
    "retrievals.error": "Retrievals that failed, a number.",
    "retrievals.degraded": "Retrievals that answered with a part of what was asked, a number.",
    "untold": "Retrievals that answered, and nothing tells what; a number.",
    "fallbacks.count": "Retrievals in whose place this answered, a number.",
    "degraded.count": "Requests answered while this step of the degradation ladder was in force, a number.",
    "downgraded.count": "Requests for the first service tier that the second one answered, a number.",
    "calls": "Calls for this purpose that this host answered, or was asked last in; a number.",
    "attempts": "Attempts at this host, those of calls that another host answered as well; a number.",
    "hedges": "Attempts that were made beside one that still ran, a number.",
    "errors.count": "Attempts that failed so, a number.",
    "hops.duration": "From the begin of the call to its end, with all attempts, ms.",
    "slow_share": "Share of the time of the slow chains' critical paths that lies in these calls, share of 1.",
    "slow": "The slowest tenth of the chains of the phase, one at the least; a number.",
    "path.mean_ms": "Mean time on the critical path of a slow chain, ms.",
    "path.share": "Share of the time of the slow chains' critical paths, share of 1.",
    "failover.count": "Requests whose users saw this of a failure, a number.",
    "failover_times.calls": "Calls that another host than usual answered, a number.",
    "over_ms": "From the moment at which the faults were in force until such a call was made, the longest round, ms.",
    "back_ms": "From the moment at which they were gone until a call that the usual host answered, ms.",
    "usual_ms": "Mean time on the critical path of a chain of the reference phase, ms.",
    "added_ms": "mean_ms − usual_ms, ms.",
    "late": "First tokens later than beyond_ms, or that never came; a number.",
    "beyond_ms": "The 95th percentile of the first-token latency in the reference phase, ms.",
    "causes.requests": "Late first tokens with this cause, a number.",
    "causes.mean_ms": "The mean time that this place took beyond its usual time, ms; 0 for what was refused.",
    "causes.streams": "The numbers of the first few, as in requests.jsonl.",
    "unknown": "Late first tokens without a span, or without a place that took longer than usual; a number.",
    "unfinished": "Streams that were open when the records end, a number.",
}


def table() -> dict[str, str]:
    """All definitions by key."""
    of_vllm = {
        f"{statistic}_{figure}_ms": f"{sentence}; {name}, of complete streams, ms."
        for figure, sentence in _OF_VLLM.items()
        for statistic, name in _STATISTICS.items()
    }
    metrics = {metric.name: _sentence(metric) for metric in TABLE}
    return _VLLM_COUNTS | of_vllm | _FIRST_CONTENT | metrics | _RESULT


def definitions(document: dict[str, Any]) -> dict[str, str]:
    """Those of the keys in this document."""
    paths = {f".{'.'.join(path)}" for path in _paths(document, ())}
    return {key: sentence for key, sentence in table().items() if any(path.endswith(f".{key}") for path in paths)}


def _sentence(metric: Metric) -> str:
    return f"{metric.definition.rstrip('.')}; {_UNITS[metric.kind]}."


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The path of every key, without indices."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield (*path, key)
            yield from _paths(below, (*path, key))
    elif isinstance(value, list):
        for below in value:
            yield from _paths(below, path)
