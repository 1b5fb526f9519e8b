"""Says what an unknown key was perhaps meant to be: a spelling, a place, or another tool's word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, get_args, get_origin

from chaoskit.faults.schema import SpecModel

Path = tuple[str, ...]
_ANY_NAME = "NAME"  # of a fault

_OTHER_WORDS: Mapping[str, tuple[str, ...]] = {
    # key: what k6, vegeta, locust, vLLM, aiperf, toxiproxy, tcconfig, pumba, Chaos Mesh, tc and APIs call it
    "output-tokens": (
        *("max-tokens", "max-completion-tokens", "max-output-tokens", "max-new-tokens", "output-len", "osl"),
        *("random-output-len", "num-predict", "n-predict", "output-length", "tokens", "output-tokens-mean"),
    ),
    "prompt-size": (
        *("prompt-tokens", "input-tokens", "input-len", "random-input-len", "isl", "prompt-length", "prompt"),
        *("prompt-bytes", "input-size", "body", "body-size"),
    ),
    "request-rate": ("rate", "rps", "qps", "arrival-rate", "requests-per-second", "constant-request-rate"),
    "max-concurrency": (
        *("vus", "concurrency", "workers", "max-workers", "threads", "parallel", "max-vus"),
        "pre-allocated-vus",
    ),
    "demand": ("mix", "workflows", "scenarios", "weights", "load-mix"),
    "trace": ("replay", "trace-file", "dataset", "dataset-path", "input-file"),
    "retry": ("retries", "reload", "ask-again"),
    "patience": ("abandon", "give-up", "abandonment", "timeout", "wait", "max-wait"),
    "times": ("max-retries", "attempts", "max-attempts"),
    "retries": ("max-retries", "attempts", "max-attempts", "tries"),
    "deadline": ("timeout", "request-timeout", "call-timeout"),
    "per-try": ("attempt-timeout", "per-try-timeout", "try-timeout"),
    "hedge-after": ("hedge", "hedging"),
    "fallback": ("fallbacks", "on-timeout", "on-error"),
    "from": ("host", "hosts"),
    "k": ("top-k", "n-results", "results"),
    "retrieve": ("rag", "search"),
    "retrieval": ("rag", "search", "vector-db", "index", "retriever"),
    "tool": ("tools", "function", "mcp-server"),
    "policy": ("guardrail", "guard", "moderation"),
    "generate": ("model", "llm", "completion"),
    "reference": ("model", "server", "llm", "vllm"),
    "scheduling-policy": ("policy", "scheduler"),
    "max-num-seqs": ("batch-size", "max-batch-size"),
    "kv-cache-tokens": ("kv-cache", "kv-cache-size"),
    "max-model-len": ("context", "context-length", "max-seq-len"),
    "median": ("p50", "mean", "average"),
    "p99": ("p95", "max"),
    "after": ("think-time", "backoff", "wait"),
    "peak-to-trough": ("peak-to-trough-ratio", "ratio"),
    "timeouts": ("timeout", "request-timeout", "read-timeout", "http-timeout"),
    "timeouts.connect": ("connect-timeout", "connection-timeout"),
    "timeouts.first-token": ("first-token-timeout", "ttft-timeout"),
    "timeouts.idle": ("idle-timeout",),
    "server.first-token": ("ttft", "time-to-first-token"),
    "token-interval": ("itl", "inter-token-latency", "token-latency", "tpot"),
    "timers": ("timeouts", "timeout", "read-timeout", "proxy-read-timeout", "upstream-timeout"),
    "run": ("command", "cmd", "entrypoint", "exec", "program", "start"),
    "env": ("environment", "env-vars", "variables"),
    "env-from": ("env-file", "secrets"),
    "ready": ("healthcheck", "health", "health-check", "readiness", "readiness-probe", "wait-for", "port", "ports"),
    "tcp": ("port", "tcp-socket", "tcpsocket"),
    "output": ("log", "log-line", "stdout"),
    "within": ("start-period", "start-timeout", "deadline", "timeout"),
    "files": ("volumes", "mounts", "configs", "file"),
    "replicas": ("scale", "instances", "count"),
    "stop-after": ("stop-grace-period", "stop-timeout", "grace-period"),
    "rootfs": ("image", "root", "container"),
    "hosts": ("services", "nodes", "containers", "processes"),
    "protocol": ("mcp", "api", "backend", "endpoint-type", "dialect"),
    "http": ("http-version", "http2"),
    "connections": ("keep-alive", "keepalive", "connection", "connection-reuse"),
    "delay": ("latency", "lag", "delay-time", "network-latency"),
    "jitter": ("delay-jitter", "latency-jitter", "delay-distro", "variance"),
    "distribution": ("delay-distribution",),
    "loss": ("packet-loss", "drop", "loss-rate", "packet-loss-rate"),
    "duplicate": ("dup", "duplication", "packet-duplicate"),
    "corrupt": ("corruption", "corrupting"),
    "reorder": ("reordering", "packet-reordering"),
    "gemodel": ("loss-gemodel", "gilbert", "gilbert-elliott", "gilbert-elliot"),
    "limit": ("queue-limit", "queue", "buffer"),
    "direction": ("stream", "upstream", "downstream", "side"),
    "faults": ("toxics", "toxic", "attacks", "chaos", "fault", "scenarios", "injections"),
    "timeline": ("duration", "phases", "steps", "schedule", "stages", "length"),
    "objectives": ("thresholds", "slo", "slos", "assertions", "checks", "objective", "expectations"),
    "capture": ("pcap", "pcapng", "tcpdump", "packets"),
    "telemetry": ("tracing", "otel", "otlp", "opentelemetry", "spans"),
    "target": ("url", "base-url", "endpoint", "uri", "address"),
    "key-env": ("api-key", "api-key-env", "key", "token", "auth", "authorization", "bearer"),
    "interface": ("iface", "dev", "device", "nic"),
    "repeats": ("repeat", "iterations", "rounds", "loops", "runs"),
    "order": ("interleave", "interleaved", "shuffle", "randomize", "randomise", "block-order"),
    "seed": ("random-seed", "rng-seed"),
    "question": ("description", "title", "hypothesis", "desc"),
    "matrix": ("variants", "sweep", "grid", "parameters"),
    "cut": ("limit-data", "reset-peer", "reset", "rst", "tcp-reset", "close"),
    "idle-timeout": ("conntrack-timeout", "nat-timeout", "session-timeout"),
    "mss-clamp": ("mss", "clamp-mss", "tcpmss"),
    "congestion-control": ("cc", "congestion", "tcp-congestion-control"),
    "rate": ("bandwidth", "bw", "rate-limit", "throughput"),
}
OURS: Mapping[str, tuple[str, ...]] = {
    theirs: tuple(key for key, words in _OTHER_WORDS.items() if theirs in words)
    for words in _OTHER_WORDS.values()
    for theirs in words
}
"""What is meant by other tools' words, in kebab-case: a key, or the end of a dotted path."""


