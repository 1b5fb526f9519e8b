"""A reference server with an engine sends each token when its step has ended, and tells of its queue."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import REQUESTS, post, stream
from prometheus_text import samples
from serving import SCRIPT, Running, running, wait_for

from chaoskit.records import jsonl
from chaoskit.records.spans import ModelState, Span
from chaoskit.server.deviations import Cut, Pause
from chaoskit.server.inference.profiles import PROFILES, StepTimes
from chaoskit.server.inference.settings import EngineSettings, Lengths
from chaoskit.units import Duration

MS = 10**6
A100 = PROFILES["llama-3-8b-a100"]
QUICK = EngineSettings(StepTimes(((1, 2 * MS), (1000, 100 * MS)), Duration(0)), 100_000)
SLOW = replace(QUICK, steps=StepTimes(((1, 10_000 * MS),), Duration(0)))
TRACE, PARENT = "ab" * 16, "cd" * 8


@contextmanager
def serving(run: Path, engine: EngineSettings = QUICK, **script: Any) -> Iterator[Running]:
    """A server whose responses this engine computes."""
    with running(run, replace(SCRIPT, engine=engine, **script)) as server:
        yield server


def chat(tokens: int, prompt: str = "hi", **more: Any) -> dict[str, Any]:
    """A body of chat completions."""
    message = {"role": "user", "content": prompt}
    return {"model": "m", "messages": [message], "max_tokens": tokens, "stream": True, **more}


def stamps(events: list[Any]) -> list[dict[str, int]]:
    """The server's stamps of the tokens."""
    return [event["chaoskit"] for event in events if "chaoskit" in event]


