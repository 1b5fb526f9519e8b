"""`chaoskit probe`: its options reach the sockets."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import warm
from cli_words import MEASURED

from chaoskit.records.jsonl import read
from chaoskit.records.model import Request, TcpInfo

SERVE = "serve --port 0 --first-token 1ms --first-token-p99 1ms --token-interval 1ms"
TIMESTAMPS = 12  # bytes of each segment


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server at work."""
    words = [sys.executable, "-m", "chaoskit", *SERVE.split()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0]
        process.kill()


def probe(url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """One request."""
    return warm.chaoskit("probe", url, "--model", "m", "--requests", "1", *options)


def test_sockets_are_tuned(url: str, tmp_path: Path) -> None:
    """Its connection's segments are as long as asked, and an algorithm that is not there is refused."""
    done = probe(url, "--maxseg", "1000", "--congestion-control", "reno", "--out", str(tmp_path / "run"))
    refused = probe(url, "--congestion-control", "no-such")

    assert done.returncode in MEASURED, done.stderr
    assert {info.fields["snd_mss"] for info in read(tmp_path / "run", TcpInfo)} == {1000 - TIMESTAMPS}
    assert refused.returncode == 3
    assert "congestion-control no-such: this kernel has none of that name" in refused.stderr


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
TOKEN = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads each request's head and then does that, on a connection of its own; yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def one(sock: socket.socket) -> None:
            with sock, contextlib.suppress(OSError):
                sock.recv(65536)
                answer(sock)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def trickle(sock: socket.socket) -> None:
    """A token now and then, without end."""
    sock.sendall(HEAD)
    while True:
        sock.sendall(TOKEN)
        time.sleep(0.05)


def test_a_redirect_is_a_result(tmp_path: Path) -> None:
    """A redirect to what no URL is ends its streams: records with status and location, one sentence, no numbers."""
    told = b"HTTP/1.1 302 Found\r\nlocation: localhost:8080/login\r\ncontent-length: 0\r\n\r\n"
    with answering(lambda sock: sock.sendall(told)) as url:
        done = probe(url, "--requests", "3", "--json", "--out", str(tmp_path / "run"))

    requests = read(tmp_path / "run", Request)
    assert [(request.completion, request.detail) for request in requests] == [
        ("http_error", "302, not followed to localhost:8080/login")
    ] * 3
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"chaoskit: all 3 requests to {url}/v1/chat/completions failed: 302, not followed to localhost:8080/login; "
        "give the URL that it redirects to\n"
    )