def advice(found: str, known: Sequence[str], where: Sequence[str | int] = (), places: Iterable[Path] = ()) -> str:
    """What to write instead of a key that is none of `known`. `where` it was found, and all `places` of the file."""
    if found == "<<":
        return "merge keys of YAML are not read; write the keys out"
    name, colon, value = found.partition(":")
    if colon and name in known:
        return f"write a space after the colon, {name}: {value}"
    word = found.strip().lower().replace("_", "-")
    ours = [tuple(key.split(".")) for key in (word, *OURS.get(word, ()))]
    steps = tuple(step for step in where if isinstance(step, str))
    steps = steps[:-1] if steps[-1:] == (found,) else steps
    if here := [key[-1] for key in ours if key[-1] in known and steps[-len(key) :][:-1] == key[:-1]]:
        return f"did you mean {' or '.join(here)}?"
    near = [path for key in ours for path in _nearest(key, steps, places) if not _is_at(path[:-1], steps)]
    if known and any(_is_at(path, (*steps, word)) for path in places):
        return f"expected one of {', '.join(known)}: remove {found}, which goes with others"
    if near and near[0][-1] == word:
        return f"its place is {_shown(near[0])}"
    if close := difflib.get_close_matches(word, known, n=1):
        return f"did you mean {close[0]}?"
    return f"did you mean {_shown(near[0])}?" if near else f"expected one of {', '.join(known) or 'nothing'}"


def _nearest(key: Path, steps: Path, places: Iterable[Path]) -> list[Path]:
    """The places of this key, the nearest first: below or beside where it was found, then the least deep."""

    def distance(path: Path) -> tuple[int, int]:
        pairs = zip(path, steps, strict=False)
        common = len(list(takewhile(lambda pair: pair[0] in (pair[1], _ANY_NAME), pairs)))
        return -common, len(path)

    return sorted((path for path in places if path[-len(key) :] == key), key=distance)


def keys_below(where: Sequence[str | int], places: Iterable[Path]) -> list[str]:
    """The keys that may stand below this location."""
    steps = tuple(step for step in where if isinstance(step, str))
    return list(dict.fromkeys(path[-1] for path in places if _is_at(path[:-1], steps)))


def _is_at(path: Path, steps: Path) -> bool:
    return len(path) == len(steps) and all(mine in (step, _ANY_NAME) for mine, step in zip(path, steps, strict=True))


def _shown(path: Path) -> str:
    return ".".join(path) if len(path) > 1 else f"{path[0]}, at the top of the file"


@cache
def places(model: type[SpecModel]) -> tuple[Path, ...]:
    """The path of every key of a model, and of those below them."""
    return tuple(_places(model, ()))


def _places(model: type[SpecModel], above: Path) -> Iterator[Path]:
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        yield path
        for below, is_named in _models(field.annotation):
            yield from _places(below, (*path, _ANY_NAME) if is_named else path)


def _models(annotation: Any, is_named: bool = False) -> Iterator[tuple[type[SpecModel], bool]]:
    """The models in an annotation, and whether a name stands before their keys."""
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        yield annotation, is_named
        return
    for each in get_args(annotation):
        yield from _models(each, is_named or get_origin(annotation) is dict)