def asked(server: Running, body: dict[str, Any]) -> socket.socket:
    """A connection on which the answer to this has begun."""
    data = json.dumps(body).encode()
    connection = server.connect()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)
    assert connection.recv(10)
    return connection


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Make these calls side by side, and give back what they return."""
    found: dict[int, Any] = {}

    def call(number: int) -> None:
        found[number] = calls[number]()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[number] for number in range(len(calls))]


def test_a_lone_response_has_the_pace_of_its_steps(tmp_path: Path) -> None:
    """Its tokens are due in the steps of the profile, to the nanosecond, and are sent then."""
    with serving(tmp_path, replace(QUICK, steps=A100.steps)) as server:
        found = stamps(post(server, "/v1/chat/completions", chat(8, "word " * 800)).events)
        (served,) = server.served_when(1)

    steps, due = A100.steps, [each["due"] for each in found]
    assert due[0] - served.received == steps.of_tokens(1000)
    assert [b - a for a, b in pairwise(due)] == [
        steps.of_tokens(1) + steps.of_context(1000 + number) for number in range(7)
    ]
    assert all(each["sent"] >= each["due"] for each in found)
    assert (served.first_due, served.tokens_sent, served.outcome) == (due[0], 8, "sent")


@pytest.mark.parametrize("api", REQUESTS)
def test_every_api_has_the_engine_behind_it(tmp_path: Path, api: str) -> None:
    """A stream of six tokens has all of them, and its end."""
    with serving(tmp_path) as server:
        found = stream(server, api)
        (served,) = server.served_when(1)

    assert (found.status, found.is_complete) == (200, True)
    assert (served.tokens_sent, served.outcome) == (6, "sent")


def test_an_answer_without_streaming_comes_with_its_last_token(tmp_path: Path) -> None:
    """Its stamp is that of the last step."""
    with serving(tmp_path) as server:
        body = json.loads(post(server, "/v1/chat/completions", chat(5) | {"stream": False}).body)
        (served,) = server.served_when(1)

    assert body["usage"]["completion_tokens"] == 5
    assert body["chaoskit"]["due"] - served.received == 5 * 2 * MS


def test_tokens_of_one_event_leave_with_the_last_of_them(tmp_path: Path) -> None:
    """With four tokens an event, of ten tokens, the events are due after 4, 8 and 10 steps."""
    with serving(tmp_path, tokens_per_event=4) as server:
        found = stamps(post(server, "/v1/chat/completions", chat(10)).events)
        (served,) = server.served_when(1)

    assert [(each["due"] - served.received) // (2 * MS) for each in found] == [4, 8, 10]


@pytest.mark.parametrize(
    ("script", "tokens"), [({"pauses": (Pause(2, Duration(30 * MS)),)}, 6), ({"deviations": (Cut(3, "end"),)}, 3)]
)
def test_a_script_deviates_from_what_the_engine_computes(tmp_path: Path, script: dict[str, Any], tokens: int) -> None:
    """A pause makes tokens late, a cut ends the response where the next token would have come."""
    with serving(tmp_path, **script) as server:
        found = stamps(post(server, "/v1/chat/completions", chat(6)).events)
        server.served_when(1)

    assert len(found) == tokens
    late = [each["sent"] - each["due"] >= 30 * MS for each in found]
    assert late == ([False, False, True, True, True, True] if tokens == 6 else [False] * 3)


def test_malformed_responses_stay_as_they_are(tmp_path: Path) -> None:
    """What is sent in place of a stream needs no engine; what ends without a token waits for one step."""
    with serving(tmp_path, SLOW) as server:
        assert stream(server, "openai-chat", "html-in-200").status == 200
    with serving(tmp_path) as server:
        assert stream(server, "openai-chat", "empty").is_complete


def test_many_share_a_step(tmp_path: Path) -> None:
    """Eight answers side by side take the time of one: their tokens come from the same steps."""
    with serving(tmp_path, replace(QUICK, steps=StepTimes(((1, 20 * MS),), Duration(0)))) as server:
        found = at_once([lambda: stamps(post(server, "/v1/chat/completions", chat(10)).events)] * 8)

    due = {each["due"] for one in found for each in one}
    assert len(due) <= 20
    assert all(len(one) == 10 for one in found)


def test_a_client_that_leaves_frees_its_place(tmp_path: Path) -> None:
    """The engine forgets it, and the next one is admitted."""
    with serving(tmp_path, replace(QUICK, max_seqs=1)) as server:
        with server.connect() as leaving:
            body = json.dumps(chat(50_000)).encode()
            leaving.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            assert leaving.recv(1000)
        found = post(server, "/v1/chat/completions", chat(3))
        left, sent = server.served_when(2)
        page = samples(httpx.get(f"{server.url}/metrics").text)

    assert found.is_complete
    assert (left.outcome, sent.outcome) == ("client-left", "sent")
    assert page["vllm:num_requests_running"] == page["vllm:kv_cache_usage_perc"] == 0
    assert page['vllm:request_success_total{finished_reason="abort"}'] == 1
    assert page['vllm:request_success_total{finished_reason="length"}'] == 1


def test_a_lower_priority_comes_first(tmp_path: Path) -> None:
    """As in vLLM: of those that wait, the one with the lowest number, also where it came last."""
    settings = replace(QUICK, steps=StepTimes(((1, 50 * MS),), Duration(0)), max_seqs=1, policy="priority")
    due: dict[int, int] = {}

    def ask(priority: int) -> None:
        tokens = 4 if priority else 100  # it runs while the others come
        body = chat(tokens, priority=priority) | {"stream": False}
        due[priority] = json.loads(post(server, "/v1/chat/completions", body).body)["chaoskit"]["due"]

    def count(name: str) -> float:
        return samples(httpx.get(f"{server.url}/metrics").text)[f"vllm:num_requests_{name}"]

    threads = [threading.Thread(target=ask, args=(priority,)) for priority in (0, 5, 1)]
    with serving(tmp_path, settings) as server:
        for waiting, thread in enumerate(threads):
            thread.start()
            wait_for(lambda waiting=waiting: (count("running"), count("waiting")) == (1, waiting))  # type: ignore[misc]
        for thread in threads:
            thread.join(30)

    assert sorted(due, key=due.__getitem__) == [0, 1, 5]


@pytest.mark.parametrize("status", [429, 503])
def test_a_full_queue_refuses(tmp_path: Path, status: int) -> None:
    """With the status of the settings, in the words of the API, and Retry-After."""
    settings = replace(SLOW, max_seqs=1, max_waiting=1, full_status=status)
    with serving(tmp_path, settings) as server, ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(closing(server.connect()))
            body = json.dumps(chat(5)).encode()
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            assert client.recv(10)
        found = post(server, "/v1/chat/completions", chat(5))

    assert found.status == status
    assert "retry-after: 1" in found.head.lower()
    assert "the queue of the model is full: 1 request waits" in json.loads(found.body)["error"]["message"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A prompt and an answer that the model cannot take together."""
    with serving(tmp_path, replace(QUICK, max_model_len=100)) as server:
        found = post(server, "/v1/chat/completions", chat(80, "word " * 20))

    assert found.status == 400
    message = json.loads(found.body)["error"]["message"]
    assert message == "the model takes 100 tokens; this request has 25 in its prompt, 80 for its answer"