def test_a_wrong_key_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Few of 500 requests are sent, nothing is drawn, and `report` says the same with the same exit code."""
    body = b'{"error":{"message":"Incorrect API key."}}'
    told = b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    out = tmp_path / "run"
    with answering(lambda sock: sock.sendall(told)) as url:
        words = ("--requests", "500", "--objective", "interruption_rate < 1%", "--out", str(out))
        done = probe(url, *words)
    again = warm.chaoskit("report", str(out))

    sentence = f"the first 5 requests to {url}/v1/chat/completions all failed: 401: Incorrect API key"
    assert (done.returncode, again.returncode) == (3, 3)
    assert done.stdout == ""
    assert done.stderr.startswith(f"chaoskit: {sentence}")
    assert done.stderr.count("\n") == 1
    assert "check the API key" in " ".join(again.stdout.split())
    assert "REFUSED" in again.stdout
    assert "BROKEN" not in again.stdout
    assert len(read(out, Request)) == 5


def test_the_protocol_is_that_of_the_path(url: str) -> None:
    """Without --protocol, as for `init --endpoint`."""
    named, other = probe(f"{url}/v1/messages"), probe(f"{url}/v1/messages", "--protocol", "openai-chat")

    assert named.returncode in MEASURED, named.stderr
    assert other.returncode == 3
    assert "its path is one of anthropic-messages: --protocol anthropic-messages" in other.stderr


def test_streams_that_all_break_off_are_not_a_success() -> None:
    """Without an objective: 5 when no stream was complete, 0 and a word in the last line when some were."""
    end = b"data: [DONE]\n\n"
    count = itertools.count()
    with answering(lambda sock: sock.sendall(HEAD + TOKEN)) as url:
        none = probe(url, "--requests", "3")
    with answering(lambda sock: sock.sendall(HEAD + TOKEN + (end if next(count) == 0 else b""))) as url:
        some = probe(url, "--requests", "4", "--model", "m")

    assert (none.returncode, some.returncode) == (5, 0), none.stderr + some.stderr
    ends = [" ".join(done.stdout.split()) for done in (none, some)]
    assert ends[0].endswith("UNDECIDED no stream was complete, 3 of 3 were interrupted")
    assert ends[1].endswith(
        "MEASURED no objectives are set, and 1 complete stream says little: a p95 takes 20; 3 of 4 streams interrupted"
    )


def test_a_probe_takes_no_longer_than_it_may() -> None:
    """After --max-time the open streams are cut, and the result says that it is not what was asked for."""
    with answering(trickle) as url:
        began = time.monotonic()
        done = probe(url, "--max-time", "1s", "--json")
        took = time.monotonic() - began

    result = json.loads(done.stdout)["chaoskit"]
    assert took < 10
    assert result["overall"]["completions"] == {"cancelled": 1}
    assert result["outcome"]["reason"] == "stopped after 1s, before all requests had ended"
    assert done.returncode == 5


def test_bounds_are_options() -> None:
    """--stream-timeout and --max-events end a stream; a mistyped one is answered by its name."""
    with answering(trickle) as url:
        slow = probe(url, "--stream-timeout", "300ms", "--json")
        many = probe(url, "--max-events", "3", "--json")
    wrong = [probe("http://127.0.0.1:9", option, "5") for option in ("--stream-timeout", "--max-time", "--max-body")]

    ends = [json.loads(done.stdout)["chaoskit"]["overall"]["completions"] for done in (slow, many)]
    assert ends == [{"stream_timeout": 1}, {"too_large": 1}]
    assert [done.returncode for done in wrong] == [2, 2, 2]
    for done, option in zip(wrong, ("--stream-timeout", "--max-time", "--max-body"), strict=True):
        assert done.stderr.startswith(f"chaoskit: {option}: '5' has no unit")


@pytest.mark.parametrize(
    "secret", ["http://me:sEcReT@127.0.0.1:9", "http://127.0.0.1:9/?api-key=sEcReT", "http://me:sEcReT/x@127.0.0.1:9"]
)
def test_a_secret_in_the_url_is_refused(secret: str, tmp_path: Path) -> None:
    """A password or key in the URL is not sent, not repeated, and leaves no directory."""
    done = probe(secret, "--out", str(tmp_path / "run"))

    assert done.returncode == 2
    assert "sEcReT" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()
    if "/x@" not in secret:
        assert "--api-key-env API_KEY" in done.stderr


def test_values_of_a_query_and_of_headers_are_not_written_down(tmp_path: Path) -> None:
    """A query is sent as it is and shown by its names; a server that says all again puts nothing into the records."""

    def echo(sock: socket.socket) -> None:
        body = b'{"error":{"message":"no pReViEw, no tEnAnTs, no kEyKeY"}}'
        sock.sendall(b"HTTP/1.1 404 No\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    out = tmp_path / "run"
    with answering(echo) as url:
        options = ["--header", "x-tenant: tEnAnTs", "--api-key-env", "TEST_KEY", "--out", str(out)]
        words = ["probe", f"{url}/v1?api-version=pReViEw", "--requests", "1", *options]
        plain, told = (
            warm.chaoskit(*words, *more, environment={"TEST_KEY": "kEyKeY"})
            for more in ([], ["--json", "--out", str(tmp_path / "again")])
        )

    assert json.loads((out / "probe.json").read_text())["url"].endswith("/v1/chat/completions?api-version=…")
    assert told.stdout == ""  # no numbers beside an error
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    for text in (written, plain.stdout, plain.stderr, told.stdout, told.stderr):
        assert not any(value in text for value in ("pReViEw", "tEnAnTs", "kEyKeY"))
    assert "404" in written


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_running_out_of_open_files_is_the_clients_failure(host: str) -> None:
    """Streams beyond the limit are `client_error`, at the socket or the name lookup; the endpoint's rate stays 0."""

    def slowly(sock: socket.socket) -> None:
        sock.sendall(HEAD + TOKEN)
        time.sleep(1)
        sock.sendall(b"data: [DONE]\n\n")

    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))"
    with answering(slowly) as url:
        options = ["--requests", "60", "--request-rate", "100/s", "--burstiness", "0", "--json"]
        done = warm.chaoskit("probe", url.replace("127.0.0.1", host), *options, before=limit)

    result = json.loads(done.stdout)["chaoskit"]
    completions = result["overall"]["completions"]
    assert completions.keys() == {"complete", "client_error"}, done.stdout
    assert completions["client_error"] == result["health"]["client_errors"] > 10
    assert result["overall"]["interruption_rate"]["value"] == 0
    assert done.returncode == 5
    assert "requests failed in the client: this client's own limit" in result["outcome"]["reason"]


