"""What `chaoskit probe` asks of an endpoint: URL, body, model, prompts, warm-up."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from asked_endpoint import Answer, Asked, completes, endpoint, probe, reply, stream

from chaoskit.records.jsonl import read
from chaoskit.records.model import Request

MODEL = ("--model", "m")


@pytest.mark.parametrize(
    ("protocol", "base", "path"),
    [
        ("openai-chat", "", "/v1/chat/completions"),
        ("openai-chat", "/v1", "/v1/chat/completions"),
        ("openai-chat", "/v1/", "/v1/chat/completions"),
        ("openai-chat", "/prefix/v1", "/prefix/v1/chat/completions"),
        ("openai-chat", "/openai/v1", "/openai/v1/chat/completions"),
        ("openai-chat", "/api/paas/v4/", "/api/paas/v4/chat/completions"),
        ("openai-chat", "/v1beta/openai/", "/v1beta/openai/chat/completions"),
        ("openai-chat", "/openai/deployments/d?api-version=1", "/openai/deployments/d/chat/completions?api-version=1"),
        ("openai-chat", "/my/own/path", "/my/own/path"),
        ("openai-completions", "/v1", "/v1/completions"),
        ("openai-responses", "/v1", "/v1/responses"),
        ("anthropic-messages", "/v1", "/v1/messages"),
        ("anthropic-messages", "/anthropic", "/anthropic/v1/messages"),
        ("gemini", "/v1beta", "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ("ollama", "/api/", "/api/chat"),
        ("ollama-generate", "", "/api/generate"),
        ("sse", "", "/sse?tokens=100"),
        ("sse", "/sse", "/sse?tokens=100"),
        ("sse", "/my/sse?x=1", "/my/sse?x=1"),
    ],
)
def test_a_base_url_gets_the_usual_path(protocol: str, base: str, path: str) -> None:
    """A base URL, with a prefix, a slash or a query, is completed for its protocol; another path is kept."""
    with endpoint() as found:
        probe(f"{found.url}{base}", *MODEL, "--protocol", protocol)

    assert [each.path for each in found.posts] == [path]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/v1/messages", "messages"),
        ("/v1/responses", "input"),
        ("/v1/completions", "prompt"),
        ("/api/generate", "prompt"),
        ("/v1beta/models/m:streamGenerateContent", "contents"),
    ],
)
def test_the_path_says_the_protocol(path: str, key: str) -> None:
    """Without --protocol the path decides, and the body is that of its protocol."""
    with endpoint() as found:
        probe(f"{found.url}{path}", *MODEL)

    assert key in found.posts[0].body


def test_a_404_names_the_path_that_was_asked_and_the_usual_one() -> None:
    """One sentence says both, and what to type."""
    with endpoint(lambda _: reply(404, {"detail": "Not Found"})) as found:
        done = probe(f"{found.url}/llm", *MODEL, "--requests", "3")

    assert done.returncode == 3
    assert "the path asked is /llm" in done.stderr
    assert "usually /v1/chat/completions" in done.stderr


def test_the_extra_body_is_merged_last(tmp_path: Path) -> None:
    """Objects key by key, null removes a field, everything else replaces it; from the option or from a file."""
    extra = {"temperature": 0, "stream_options": {"x": 1}, "max_tokens": None, "stop": ["a"], "tools": [{"type": "f"}]}
    file = tmp_path / "body.json"
    file.write_text(json.dumps(extra))
    with endpoint() as found:
        probe(found.url, *MODEL, "--extra-body", json.dumps(extra))
        probe(found.url, *MODEL, "--extra-body", f"@{file}")

    for asked in found.posts:
        assert asked.body["temperature"] == 0
        assert asked.body["stream_options"] == {"include_usage": True, "x": 1}
        assert "max_tokens" not in asked.body
        assert asked.body["stop"] == ["a"]
        assert asked.body["tools"] == [{"type": "f"}]
        assert asked.body["stream"] is True
    assert len(found.posts) == 2


def test_usage_is_not_asked_for_where_that_is_switched_off() -> None:
    """`stream_options: null` leaves it out."""
    with endpoint() as found:
        probe(found.url, *MODEL, "--extra-body", '{"stream_options": null}')

    assert "stream_options" not in found.posts[0].body


def test_the_new_name_of_max_tokens_replaces_the_old_one() -> None:
    """Who gives max_completion_tokens gets no max_tokens beside it."""
    with endpoint() as found:
        probe(found.url, *MODEL, "--extra-body", '{"max_completion_tokens": 7}')

    assert "max_tokens" not in found.posts[0].body
    assert found.posts[0].body["max_completion_tokens"] == 7


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{temperature: 0}", "--extra-body: no JSON"),
        ("[1]", "--extra-body: not a JSON object"),
        ('{"a": NaN}', "--extra-body: NaN is no JSON"),
        ("@/nowhere/body.json", "--extra-body: /nowhere/body.json: No such file"),
        ('{"a": ' * 60 + "1" + "}" * 60, "--extra-body: nested more than"),
    ],
)
def test_a_bad_extra_body_is_refused_before_anything_is_sent(text: str, sentence: str) -> None:
    """One sentence with the option, exit code 2, and no request."""
    with endpoint() as found:
        done = probe(found.url, *MODEL, "--extra-body", text)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not found.asked


def refuses(field: str, sentence: str, status: int = 400) -> Answer:
    """A server that does not take this field."""

    def answer(asked: Asked) -> bytes:
        if asked.method == "POST" and field not in asked.body:
            return stream()
        return reply(status, {"error": {"message": sentence}})

    return answer


NEW_NAME = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize("load", [("--max-concurrency", "3"), ("--request-rate", "100/s", "--burstiness", "0")])
def test_max_tokens_that_is_refused_is_asked_by_its_new_name(load: tuple[str, ...], tmp_path: Path) -> None:
    """Every request that counts is complete, the refused ones do not count, and the report says what was changed."""
    out = tmp_path / "run"
    with endpoint(refuses("max_tokens", NEW_NAME)) as found:
        done = probe(found.url, *MODEL, "--requests", "6", *load, "--output-tokens", "9", "--json", "--out", str(out))

    result = json.loads(done.stdout)["chaoskit"]
    assert done.returncode in (0, 5), done.stderr  # a busy machine is too slow for the open loop
    assert (result["overall"]["started"], result["overall"]["complete"]) == (6, 6)
    assert result["overall"]["interrupted"] == 0
    assert any("asked with max_completion_tokens" in each for each in result["warnings"])
    assert found.posts[-1].body["max_completion_tokens"] == 9
    records = read(out, Request)
    refused = [each for each in records if each.completion == "http_error"]
    assert refused
    assert all(each.warmup for each in refused)
    assert len(records) - len(refused) == 6


def test_a_refused_stream_options_is_left_out() -> None:
    """As Mistral and old servers refuse it, with 422."""
    sentence = "body.stream_options: Extra inputs are not permitted"
    with endpoint(refuses("stream_options", sentence, 422)) as found:
        done = probe(found.url, *MODEL, "--requests", "3")

    assert done.returncode == 0, done.stdout
    assert "without stream_options" in " ".join(done.stdout.split())
    assert ["stream_options" in each.body for each in found.posts] == [True, False, False, False]


def test_a_refusal_of_something_else_is_a_failure() -> None:
    """A server that goes on refusing is asked no more often than needed."""
    with endpoint(lambda _: reply(400, {"error": {"message": "no max_completion_tokens, no stream_options"}})) as found:
        done = probe(found.url, *MODEL, "--requests", "2")

    assert done.returncode == 3
    assert "both requests" in done.stderr
    assert len(found.posts) == 4


def models(*names: str) -> Answer:
    """A server that lists these, as OpenAI does."""

    def answer(asked: Asked) -> bytes:
        if asked.method == "GET":
            return reply(200, {"data": [{"id": name} for name in names]})
        return stream()

    return answer


def test_the_only_model_is_asked() -> None:
    """Without --model the endpoint's list is read, beside the path of the requests."""
    with endpoint(models("mistral-7b")) as found:
        done = probe(f"{found.url}/prefix/v1")

    assert found.asked[0].path == "/prefix/v1/models"
    assert found.posts[0].body["model"] == "mistral-7b"
    assert "model mistral-7b" in done.stdout


