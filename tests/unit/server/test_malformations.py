"""A server can answer badly in every way that has a name, and a client chooses which."""

import gzip
import json
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asking import REQUESTS, Response, post, stream
from hostile import Http2Client, everything
from serving import SCRIPT, Running, running

from chaoskit.server.deviations import Cut, ErrorEvent, Malformed, Pause, Refusal
from chaoskit.server.formats import APIS
from chaoskit.server.malformations import BY_NAME, GROUPS
from chaoskit.server.schedule import Script
from chaoskit.units import Duration, Share

MS = 10**6
QUICK = replace(SCRIPT, first_token_median=Duration(MS), first_token_p99=Duration(MS), token_interval=Duration(MS))
SILENT = ("pause", "silence", "no-answer")
HALF = Share(500_000_000)
CHAT = "openai-chat"


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose responses of six tokens take as many milliseconds."""
    with running(tmp_path_factory.mktemp("quick"), QUICK) as server:
        yield server


def tokens(response: Response) -> int:
    """How many stamped events came."""
    return response.raw.count(b'"chaoskit":') + response.raw.count(b": chaoskit ")


@pytest.mark.parametrize("name", BY_NAME)
def test_each_has_a_meaning_for_its_apis(quick: Running, name: str) -> None:
    """Each is answered in every API that has it, differs from the right answer, and refused in the others."""
    malformation = BY_NAME[name]
    for api in APIS:
        if malformation.fits(api):
            response = stream(quick, api.name, name, wait=0.3 if name in SILENT else 10)
            assert (response.end == "silence") == (name in SILENT)
        else:
            response = stream(quick, api.name, name)
            assert response.status == 400
            assert f"{name} has no meaning for {api.name}; it is for " in response.text


def test_names_and_sentences() -> None:
    """A name is in one group only; each sentence is one line, and ends in a full stop."""
    assert sum(map(len, GROUPS.values())) == len(BY_NAME)
    for each in BY_NAME.values():
        assert each.sentence.endswith(".")
        assert len(each.sentence) <= 90
        assert set(each.apis) <= {api.name for api in APIS}


def finish_word(response: Response) -> Any:
    """The last finish reason of a chat."""
    return [event["choices"][0]["finish_reason"] for event in response.events if event.get("choices")][-1]


def has_error(sentence: str = "The engine has died.") -> Callable[[Response], bool]:
    """Half of the tokens, then this sentence, and a proper end of the body."""
    return lambda response: tokens(response) == 3 and sentence in response.text and response.is_complete


SHAPES: dict[tuple[str, str], Callable[[Response], bool]] = {
    (CHAT, "finish-network-error"): lambda r: finish_word(r) == "network_error" and r.text.endswith("data: [DONE]\n\n"),
    ("anthropic-messages", "finish-abort"): lambda r: '"stop_reason":"abort"' in r.text,
    ("gemini", "finish-error"): lambda r: '"finishReason":"ERROR"' in r.text,
    ("ollama", "finish-eos-token-found"): lambda r: '"done_reason":"eos_token_found"' in r.text,
    (CHAT, "finish-missing"): lambda r: finish_word(r) is None and r.text.endswith("data: [DONE]\n\n"),
    (CHAT, "finish-repeated"): lambda r: r.text.count('"finish_reason":"stop"') == 8 and r.is_complete,
    (CHAT, "finish-repeated-reset"): lambda r: tokens(r) == 3 and finish_word(r) == "stop" and r.end == "reset",
    (CHAT, "finish-reset"): lambda r: finish_word(r) == "length" and "DONE" not in r.text and r.end == "reset",
    (CHAT, "no-end-marker"): lambda r: tokens(r) == 6 and finish_word(r) is None and "DONE" not in r.text,
    ("anthropic-messages", "no-end-marker"): lambda r: r.events[-1]["type"] == "content_block_stop",
    ("openai-responses", "no-end-marker"): lambda r: r.events[-1]["type"] == "response.output_item.done",
    ("ollama", "no-end-marker"): lambda r: not any(event["done"] for event in r.events) and tokens(r) == 6,
    ("gemini", "no-end-marker"): lambda r: "finishReason" not in r.text and tokens(r) == 6,
    (CHAT, "no-done"): lambda r: finish_word(r) == "length" and "DONE" not in r.text and r.is_complete,
    ("anthropic-messages", "no-done"): lambda r: r.events[-1]["type"] == "message_delta",
    (CHAT, "done-without-blank-line"): lambda r: r.text.endswith("\n\ndata: [DONE]\n"),
    (CHAT, "last-line-without-newline"): lambda r: r.text.endswith("\n\ndata: [DONE]"),
    ("ollama", "last-line-without-newline"): lambda r: r.text.endswith("}") and r.events[-1]["done"],
    ("anthropic-messages", "done-after-message-stop"): lambda r: r.text.endswith('stop"}\n\ndata: [DONE]\n\n'),
    ("anthropic-messages", "done-instead-of-message-stop"): lambda r: (
        "message_stop" not in r.text and r.text.endswith("[DONE]\n\n")
    ),
    (CHAT, "refused-429"): lambda r: r.status == 429 and "retry-after: 1" in r.head and "message" in r.text,
    ("ollama", "refused-503"): lambda r: r.status == 503 and isinstance(json.loads(r.text)["error"], str),
    (CHAT, "refused-array"): lambda r: json.loads(r.text)[0]["error"]["status"] == "INVALID_ARGUMENT",
    (CHAT, "refused-detail"): lambda r: r.status == 422 and isinstance(json.loads(r.text)["detail"], list),
    (CHAT, "refused-message"): lambda r: r.status == 500 and isinstance(json.loads(r.text)["message"], str),
    (CHAT, "refused-text"): lambda r: (r.status, r.text) == (503, "no healthy upstream"),
    (CHAT, "refused-html"): lambda r: r.status == 502 and "text/html" in r.head and "<center>nginx" in r.text,
    (CHAT, "refused-empty"): lambda r: (r.status, r.text) == (503, ""),
    (CHAT, "error-event"): has_error(),
    ("anthropic-messages", "error-event"): has_error('event: error\ndata: {"type":"error"'),
    ("ollama", "error-event"): has_error('\n{"error":"The engine has died."}\n'),
    ("openai-responses", "response-failed"): has_error('"type":"response.failed"'),
    (CHAT, "error-first"): lambda r: tokens(r) == 0 and len(r.events) == 1 and "error" in r.events[0],
    (CHAT, "error-then-done"): lambda r: has_error()(r) and r.text.endswith("data: [DONE]\n\n"),
    ("anthropic-messages", "error-object"): has_error('\ndata: {"error": '),
    (CHAT, "error-choice"): lambda r: has_error()(r) and finish_word(r) == "error",
    (CHAT, "error-line"): has_error('\nerror: {"error": '),
    (CHAT, "error-named"): has_error("event: error\ndata: The engine has died.\n\n"),
    (CHAT, "error-named-json"): has_error('event: error\ndata: {"code":500'),
    (CHAT, "error-unframed"): has_error('\n\n{"error": '),
    (CHAT, "error-text"): has_error("\n\nInternal Server Error"),
    (CHAT, "json-in-200"): lambda r: r.status == 200 and "application/json" in r.head and "error" in json.loads(r.text),
    (CHAT, "html-in-200"): lambda r: r.status == 200 and "text/html" in r.head,
    (CHAT, "empty-body"): lambda r: (r.status, r.text, r.is_complete) == (200, "", True),
    (CHAT, "whole-answer"): lambda r: r.events[0]["object"] == "chat.completion" and "/json" in r.head,
    (CHAT, "empty"): lambda r: tokens(r) == 0 and finish_word(r) == "stop" and r.text.endswith("[DONE]\n\n"),
    ("anthropic-messages", "short"): lambda r: tokens(r) == 1 and '"output_tokens":1}' in r.text,
    (CHAT, "comments-only"): lambda r: set(r.text.split("\n")) == {": keepalive", ""},
    (CHAT, "empty-deltas"): lambda r: r.text.count('"content":""') == 1 + 3,
    (CHAT, "content-list"): lambda r: isinstance(r.events[1]["choices"][0]["delta"]["content"], list),
    (CHAT, "reasoning-details"): lambda r: r.text.count("reasoning_details") == 5,
    (CHAT, "large-event"): lambda r: len(r.body) > 3_000_000 and len(r.events) == 8,
    (CHAT, "not-json"): lambda r: tokens(r) == 5 and r.text.count("data: {") == 8,
    (CHAT, "split-utf8"): lambda r: "é" in r.text and len(r.events) == 8 and b"\r\n7\r\n" in r.raw,
    (CHAT, "invalid-utf8"): lambda r: b"\xff\xfe" in r.body,
    (CHAT, "type-text"): lambda r: "content-type: text/plain" in r.head and tokens(r) == 6,
    ("ollama", "type-event-stream"): lambda r: "content-type: text/event-stream" in r.head and tokens(r) == 6,
    (CHAT, "type-missing"): lambda r: "content-type" not in r.head and tokens(r) == 6,
    (CHAT, "crlf"): lambda r: b"\r\n\r\ndata: [DONE]\r\n\r\n" in r.body,
    (CHAT, "cr"): lambda r: b"\r\rdata: [DONE]\r\r" in r.body and b"\n" not in r.body,
    (CHAT, "bom"): lambda r: r.body.startswith(b"\xef\xbb\xbfdata: "),
    (CHAT, "no-space"): lambda r: b"data:{" in r.body and b"data: " not in r.body,
    (CHAT, "several-lines"): lambda r: "\ndata: }\n\n" in r.text,
    (CHAT, "two-json"): lambda r: r.text.count("}\ndata: {") == 3,
    (CHAT, "comments"): lambda r: r.text.count(": keepalive\n\n") == 6,
    (CHAT, "pings"): lambda r: r.text.count("event: ping\n") == 6,
    (CHAT, "empty-data"): lambda r: r.text.count("data:\n\n") == 6,
    (CHAT, "id-and-retry"): lambda r: r.text.count("id: 7\nretry: 3000\n\n") == 6,
    (CHAT, "single-bytes"): lambda r: r.raw.count(b"\r\n1\r\n") == len(r.body) and tokens(replace_body(r)) == 6,
    (CHAT, "gzip-unasked"): lambda r: "content-encoding: gzip" in r.head and len(r.events) == 8,
    (CHAT, "gzip-held"): lambda r: "content-encoding: gzip" in r.head and len(r.events) == 8,
    (CHAT, "gzip-truncated"): lambda r: is_cut(r.body),
    (CHAT, "gzip-plain"): lambda r: "content-encoding: gzip" in r.head and r.body.startswith(b"data: "),
    (CHAT, "gzip-bomb"): lambda r: len(r.body) < 1_000_000 and len(r.text) > 64_000_000,
    (CHAT, "reset"): lambda r: tokens(r) == 3 and r.end == "reset",
    (CHAT, "close"): lambda r: tokens(r) == 3 and r.end == "close" and not r.is_complete,
    (CHAT, "chunk-cut"): lambda r: r.raw.endswith(b"400\r\ndata: {") and not r.is_complete,
    (CHAT, "cut-clean"): lambda r: tokens(r) == 3 and r.is_complete and finish_word(r) is None,
    (CHAT, "reset-first"): lambda r: (r.raw, r.end) == (b"", "reset"),
    (CHAT, "close-first"): lambda r: (r.raw, r.end) == (b"", "close"),
    (CHAT, "head-cut"): lambda r: r.raw.startswith(b"HTTP/1.1 200 OK\r\n") and b"\r\n\r\n" not in r.raw,
    (CHAT, "length-too-long"): lambda r: "content-length: 1000" in r.head and len(r.body) < 1000,
    (CHAT, "bad-chunk"): lambda r: b"\r\n\r\nzz\r\n" in r.raw,
    (CHAT, "not-http"): lambda r: r.raw.startswith(b"SSH-"),
}  # fmt: skip


def replace_body(response: Response) -> Response:
    """The body in place of all bytes."""
    return replace(response, raw=response.body)


def is_cut(body: bytes) -> bool:
    """Whether gzip has all of the text, and finds no end."""
    with pytest.raises(EOFError):
        gzip.decompress(body)
    return zlib.decompressobj(31).decompress(body).endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(("api", "name"), SHAPES, ids=map(" ".join, SHAPES))
def test_each_is_what_its_sentence_says(quick: Running, api: str, name: str) -> None:
    """The bytes on the wire are those that the sentence describes."""
    assert SHAPES[api, name](stream(quick, api, name))


def test_silence_keeps_the_connection(quick: Running) -> None:
    """After half of the tokens nothing comes, not even an end; or nothing at all."""
    assert tokens(stream(quick, CHAT, "silence", wait=0.3)) == 3
    assert stream(quick, CHAT, "no-answer", wait=0.3).raw == b""


def test_a_surplus_answer_comes_on_a_kept_connection(quick: Running) -> None:
    """After the whole answer a second one comes that nobody asked for."""
    response = stream(quick, "sse", "surplus", wait=0.3, connection="keep-alive")

    assert response.raw.count(b"HTTP/1.1 200 OK") == 2
    assert response.raw.endswith(b"\r\n\r\nhi")


def test_held_back_pieces_have_one_size(quick: Running) -> None:
    """Nothing comes before 4096 bytes are together; then they come in one piece."""
    path, body = REQUESTS[CHAT]
    response = post(quick, path, {**body, "max_tokens": 60}, x_chaoskit_script="held-4096")

    assert response.raw.count(b"\r\n1000\r\n") == len(response.body) // 4096 > 2
    assert len(response.events) == 62


def test_a_request_chooses_in_three_ways(quick: Running) -> None:
    """By its header, by a tag of the model, by the query of /sse; with a wrong name the nearest one is named."""
    path, body = REQUESTS[CHAT]
    by_model = post(quick, path, {**body, "model": "chaoskit:html-in-200"})
    by_query = post(quick, "/sse?tokens=6&script=html-in-200", {})
    wrong = stream(quick, CHAT, "html-in-20")

    for each in (stream(quick, CHAT, "html-in-200"), by_model, by_query):
        assert "text/html" in each.head
    assert wrong.status == 400
    assert "there is no script 'html-in-20'; did you mean html-in-200?" in wrong.text


def test_whole_answers_are_malformed_too(quick: Running) -> None:
    """Without streaming, refusals, pages, types and broken connections are the same."""
    path, body = REQUESTS[CHAT]
    whole = {**body, "stream": False}

    assert post(quick, path, whole, x_chaoskit_script="refused-429").status == 429
    assert "text/html" in post(quick, path, whole, x_chaoskit_script="html-in-200").head
    assert "text/plain" in post(quick, path, whole, x_chaoskit_script="type-text").head
    assert post(quick, path, whole, x_chaoskit_script="gzip-unasked").events[0]["object"] == "chat.completion"
    for name in ("reset", "close"):
        broken = post(quick, path, whole, x_chaoskit_script=name)
        assert not broken.is_complete
        assert len(broken.body) > 0


@pytest.mark.parametrize(
    ("deviation", "shape"),
    [
        (Malformed("crlf"), lambda r: b"\r\n\r\ndata: [DONE]" in r.body),
        (Refusal(529, 7), lambda r: r.status == 529 and "retry-after: 7" in r.head),
        (ErrorEvent(2), lambda r: tokens(r) == 2 and "The engine has died." in r.text and r.is_complete),
        (Cut(2, "reset"), lambda r: tokens(r) == 2 and r.end == "reset"),
        (Cut(2, "close"), lambda r: tokens(r) == 2 and r.end == "close" and not r.is_complete),
        (Cut(2, "chunk"), lambda r: r.raw.endswith(b"400\r\ndata: {")),
        (Cut(2, "end"), lambda r: tokens(r) == 2 and r.is_complete),
        (Cut(99, "end"), lambda r: tokens(r) == 6 and r.is_complete and "DONE" not in r.text),
    ],
)
def test_a_script_deviates(tmp_path: Path, deviation: Any, shape: Callable[[Response], bool]) -> None:
    """A script's refusals, error events and cuts come after as many tokens as it says."""
    with running(tmp_path, replace(QUICK, deviations=(deviation,))) as server:
        assert shape(stream(server, CHAT))