def test_a_run_that_fails_before_its_first_fault_is_stopped(tmp_path: Path) -> None:
    """An experiment on an endpoint that is not there ends after five requests, with exit code 3 and the reason."""
    file, out = tmp_path / "closed.yaml", tmp_path / "run"
    file.write_text(
        "name: closed\nquestion: Is it there?\nstage: {target: 'http://127.0.0.1:9/v1'}\n"
        "workload: {request-rate: 20/s}\ntimeline: [{baseline: 60s}]\nobjectives: [ttft_p95 < 1s]\n"
    )
    done = warm.chaoskit("run", str(file), "--out", str(out))

    assert done.returncode == 3, done.stderr
    assert "all failed: connection refused (ECONNREFUSED); check host and port" in " ".join(done.stdout.split())
    assert "BROKEN" not in done.stdout
    assert 5 <= len(read(out, Request)) < 20


@pytest.mark.parametrize("load", [["--max-concurrency", "8"], ["--request-rate", "500/s"]])
def test_a_mistake_in_many_tasks_at_once_is_one_mistake(load: list[str], tmp_path: Path) -> None:
    """Exit code 70 and the first real exception, never a group; beside a full disk the mistake is said."""
    broken = (
        "import sys, chaoskit.probe.drive as d\n"
        "from chaoskit.errors import RefusedError\n"
        "async def run(self, request, deadline):\n"
        "    if request.number % 2: raise RefusedError('cannot write')\n"
        "    raise ZeroDivisionError('one by none')\n"
        "d.StreamGroup._run = run\n"
    )
    out = tmp_path / "run"
    words = ["probe", "http://127.0.0.1:9", "--requests", "50", *load, "--out", str(out)]
    done = warm.chaoskit(*words, before=broken)
    again = warm.chaoskit("report", str(out))

    assert done.returncode == 70
    assert done.stderr.startswith("chaoskit: this is a mistake in chaoskit itself: ZeroDivisionError: one by none")
    assert "Group" not in done.stderr + again.stdout
    assert again.returncode == 70


def test_a_trace_is_replayed(url: str, tmp_path: Path) -> None:
    """At its times and with its lengths; more requests than it has are refused, and so is a file that is none."""
    path = tmp_path / "trace.csv"
    path.write_text("milliseconds,input_tokens,output_tokens\n0,10,3\n400,100,5\n800,15,1\n")

    done = warm.chaoskit(
        *("probe", url, "--model", "m", "--trace", f"{{file: {path}, speed: 2x}}", "--requests", "3"),
        *("--out", str(tmp_path / "run")),
    )
    many = warm.chaoskit("probe", url, "--model", "m", "--trace", str(path), "--requests", "9")
    none = warm.chaoskit("probe", url, "--model", "m", "--trace", str(tmp_path / "no.csv"), "--requests", "1")

    assert done.returncode in (0, 5), done.stderr
    found = sorted(read(tmp_path / "run", Request), key=lambda one: one.stream)
    assert [one.scheduled - found[0].scheduled for one in found] == [0, 200_000_000, 400_000_000]
    assert [one.tokens for one in found] == [3, 5, 1]
    assert (many.returncode, none.returncode) == (2, 2)
    assert "the trace has 3 requests, and 9 are asked for; give --requests 3" in many.stderr
    assert "no.csv does not exist; give a CSV with the columns seconds,input_tokens,output_tokens" in none.stderr


@pytest.mark.parametrize(
    ("option", "words", "answer"),
    [
        ("--demand", "{chat: 70%, support: 50%}", "--demand: the shares add up to 120%"),
        ("--demand", "chat", "--demand: found 'chat', expected keys in braces; write {chat: 70%, support: 30%}"),
        ("--demand", "{chat:70%}", "--demand: found 'chat:70%'; write a space after the colon"),
        ("--users", "{retry: {patience: 10}}", "'10' has no unit; write 10ms or 10s"),
        ("--clients", "{count: 0}", "found '0', expected 1 or more"),
        ("--carry", "{workflow: heder x}", "is no place for a workflow; write model, none, or header x-workflow"),
        ("--trace", "{file: x, sped: 2x}", "unknown key; did you mean speed?"),
    ],
)
def test_mistakes_in_options_of_the_demand(url: str, option: str, words: str, answer: str) -> None:
    """Are answered as in a file."""
    done = warm.chaoskit("probe", url, "--model", "m", option, words, "--request-rate", "5/s")

    assert done.returncode == 2
    assert answer in done.stderr