def test_several_models_are_listed() -> None:
    """No request is sent; the sentence names them and how to choose."""
    with endpoint(models("a-1", "b-2")) as found:
        done = probe(found.url)

    assert done.returncode == 2
    assert "2 models: a-1, b-2" in done.stderr
    assert "--model a-1" in done.stderr
    assert not found.posts


def test_a_named_model_costs_no_request() -> None:
    """The list is not read with --model."""
    with endpoint(models("a", "b")) as found:
        probe(found.url, *MODEL)

    assert [each.method for each in found.asked] == ["POST"]


@pytest.mark.parametrize(
    ("protocol", "path", "listed", "model"),
    [
        ("ollama", "/api/tags", {"models": [{"name": "llama3:8b"}]}, "llama3:8b"),
        (
            "gemini",
            "/v1beta/models",
            {
                "models": [
                    {"name": "models/g", "supportedGenerationMethods": ["x"]},
                    {"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"]},
                ]
            },
            "gemini-x",
        ),
    ],
)
def test_models_of_other_protocols(protocol: str, path: str, listed: object, model: str) -> None:
    """Each protocol has its own list; Gemini's model is in the path."""
    with endpoint(lambda asked: reply(200, listed) if asked.method == "GET" else stream()) as found:
        probe(found.url, "--protocol", protocol)

    assert found.asked[0].path == path
    (post,) = found.posts
    assert model in (post.body.get("model") or post.path)


