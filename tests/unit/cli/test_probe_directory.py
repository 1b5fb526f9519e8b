"""`report` of a probe's directory says what the probe said, and ends as it ended, whatever that was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import warm
from cli_words import MEASURED

from chaoskit.planning.probe_plan import ProbePlan

SECRET = "sk-hush-hush-1234567890"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The reference server."""
    serve = "serve --port 0 --first-token 2ms --first-token-p99 2ms --token-interval 5ms"
    with subprocess.Popen([sys.executable, "-m", "chaoskit", *serve.split()], stdout=subprocess.PIPE, text=True) as it:
        assert it.stdout is not None
        yield it.stdout.readline().split()[0]
        it.kill()


def chaoskit(*words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """What chaoskit says."""
    return warm.chaoskit(*words, environment={"COLUMNS": "100", **(environment or {})})


def last(text: str) -> list[str]:
    """The lines of a report, without the one that names its records."""
    return [line.rstrip() for line in text.splitlines() if not line.startswith("records")]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--objective", "ttft_p50 < 5s"], 0),
        (["--objective", "ttft_p50 < 1us"], 1),
        (["--objective", "ttft_p99 < 5s"], 5),
        ([], 0),
        (["--max-time", "100ms", "--requests", "100000", "--objective", "ttft_p50 < 5s"], 5),
    ],
)
def test_a_report_says_what_the_probe_said(options: list[str], code: int, url: str, tmp_path: Path) -> None:
    """The same screen, the same document but for its place, and the same exit code."""
    out = str(tmp_path / "run")
    words = ["probe", url, "--model", "my-model", "--output-tokens", "5", "--seed", "7", *options, "--out", out]
    probed = chaoskit(*words)
    reported, document = chaoskit("report", out), chaoskit("report", out, "--format", "json")
    if json.loads(document.stdout)["health"]["overloaded"]:  # of a machine that has no time for us nothing is decided
        code = 5

    assert (probed.returncode, reported.returncode, document.returncode) == (code, code, code), probed.stderr
    assert last(reported.stdout) == last(probed.stdout)
    assert f"{url}/v1/chat/completions, model my-model" in reported.stdout
    result = json.loads(document.stdout)
    assert (result["target"], result["model"], result["seed"]) == (f"{url}/v1/chat/completions", "my-model", 7)
    asked = [word for before, word in pairwise(options) if before == "--objective"]
    assert [each["text"] for each in result["objectives"]] == asked


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_probe_is_reported_as_one(sign: signal.Signals, code: int, url: str, tmp_path: Path) -> None:
    """Its objectives and its exit code are those of the probe that was interrupted."""
    out = tmp_path / "run"
    words = ["probe", url, "--requests", "100000", "--objective", "ttft_p50 < 5s", "--out", str(out)]
    with subprocess.Popen([sys.executable, "-m", "chaoskit", *words], stdout=subprocess.PIPE, text=True) as running:
        until = time.monotonic() + 20
        while not (out / "requests.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.01)
        running.send_signal(sign)
        told, _ = running.communicate(timeout=20)
    reported = chaoskit("report", str(out))

    assert (running.returncode, reported.returncode) == (code, code)
    assert "ttft_p50 < 5s" in told
    assert "ttft_p50 < 5s" in reported.stdout


def test_a_refused_probe_is_reported_as_one(tmp_path: Path) -> None:
    """An endpoint that is not there ends both with 3, before any token."""
    out = str(tmp_path / "run")
    probed = chaoskit("probe", "http://127.0.0.1:9", "--objective", "ttft_p50 < 5s", "--out", out)
    reported = chaoskit("report", out)

    assert (probed.returncode, reported.returncode) == (3, 3)


def test_a_killed_probe_is_no_success(url: str, tmp_path: Path) -> None:
    """SIGKILL leaves a directory whose report says that it was interrupted."""
    out = tmp_path / "run"
    words = ["probe", url, "--requests", "100000", "--out", str(out)]
    with subprocess.Popen([sys.executable, "-m", "chaoskit", *words]) as running:
        until = time.monotonic() + 20
        while not (out / "requests.jsonl").exists() and time.monotonic() < until:
            time.sleep(0.01)
        running.kill()
    reported = chaoskit("report", str(out))

    assert reported.returncode == 130
    assert "INTERRUPTED" in reported.stdout


def test_no_file_holds_a_secret(url: str, tmp_path: Path) -> None:
    """Of a key, a header and a query only the names are kept; the rest of what was asked is there."""
    out = tmp_path / "run"
    place = f"{url}/v1/chat/completions?deployment=very-private-place"
    more = ["--api-key-env", "MY_KEY", "--header", "x-team: red-and-secret", "--max-concurrency", "3"]
    probed = chaoskit("probe", place, *more, "--out", str(out), environment={"MY_KEY": SECRET})

    assert probed.returncode in MEASURED, probed.stdout + probed.stderr
    asked = ProbePlan.model_validate_json((out / "probe.json").read_text())
    assert (list(asked.access.headers), asked.access.key_env, asked.workload.max_concurrency) == (
        ["x-team"],
        "MY_KEY",
        3,
    )
    assert asked.url == f"{url}/v1/chat/completions?deployment=…"
    for file in out.iterdir():
        for secret in (SECRET, "red-and-secret", "very-private-place"):
            assert secret not in file.read_text(), file.name


def test_a_damaged_description_is_named(url: str, tmp_path: Path) -> None:
    """A probe.json that somebody changed is said with its place, exit code 2; without provenance it is a warning."""
    out = tmp_path / "run"
    assert chaoskit("probe", url, "--requests", "2", "--out", str(out)).returncode in MEASURED
    (out / "provenance.json").write_text("{")
    warned = chaoskit("report", str(out))
    (out / "probe.json").write_text('{"url": 3}')
    refused = chaoskit("report", str(out))

    assert "provenance.json cannot be read" in " ".join(warned.stdout.split())
    assert warned.returncode in MEASURED
    assert refused.returncode == 2
    assert "probe.json" in refused.stderr