def test_lengths_may_be_drawn(tmp_path: Path) -> None:
    """Of the prompt, which the usage tells, and of the answer, which then ends by itself."""
    settings = replace(QUICK, prompt=Lengths.of(700, 700), output=Lengths.of(4, 4))
    with serving(tmp_path, settings) as server:
        found = json.loads(post(server, "/v1/chat/completions", chat(50) | {"stream": False}).body)
        short = json.loads(post(server, "/v1/chat/completions", chat(3) | {"stream": False}).body)

    assert (found["usage"]["prompt_tokens"], found["usage"]["completion_tokens"]) == (700, 4)
    assert (found["choices"][0]["finish_reason"], short["choices"][0]["finish_reason"]) == ("stop", "length")
    assert short["usage"]["completion_tokens"] == 3


def test_the_metrics_are_vllms(tmp_path: Path) -> None:
    """Names, buckets that add up, and the busy share beside them, over HTTP/1.1 and by HEAD."""
    with serving(tmp_path) as server:
        post(server, "/v1/chat/completions", chat(6))
        answer = httpx.get(f"{server.url}/metrics")
        head = httpx.head(f"{server.url}/metrics")
        refused = httpx.post(f"{server.url}/metrics")
    page = samples(answer.text)

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert head.status_code == 200
    assert refused.status_code == 405
    assert page["vllm:generation_tokens_total"] == 6
    assert page["vllm:time_to_first_token_seconds_count"] == 1
    assert page["vllm:inter_token_latency_seconds_count"] == 5
    assert page["vllm:inter_token_latency_seconds_sum"] == pytest.approx(5 * 0.002)
    assert page['vllm:inter_token_latency_seconds_bucket{le="0.01"}'] == 5
    assert page['vllm:inter_token_latency_seconds_bucket{le="+Inf"}'] == 5
    assert 0 <= page["DCGM_FI_DEV_GPU_UTIL"] <= 100


def test_without_an_engine_there_are_no_metrics(tmp_path: Path) -> None:
    """The page is not known."""
    with running(tmp_path) as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 404


def test_each_request_leaves_a_span(tmp_path: Path) -> None:
    """In the client's trace, with what the engine did to it; a refused one has its status as error."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with serving(tmp_path, replace(QUICK, max_model_len=100)) as server:
        post(server, "/v1/chat/completions", chat(6), 10, **headers)
        post(server, "/v1/chat/completions", chat(300), 10, **headers)
        post(server, "/v1/chat/completions", chat(2))
        (served, *_) = server.served_when(2)
    spans = jsonl.read(tmp_path, Span)

    answered, refused, alone = spans
    assert (answered.trace, answered.parent, answered.host, answered.operation) == (TRACE, PARENT, "model", "model")
    assert (answered.begin, answered.end, answered.error) == (served.received, served.received + 12 * MS, None)
    assert answered.attributes == {
        "gen_ai.operation.name": "chat",
        "chaoskit.first_token_ns": 2 * MS,
        "chaoskit.model.queue_ns": 0,
        "chaoskit.model.prefill_ns": 2 * MS,
        "chaoskit.model.prefill_interference_ns": 0,
        "chaoskit.model.preemptions": 0,
        "chaoskit.model.preempted_ns": 0,
        "chaoskit.model.interference_ns": 0,
        "chaoskit.model.prompt_tokens": 1,
        "chaoskit.model.output_tokens": 6,
    }
    assert (refused.trace, refused.error) == (TRACE, "400")
    assert alone.parent is None
    assert len({each.span for each in spans}) == 3
    assert alone.trace != TRACE


def test_the_queue_is_recorded(tmp_path: Path) -> None:
    """At the start and at the end at least, with what has been computed until then."""
    with serving(tmp_path) as server:
        post(server, "/v1/chat/completions", chat(6))
    first, *_, last = jsonl.read(tmp_path, ModelState)

    assert (first.host, first.running, first.waiting, first.kv_used, first.busy, first.tokens) == (
        "model",
        0,
        0,
        0,
        0,
        0,
    )
    assert (last.running, last.kv_used, last.busy, last.tokens) == (0, 0, 6 * 2 * MS, 6)
    assert last.kv_size == 100_000