def test_prompts_of_a_file_are_asked_in_turn(tmp_path: Path) -> None:
    """A prompt or messages in each line; the file is begun again at its end; the system prompt is added."""
    file = tmp_path / "prompts.jsonl"
    talk = [{"role": "system", "content": "own"}, {"role": "user", "content": "two"}]
    file.write_text(json.dumps({"prompt": "one", "id": 7}) + "\n\n" + json.dumps({"messages": talk}) + "\n")
    with endpoint() as found:
        done = probe(found.url, *MODEL, "--requests", "3", "--prompts", str(file), "--system", "be brief")

    assert done.returncode == 0, done.stderr
    brief = {"role": "system", "content": "be brief"}
    assert [each.body["messages"] for each in found.posts] == [
        [brief, {"role": "user", "content": "one"}],
        talk,
        [brief, {"role": "user", "content": "one"}],
    ]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        ("{}", "neither prompt nor messages"),
        ('{"prompt": 3}', "prompt is no text"),
        ('{"prompt": ""}', "prompt is empty"),
        ('{"messages": []}', "messages is no list with messages in it"),
        ('{"messages": [{"role": "bot", "content": "x"}]}', "messages[0].role is 'bot'"),
        ('{"messages": [{"role": "assistant", "content": "x"}]}', "the last message is not the user's"),
    ],
)
def test_a_bad_line_of_prompts_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    """File, number, what is wrong, what is right; nothing is sent."""
    file = tmp_path / "prompts.jsonl"
    file.write_text(f'{{"prompt": "one"}}\n{line}\n')
    with endpoint() as found:
        done = probe(found.url, *MODEL, "--prompts", str(file))

    assert done.returncode == 2
    assert f"{file}:2: {sentence}" in done.stderr
    assert not found.asked


def test_all_bad_lines_of_prompts_are_named_at_once(tmp_path: Path) -> None:
    """Each by its number, of very many the first ten; what is right stands once."""
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "one"}\nfoo\n{"x": 1}\n{"prompt": "two"}\n{"prompt": ""}\n')
    with endpoint() as found:
        done = probe(found.url, *MODEL, "--prompts", str(file))
        file.write_text("foo\n" * 100)
        many = probe(found.url, *MODEL, "--prompts", str(file))

    assert [line.strip().split(": ")[0] for line in done.stderr.splitlines()] == [
        "chaoskit",
        f"{file}:3",
        f"{file}:5",
    ]
    assert done.stderr.count("messages") == 2
    assert len(many.stderr.splitlines()) == 11
    assert many.stderr.endswith("and perhaps more\n")


