"""The mistakes of a first hour, in five roles: each gets one clear sentence and its exit code."""

from __future__ import annotations

import http.server
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warm import chaoskit

FILE = Path(__file__).parents[2] / "experiments" / "release-gate.yaml"
MISTAKES = [
    # somebody who tries it: a command, a word, a place that is not there
    ("probe", 2, "URL is missing"),
    ("probe http://127.0.0.1:84267 --requests 1", 2, "65535"),
    ("probe 127.0.0.1:8000", 2, "http://127.0.0.1:8000"),
    ("run nowhere.yaml", 2, "chaoskit init"),
    ("init --example nope", 2, "loss-first-token"),
    ("report nowhere", 2, "nowhere"),
    ("prob URL", 2, "probe"),
    ("exec curl -V", 2, "--"),
    # somebody who measures an endpoint
    ("probe URL/wrong --requests 50 --request-rate 100/s", 3, "404"),
    ("probe REFUSING --requests 200 --request-rate 100/s", 3, "Incorrect API key"),
    ("probe http://127.0.0.1:9/v1 --requests 50 --request-rate 100/s", 3, "connection refused"),
    ("probe http://nowhere.invalid/v1 --requests 50 --request-rate 100/s", 3, "name lookup"),
    ("probe URL --requests 3 --objective ttft_p95", 2, "'ttft_p95 < 800ms'"),
    ("probe URL --requests 3 --objective ttft_p95<3", 2, "unit"),
    ("probe URL --requests 3 --objective p99_itl_ms<30ms", 2, "itl_p99"),
    ("probe URL --requests 3 --objective http_req_failed<1%", 2, "interruption_rate"),
    ("probe URL --requests 3 --api-key-env NO_SUCH_VARIABLE", 2, "NO_SUCH_VARIABLE"),
    # somebody who writes a file
    ("validate FILE with 's/8.s/1\\/s/'", 0, "streams"),
    ("validate FILE with 's/wifi: 30s/wlan: 30s/'", 2, "wifi"),
    ("validate FILE with 's/20ms, loss/5000s, loss/'", 2, "delay"),
    ("validate FILE with 's/4kB/4GB/'", 2, "prompt-size"),
    ("validate FILE with 's/30s}/10000h}/'", 2, "10000h"),
    ("validate FILE with 's/800ms/800/'", 2, "unit"),
    # somebody in an incident, without the rights
    ("inject --to 127.0.0.1:8000 --down 'delay 80ms' --for 5s --dry-run --netns nowhere", 3, "nowhere"),
    ("restore nowhere", 2, "nowhere"),
    # somebody who builds a pipeline
    ("run FILE --substrate moon", 2, "moon"),
    ("run FILE --out /proc/nowhere", 3, "--out"),
    ("kernel build --source /nowhere", 2, "/nowhere"),
]


class Refusing(http.server.BaseHTTPRequestHandler):
    """An endpoint that wants another key."""

    def do_POST(self) -> None:
        """401, as OpenAI says it."""
        body = b'{"error": {"message": "Incorrect API key provided"}}'
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    """A reference server, and one that refuses every key."""
    refusing = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=refusing.serve_forever, daemon=True).start()
    words = [sys.executable, "-m", "chaoskit", "serve", "--port", "0", "--token-interval", "1ms"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield {"URL": server.stdout.readline().split()[0], "REFUSING": f"http://127.0.0.1:{refusing.server_port}"}
        server.terminate()
    refusing.shutdown()
    refusing.server_close()


def typed(place: Path, line: str, urls: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The line with its names replaced, run in an empty folder."""
    line, _, change = line.partition(" with ")
    for name, url in urls.items():
        line = re.sub(rf"\b{name}\b", url, line)
    if "FILE" in line:
        (place / "mine.yaml").write_bytes(FILE.read_bytes())
        if change:
            subprocess.run(f"sed -i {change} mine.yaml", shell=True, cwd=place, check=True)
        line = line.replace("FILE", "mine.yaml")
    return chaoskit(
        *shlex.split(line), cwd=place, environment={"CHAOSKIT_STATE": str(place / "state"), "COLUMNS": "80"}
    )


@pytest.mark.parametrize(("line", "code", "word"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_is_answered_in_a_sentence(
    line: str, code: int, word: str, urls: dict[str, str], tmp_path: Path
) -> None:
    """With the exit code, what to do, and no traceback."""
    ended = typed(tmp_path, line, urls)
    said = ended.stdout + ended.stderr

    assert ended.returncode == code, said
    assert word in said
    assert "Traceback" not in said
    assert "ExceptionGroup" not in said
    assert not [left for left in tmp_path.iterdir() if left.name not in ("mine.yaml", "state", "runs")]


def test_a_json_of_a_probe_explains_itself(urls: dict[str, str], tmp_path: Path) -> None:
    """Numbers are numbers, the two first-token latencies are told apart, every key is defined."""
    ended = typed(tmp_path, "probe URL --requests 3 --request-rate 50/s --json", urls)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    told = json.loads(ended.stdout, parse_constant=refuse)
    numbers = {name for name, value in told.items() if isinstance(value, int | float)}
    assert {"median_ttft_ms", "first_content_p50_ms"} <= numbers
    assert numbers <= told["definitions"].keys()


def test_a_run_that_was_kept_is_reported_again(urls: dict[str, str], tmp_path: Path) -> None:
    """With its URL, its objectives and the same exit code."""
    line = "probe URL --requests 5 --request-rate 50/s --out kept --objective 'ttft_p50 < 1ms'"
    ended = typed(tmp_path, line, urls)

    again = typed(tmp_path, "report kept", urls)

    assert (ended.returncode, again.returncode) in ((1, 1), (5, 5)), ended.stdout
    assert "ttft_p50 < 1ms" in again.stdout
    assert urls["URL"] in again.stdout