def test_shares_follow_from_the_seed_and_the_number() -> None:
    """Half of the streams deviate, always the same; another seed chooses others; the first that is drawn counts."""

    def drawn(script: Script) -> list[bool]:
        return [script.deviation("stream", number) is not None for number in range(400)]

    script = replace(QUICK, deviations=(Cut(1, "reset", HALF),))
    both = replace(QUICK, deviations=(Cut(1, "reset", HALF), Malformed("crlf")))

    assert drawn(script) == drawn(script) != drawn(replace(script, seed=8))
    assert 150 < sum(drawn(script)) < 250
    assert {type(both.deviation("stream", number)) for number in range(50)} == {Cut, Malformed}


def test_a_pause_makes_the_server_late(tmp_path: Path) -> None:
    """Tokens after a pause keep the time at which they were due, and leave later at the same pace."""
    script = replace(QUICK, pauses=(Pause(3, Duration(300 * MS)),))
    with running(tmp_path, script) as server:
        events = [event["chaoskit"] for event in stream(server, CHAT).events if "chaoskit" in event]
        (served,) = server.served_when(1)

    late = [event["sent"] - event["due"] for event in events]
    assert [each // (300 * MS) for each in late] == [0, 0, 0, 1, 1, 1]
    assert [event["due"] - events[0]["due"] for event in events] == [n * MS for n in range(6)]
    assert served.max_late == max(late)


@pytest.mark.parametrize("name", ["reset", "close", "chunk-cut", "cut-clean", "not-http"])
def test_http2_breaks_as_well(quick: Running, name: str) -> None:
    """Over HTTP/2 a reset is RST_STREAM, and the connection goes on; a close ends the connection."""
    with quick.connect() as sock:
        client = Http2Client(sock)
        number = client.ask(f"/sse?tokens=6&script={name}")
        if name == "reset":
            client.read_until(lambda: number in client.reset)
            again = client.ask("/sse?tokens=2")
            client.read_until(lambda: again in client.ended)
            assert client.reset[number] == 2
        else:
            if name == "cut-clean":
                client.read_until(lambda: number in client.ended)
            else:
                client.read_to_end()
            assert (number in client.ended) == (name == "cut-clean")
    assert client.bodies.get(number, b"").count(b": chaoskit ") == (0 if name == "not-http" else 3)


def test_go_away_finishes_what_has_begun(quick: Running) -> None:
    """After GOAWAY the stream that it names as the last one, and earlier ones, are finished."""
    with quick.connect() as sock:
        client = Http2Client(sock)
        earlier = client.ask("/sse?tokens=30")
        number = client.ask("/sse?tokens=6&script=go-away")
        client.read_until(lambda: {earlier, number} <= client.ended)

    assert client.goaway == 0
    assert client.bodies[number].endswith(b"data: [DONE]\n\n")
    assert client.bodies[earlier].count(b": chaoskit ") == 30


LIMITED = {
    "openai": ("requests", "rate_limit_exceeded"),
    "anthropic": ("rate_limit_error", None),
    "gemini": (None, 429),
}


def test_too_many_requests_have_the_vendors_type(quick: Running) -> None:
    """A 429 says in each vendor's words that the rate is limited, as their SDKs read it."""
    for api, (path, body) in REQUESTS.items():
        error = json.loads(post(quick, path, body, x_chaoskit_script="refused-429").text)["error"]
        vendor = LIMITED.get(api.partition("-")[0])
        if vendor is not None:
            assert (error.get("type"), error.get("code")) == vendor, api
        if api == "gemini":
            assert error["status"] == "RESOURCE_EXHAUSTED"


NODE = """
const [, , port, count] = process.argv;
const session = require('http2').connect('http://127.0.0.1:' + port);
const streams = [...Array(Number(count)).keys()].map(at => {
  const stream = session.request({':method': 'POST', ':path': '/v1/chat/completions'});
  const found = {stream: 2 * at + 1, body: '', end: ''};
  stream.on('data', data => found.body += data).on('end', () => found.end = 'end');
  stream.on('error', error => found.end = error.code).on('aborted', () => found.end = 'aborted');
  stream.end(JSON.stringify({model: 'chaoskit:go-away', max_tokens: 20, stream: true, messages: []}));
  stream.on('close', () => found.code = stream.rstCode);
  return found;
});
let last = [];
session.on('goaway', (code, number) => last.push([code, number]));
session.on('error', error => last.push(error.code));
session.on('close', () => console.log(JSON.stringify({streams, last})));
"""


def test_node_gets_whole_answers_before_go_away(quick: Running, tmp_path: Path) -> None:
    """Node's client has six streams on one connection: those up to GOAWAY's last one are whole, and it closes well."""
    node = shutil.which("node")
    assert node, "node is missing: apt-get install nodejs"
    (tmp_path / "client.js").write_text(NODE)

    said = subprocess.run(
        [node, tmp_path / "client.js", str(quick.port), "6"], capture_output=True, text=True, timeout=20, check=True
    )
    found = json.loads(said.stdout)

    ((code, last),) = found["last"]
    assert code == 0
    assert 1 <= last <= 11
    for one in found["streams"]:
        if one["stream"] <= last:
            assert one["end"] == "end"
            assert one["code"] == 0
            assert one["body"].endswith("data: [DONE]\n\n")
            assert one["body"].count('"chaoskit":') == 20
        else:
            assert one["body"] == ""
            assert one["code"] == 7  # refused: it may be sent again elsewhere


def test_streams_after_go_away_are_ignored(quick: Running) -> None:
    """GOAWAY comes once, with the highest stream; later ones get no frame, not even for their data; then it closes."""
    with quick.connect() as sock:
        client = Http2Client(sock)
        first = client.ask("/sse?tokens=200&script=go-away")
        second = client.ask("/sse?tokens=6&script=go-away", end=False)  # HEADERS alone
        client.read_until(lambda: client.goaway is not None and first in client.bodies)
        late = [client.ask("/sse?tokens=2"), client.ask("/v1/chat/completions", "POST", body=b"x" * 3000)]
        client.send_data(second, b"", end=True)
        client.read_to_end()

    assert client.goaways in ([first], [second])
    ignored = {*late, *({second} if client.goaways == [first] else ())}
    assert client.ended == {first, second} - ignored
    assert client.bodies[first].count(b": chaoskit ") == 200
    assert not client.reset
    assert not client.seen & ignored


def test_a_large_event_reaches_a_slow_client(tmp_path: Path) -> None:
    """A client that reads its large event late gets all of it: the server has reserved the memory."""
    with running(tmp_path, QUICK, send_buffer=8192) as server:
        path, body = REQUESTS[CHAT]
        data = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}\r\n"
        with server.connect() as sock:
            sock.sendall(f"{head}x-chaoskit-script: large-event\r\n\r\n".encode() + data)
            threading.Event().wait(0.2)
            received = everything(sock)

    assert len(received) > 3_000_000
    assert received.endswith(b"0\r\n\r\n")