def test_sizes_of_prompts_come_from_a_distribution() -> None:
    """Log-normal, from the seed: the sizes differ, and half of them lie below the median."""
    with endpoint() as found:
        words = ("--requests", "40", "--max-concurrency", "4", "--prompt-size", "{median: 1kB, p99: 20kB}")
        done = probe(found.url, *MODEL, *words)

    assert done.returncode == 0, done.stderr
    sizes = sorted(len(each.body["messages"][0]["content"]) for each in found.posts)
    assert len(set(sizes)) > 30
    assert 300 < sizes[20] < 3000
    assert sizes[-1] > 2000


@contextmanager
def serving(options: str) -> Iterator[str]:
    """The URL of a reference server with these options."""
    words = [sys.executable, "-m", "chaoskit", "serve", "--port", "0", *options.split()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://[0-9.:]+", server.stdout.readline())
        assert found is not None
        yield found[0]
        server.terminate()


SPREAD = ("--requests", "40", "--max-concurrency", "4", "--output-tokens", "{median: 50, p99: 1000}")


def test_output_tokens_come_from_a_distribution(tmp_path: Path) -> None:
    """Log-normal, from the seed and the number of the request; each record says what its request asked for."""
    with endpoint() as found:
        done = probe(found.url, *MODEL, *SPREAD, "--out", str(tmp_path / "run"))
        again = probe(found.url, *MODEL, *SPREAD, "--processes", "2")

    assert (done.returncode, again.returncode) == (0, 0), done.stderr + again.stderr
    sent = [(each.headers["x-chaoskit-stream"], each.body["max_tokens"]) for each in found.posts]
    first, second = dict(sent[:40]), dict(sent[40:])
    counts = sorted(first.values())
    assert first == second
    assert len(set(counts)) > 20
    assert 20 < counts[20] < 120
    assert counts[-1] > 150
    assert {str(each.stream): each.asked for each in read(tmp_path / "run", Request)} == first


def test_a_short_answer_is_short_by_what_its_own_request_asked_for(tmp_path: Path) -> None:
    """With ignore_eos each answer is held against the number that was drawn for it."""
    out = tmp_path / "run"
    with endpoint() as found:  # without usage "Hello there" has 11 tokens at the most
        probe(found.url, *MODEL, *SPREAD[:4], "--output-tokens", "{median: 12, p99: 60}", "--out", str(out),
              "--extra-body", '{"ignore_eos": true}')  # fmt: skip

    flags = {each.asked: each.flag for each in read(out, Request)}
    assert {flag for asked, flag in flags.items() if 0.9 * (asked or 0) > 11} == {"short"}
    assert {flag for asked, flag in flags.items() if 0.9 * (asked or 0) <= 11} == {None}


def test_the_reference_server_sends_what_was_drawn(tmp_path: Path) -> None:
    """Of every protocol, plain server-sent events with the number in their URL included; so none is short."""
    quick = ("--requests", "12", "--max-concurrency", "6", "--output-tokens", "{median: 10, p99: 50}")
    with serving("--first-token 1ms --first-token-p99 1ms --token-interval 0ms") as url:
        for protocol in ("openai-chat", "sse"):
            out = tmp_path / protocol
            done = probe(url, "--protocol", protocol, *quick, "--out", str(out))

            assert done.returncode in (0, 5), done.stderr
            requests = list(read(out, Request))
            assert len({each.asked for each in requests}) > 6
            assert [each.tokens for each in requests] == [each.asked for each in requests]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("lots", "--output-tokens: found 'lots', expected a number, {median, p99}, or the name of a distribution"),
        ("0", "--output-tokens: found '0', expected 1 or more"),
        ("{median: 5, p99: 2}", "p99 2 is below the median 5"),
        ("{median: 5}", "--output-tokens: p99: missing; add p99"),
        ("{median: 5", "--output-tokens"),
        ("{mean: 5, p99: 9}", "--output-tokens: mean: unknown key; did you mean median?"),
        ("{median: 1kB, p99: 2kB}", "--output-tokens: median: found '1kB', expected a whole number"),
    ],
)
def test_bad_output_tokens_are_named(value: str, sentence: str) -> None:
    """By the option, before anything is asked."""
    done = probe("http://127.0.0.1:1", *MODEL, "--output-tokens", value)

    assert done.returncode == 2
    assert sentence in done.stderr


