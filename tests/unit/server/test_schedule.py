"""A real server sends tokens on schedule, over either HTTP version, and records its responses."""

import json
import re
import statistics
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from serving import SCRIPT, Running, running

from chaoskit.records.model import ServedResponse
from chaoskit.units import Duration

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
HTTP = {"1.1": ["--http1.1"], "2": ["--http2-prior-knowledge"]}
INTERVAL = int(SCRIPT.token_interval)


def stamps(raw: str) -> list[tuple[int, int, int]]:
    """(seq, due, sent) of every event, in order, from JSON or from a comment."""
    found = re.findall(r'"seq":(\d+),"due":(\d+),"sent":(\d+)|: chaoskit (\d+) (\d+) (\d+)', raw)
    return [tuple(int(number) for number in groups if number) for groups in found]  # type: ignore[misc]


def ask(server: Running, http: str, path: str = "/sse", tokens: int = 50, stream: int | None = None) -> str:
    """The body that curl receives."""
    body = {**CHAT, "max_tokens": tokens, "options": {"num_predict": tokens}}
    header = [] if stream is None else ["-H", f"x-chaoskit-stream: {stream}"]
    url = f"{server.url}{path}?tokens={tokens}"
    command = [
        "curl",
        "-sSN",
        "--fail",
        "--max-time",
        "20",
        *HTTP[http],
        *header,
        url,
        "-d",
        json.dumps(body),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat", "/sse"])
def test_schedule_is_exact(server: Running, http: str, path: str) -> None:
    """Token n is due n intervals after the first, to the nanosecond; none leaves early, half within 5 ms."""
    told = stamps(ask(server, http, path))

    assert [seq for seq, _, _ in told] == list(range(50))
    assert [due for _, due, _ in told] == [told[0][1] + n * INTERVAL for n in range(50)]
    assert all(sent >= due for _, due, sent in told)
    assert statistics.median(sent - due for _, due, sent in told) < 5_000_000


@pytest.mark.parametrize("http", HTTP)
def test_responses_are_recorded(server: Running, http: str) -> None:
    """One record for each response matches what the client saw, with the first token's delay of its number."""
    told = stamps(ask(server, http, stream=12))

    (served,) = server.served_when(1)

    assert (served.stream, served.outcome, served.tokens, served.tokens_sent) == (12, "sent", 50, 50)
    assert served.first_due == told[0][1]
    assert served.first_due - served.received == SCRIPT.plan(50, "stream", 12).first_token
    assert served.max_late == max(sent - due for _, due, sent in told)
    assert served.received < served.ended
    assert served.tcp_info["state"] == 1
    assert served.tcp_info["total_retrans"] == 0
    assert served.tcp_info["bytes_sent"] > 50 * 20


def test_same_seed_same_stream(tmp_path: Path) -> None:
    """Another server with the same seed sends the same numbered stream, whatever was requested before."""
    stories = []
    for http in HTTP:
        (run := tmp_path / http).mkdir()
        with running(run) as server:
            if http == "2":
                ask(server, "1.1")
            words = re.findall("data: (.*)", ask(server, http, stream=5))
            *_, served = server.served_when(1 if http == "1.1" else 2)
            stories.append((words, served.first_due - served.received))

    assert stories[0] == stories[1]


def test_two_requests_differ(server: Running) -> None:
    """Requests without a number get different texts after different delays."""
    texts = [re.findall("data: (.*)", ask(server, "1.1")) for _ in range(2)]
    delays = {served.first_due - served.received for served in server.served_when(2)}

    assert texts[0] != texts[1]
    assert len(delays) == 2


@pytest.mark.parametrize("http", HTTP)
def test_a_response_without_streaming_is_sent_at_its_last_due_time(server: Running, http: str) -> None:
    """Without streaming the whole response is sent when the last token of a stream would be due."""
    with httpx.Client(http1=http == "1.1", http2=http == "2") as client:
        body = {**CHAT, "stream": False, "max_tokens": 40}
        reply = client.post(f"{server.url}/v1/chat/completions", json=body)

    (served,) = server.served_when(1)

    assert reply.http_version == ("HTTP/1.1" if http == "1.1" else "HTTP/2")
    assert reply.json()["chaoskit"]["due"] == served.first_due + 39 * INTERVAL
    assert served.ended >= served.first_due + 39 * INTERVAL
    assert (served.outcome, served.tokens_sent, served.tokens) == ("sent", 40, 40)


@pytest.mark.parametrize("http", HTTP)
def test_a_large_response_is_complete(server: Running, http: str) -> None:
    """A response far above every window and buffer is complete."""
    quick = replace(SCRIPT, first_token_median=Duration(0), token_interval=Duration(0))
    (run := server.run / "large").mkdir()
    with running(run, quick) as other, httpx.Client(http1=http == "1.1", http2=http == "2") as client:
        body = {**CHAT, "stream": False, "max_tokens": 100_000}
        reply = client.post(
            f"{other.url}/v1/chat/completions", json=body, headers={"x-chaoskit-stream": "1"}, timeout=30
        )

    assert reply.json()["choices"][0]["message"]["content"] == quick.plan(100_000, "stream", 1).whole()


@pytest.mark.parametrize("http", HTTP)
def test_many_streams_at_once(server: Running, http: str) -> None:
    """Twenty overlapping streams are each complete and on their own schedule."""
    told: dict[int, str] = {}

    def one(number: int) -> None:
        told[number] = ask(server, http, tokens=100, stream=number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    served: dict[int | None, ServedResponse] = {record.stream: record for record in server.served_when(20)}

    for number in range(20):
        seen = stamps(told[number])
        assert [seq for seq, _, _ in seen] == list(range(100))
        assert seen[99][1] - seen[0][1] == 99 * INTERVAL
        assert served[number].first_due == seen[0][1]
