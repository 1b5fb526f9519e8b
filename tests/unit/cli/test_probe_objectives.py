"""Every metric can be an objective of a real probe of the reference server, over plain HTTP and TLS."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from warm import chaoskit

from chaoskit.spec.metrics import METRICS

NO_TRACE = "no request named a trace"
OF_HOPS = {
    "recovery_time": "no phase of the run has a fault or a surge",
    **dict.fromkeys(("toolchain", "retrieval", "degraded", "queued", "downgrade"), NO_TRACE),
}
ABSENT = {
    "http": {"tls": "no TLS handshake was made", "delivered": "only the reference server records", **OF_HOPS},
    "https": {"delivered": "only the reference server records", **OF_HOPS},
}
BOUNDS = {"duration": "20s", "share": "99%", "per-minute": "1000/min", "per-second": "1000000/s"}
SERVE = "serve --port 0 --first-token 1ms --first-token-p99 1ms --token-interval 1ms"


@contextmanager
def server(*options: str) -> Iterator[str]:
    """The reference server; yields its URL by name, so that a name is looked up."""
    words = [sys.executable, "-m", "chaoskit", *SERVE.split(), *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[0]
        try:
            yield url.replace("127.0.0.1", "localhost")
        finally:
            process.kill()


def secured(folder: Path) -> tuple[list[str], list[str]]:
    """The options of a server with a certificate for localhost, and those of a client that trusts it."""
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert]
    subprocess.run([*make.split(), *names], check=True, capture_output=True)
    return ["--cert", cert, "--key", key], ["--ca-file", cert]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_every_metric_is_an_objective(scheme: str, tmp_path: Path) -> None:
    """Each is parsed, measured in its unit and judged, or undecided with the reason why there is nothing to judge."""
    wanted = [f"{name} < {BOUNDS[metric.kind]}" for name, metric in METRICS.items()]
    options = [word for each in wanted for word in ("--objective", each)]
    load = ["--requests", "40", "--max-concurrency", "8", "--output-tokens", "6", "--json"]
    of_server, of_probe = secured(tmp_path) if scheme == "https" else ([], [])
    with server(*of_server) as url:
        done = chaoskit("probe", url, *load, *options, *of_probe)

    assert done.returncode in (0, 5), done.stderr
    judged = {each["text"].split()[0]: each for each in json.loads(done.stdout)["chaoskit"]["objectives"]}
    assert list(judged) == list(METRICS)
    for name, each in judged.items():
        missing = next((why for part, why in ABSENT[scheme].items() if name.startswith(part)), "")
        if missing:
            assert each["verdict"] == "undecided"
            assert each["observed"]["value"] is None
            assert missing in each["reason"]
        else:
            assert each["observed"]["value"] >= 0, name
            assert each["verdict"] in ("met", "undecided")
            assert each["evidence"][0]["count"] > 0
    assert {name for name, each in judged.items() if each["verdict"] == "met"} > {
        *("ttft_p50", "ttfb_p50", "connect_p50", "upload_max", "e2el_mean", "tpot_max", "itl_mean", "max_gap_p50"),
        *("interruption_rate", "stall_ratio", "goodput", "tokens_per_second", "ttft_from_sent_p50", "dns_p50"),
    }