def test_a_conversation_grows_on_one_connection(tmp_path: Path) -> None:
    """Each request repeats what was asked and answered; the next conversation begins anew, on another connection."""
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"q{number}"}) + "\n" for number in range(6)))
    words = ("--requests", "5", "--turns", "3", "--prompts", str(file), "--system", "s", "--out", str(tmp_path / "run"))
    with endpoint() as found:
        done = probe(found.url, *MODEL, *words)

    assert done.returncode == 0, done.stderr
    said = [[message["content"] for message in each.body["messages"]] for each in found.posts]
    assert said == [
        ["s", "q0"],
        ["s", "q0", "Hello there", "q1"],
        ["s", "q0", "Hello there", "q1", "Hello there", "q2"],
        ["s", "q3"],
        ["s", "q3", "Hello there", "q4"],
    ]
    assert [role["role"] for role in found.posts[2].body["messages"]] == [
        *("system", "user", "assistant", "user", "assistant", "user")
    ]
    connections = [each.connection for each in found.posts]
    assert connections[0] == connections[1] == connections[2] != connections[3] == connections[4]
    assert [each.reused for each in read(tmp_path / "run", Request)] == [False, True, True, False, True]


def test_warm_up_requests_are_recorded_and_do_not_count(tmp_path: Path) -> None:
    """Slow first requests change no number; so many requests count as were asked for."""
    count = itertools.count()
    out = tmp_path / "run"
    bad = reply(500, {"error": {"message": "cold"}})

    def answer(asked: Asked) -> bytes:
        return completes(asked) if next(count) >= 2 else bad

    with endpoint(answer) as found:
        done = probe(found.url, *MODEL, "--warm-up", "2", "--requests", "3", "--json", "--out", str(out))

    overall = json.loads(done.stdout)["chaoskit"]["overall"]
    assert done.returncode == 0, done.stderr
    assert len(found.posts) == 5
    assert (overall["started"], overall["complete"], overall["interrupted"]) == (3, 3, 0)
    assert [each.warmup for each in read(out, Request)] == [True, True, False, False, False]
    assert any(
        "2 of 2 warm-up requests not complete" in each for each in json.loads(done.stdout)["chaoskit"]["warnings"]
    )


def test_a_conversation_goes_on_after_a_refusal_and_ends_with_a_failure() -> None:
    """A question that is asked again is the same one; after a turn that failed the next conversation begins."""
    count = itertools.count()

    def answer(asked: Asked) -> bytes:
        if "max_tokens" in asked.body:
            return reply(400, {"error": {"message": NEW_NAME}})
        return reply(500, {"error": {"message": "full"}}) if next(count) == 1 else stream()

    with endpoint(answer) as found:
        done = probe(found.url, *MODEL, "--requests", "4", "--turns", "2", "--json")

    overall = json.loads(done.stdout)["chaoskit"]["overall"]
    assert (overall["started"], overall["complete"], overall["interrupted"]) == (4, 3, 1)
    lengths = sorted(len(each.body["messages"]) for each in found.posts if "max_tokens" not in each.body)
    assert lengths == [1, 1, 3, 3]


def test_the_report_says_which_protocol_was_measured() -> None:
    """Plain server-sent events have no model; every probe has a protocol and a version of HTTP."""
    with endpoint() as found:
        plain = probe(f"{found.url}/sse", "--protocol", "sse")
        chat = probe(found.url, "--model", "m")

    assert "model" not in plain.stdout
    assert f"{found.url}/sse, sse over HTTP/1.1" in " ".join(plain.stdout.split())
    assert f"{found.url}/v1/chat/completions, model m, openai-chat over HTTP/1.1" in " ".join(chat.stdout.split())
