"""A failure of one stream does not affect others: invalid heads, redirects, endless streams, bugs of chaoskit."""

import asyncio
import contextlib
import random
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, get_args

import pytest
from far_side import (
    DONE,
    END,
    HEAD,
    ROLE,
    Behaviour,
    Outcome,
    ask,
    chunk,
    far_side,
    hang,
    outcome,
    ready,
    request,
    saying,
    token,
    workload,
)
from test_http2 import HEADERS, Http2

from chaoskit.clock import now
from chaoskit.errors import RefusedError, SpecError
from chaoskit.probe.client import Client, connect_options
from chaoskit.probe.conversation import Conversation
from chaoskit.probe.deadline import Deadline
from chaoskit.probe.drive import DriveOptions, StreamGroup, Target, drive
from chaoskit.probe.fail_fast import FailFast
from chaoskit.probe.failure_advice import Circumstances
from chaoskit.probe.recorder import Recorder
from chaoskit.probe.requests import RequestFactory
from chaoskit.probe.transport.dns import Resolver
from chaoskit.probe.transport.stamps import StampClock
from chaoskit.records.model import Completion, SocketRead
from chaoskit.spec.conversations import Opening

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

GOOD = HEAD + chunk(token(), DONE) + END
MANY = 1500
PIECES = [
    "http:", "https:", "//", "/", ":", "@", "[", "]", "[::1", "%", "%zz", "?", "#", "&", "=", "a", "é", "\xff", " ",
    "\t", "localhost", "8080", ":99999999", "\\", "xn--", "..", ";", "user:pw@", "127.0.0.1", "*",
    "\x7f", "javascript:", "!",
]  # fmt: skip


def answers(make: list[bytes]) -> Behaviour:
    """Answer each request of a connection with the next response, and close when it has no length."""
    waiting = iter(make)

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            said = next(waiting)
            writer.write(said)
            if b"content-length: 0" not in said:
                return

    return behave


def asked(many: list[bytes], connections: str) -> Outcome:
    """One request for each of these responses, a thousand per second."""

    async def main() -> Outcome:
        work = workload(
            request_rate="1000/s", burstiness=0, connections=connections, timeouts={"first-token": "10s", "idle": "10s"}
        )
        options = DriveOptions(seed=1, start=await ready(), length=None, requests=len(many))
        async with far_side(answers(many)) as url:
            return await ask(url, work, options)

    return asyncio.run(main())


def test_the_location_of_a_redirect_is_only_text() -> None:
    """Whatever a redirect's location is, its stream ends as http_error with the status, and so does the next one."""
    chance = random.Random(1)
    locations = ["".join(chance.choices(PIECES, k=chance.randint(0, 8))).strip() for _ in range(MANY)]
    told = [
        f"HTTP/1.1 {chance.randint(300, 399)} No\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode("latin-1")
        for location in ["localhost:8080/login", "//[", *locations]
    ]

    found = asked(told, "kept")

    assert len(found.requests) == len(told)
    assert {one.completion for one in found.requests} == {"http_error"}
    assert all(one.detail.startswith(f"{one.status}, not followed to") for one in found.requests)


def test_an_invalid_response_head_ends_only_its_stream() -> None:
    """Whatever response head a server sends, each request has its record and none is an internal error."""
    chance = random.Random(2)
    good = HEAD + chunk(token(), DONE) + END

    def mutated() -> bytes:
        said = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(said))
            match chance.randrange(4):
                case 0:
                    said[at] = chance.randrange(256)
                case 1:
                    del said[at : at + chance.randint(1, 20)]
                case 2:
                    said[at:at] = chance.randbytes(chance.randint(1, 5))
                case _:
                    said[at:at] = said[at : at + chance.randint(1, 40)]
        return bytes(said)

    found = asked([mutated() for _ in range(MANY)], "fresh")

    assert len(found.requests) == MANY
    assert {one.completion for one in found.requests} <= {*get_args(Completion)} - {"internal_error"}
    assert {"complete", "protocol_error", "truncated"} <= {one.completion for one in found.requests}


@pytest.mark.parametrize("status", ["101 Upgrade", "100", "199 X", "204 No", "299 X", "304 Same", "407 No", "999 X"])
def test_an_unusual_status_is_recorded(status: str) -> None:
    """An unusual status ends its stream according to its class."""

    async def main() -> None:
        async with far_side(saying(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())) as url:
            completion, detail = (await ask(url, workload(timeouts={"first-token": "300ms"}))).ending

        if status == "101 Upgrade":
            assert completion == "protocol_error"
        elif status[0] in "12":
            assert completion == "truncated"
        else:
            assert (completion, detail[:3]) == ("http_error", status[:3])

    asyncio.run(main())


def test_the_stream_timeout_bounds_a_stream() -> None:
    """A stream whose tokens never end is cancelled at its timeout, and so is one without a response."""

    async def trickle(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(chunk(token()))
            await asyncio.sleep(0.02)

    async def main() -> None:
        for behaviour in (saying(HEAD, then=trickle), saying(then=hang)):
            async with far_side(behaviour) as url:
                found = await ask(url, workload(timeouts={"stream": "300ms"}))

            assert found.ending == ("stream_timeout", "not at its end within 300ms")
            assert 300_000_000 <= found.request.ended - found.request.started < 2_000_000_000

    asyncio.run(main())


def test_a_retried_request_keeps_its_first_token_deadline() -> None:
    """A request that is sent again after GOAWAY keeps the deadline of its first attempt."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        side = Http2(reader, writer)
        counts.append(0)
        async for stream in side.requests():
            counts[-1] += 1
            if len(counts) > 1:
                continue
            if stream == 1:
                side.state.send_headers(stream, HEADERS)
                side.say(stream, token(), DONE, end=True)
            else:
                await asyncio.sleep(0.3)
                side.state.close_connection(error_code=0, last_stream_id=1)
                side.flush()

    counts: list[int] = []  # of each connection, how many requests

    async def main() -> None:
        work = workload(http="2", connections="shared", timeouts={"first-token": "500ms"})
        options = DriveOptions(seed=1, start=await ready(), length=None, requests=2)
        async with far_side(behave) as url:
            found = await ask(url, work, options)

        assert [one.completion for one in found.requests] == ["complete", "first_token_timeout"]
        assert counts == [2, 1]
        assert found.requests[1].ended - found.requests[1].started < 750_000_000

    asyncio.run(main())


class FailingRecorder(Recorder):
    """A recorder that fails for one stream."""

    def read(self, record: SocketRead) -> None:
        """As before, but for stream 1."""
        if record.stream == 1:
            raise KeyError("sk-secret")
        super().read(record)


def test_a_bug_ends_one_stream() -> None:
    """A stream in which chaoskit fails has a record that says where, without the error's text; others go on."""

    async def main() -> Outcome:
        with tempfile.TemporaryDirectory() as directory:
            run, clock = Path(directory), StampClock()
            async with far_side(saying(HEAD, chunk(ROLE), chunk(token(), DONE), END)) as url:
                target, work = Target(url), workload()
                client = Client(connect_options(target, None), work, clock)
                with FailingRecorder(run) as recorder:
                    async with asyncio.TaskGroup() as tasks:
                        group = StreamGroup(
                            tasks,
                            RequestFactory(target, work, 1),
                            client,
                            recorder,
                            DriveOptions(seed=1, start=now(), length=None),
                            FailFast(Circumstances(url, work.protocol), None),
                        )
                        for number in range(3):
                            group.start(group.prepare(now(), Conversation(Opening(number, number, 1))))
                await client.aclose()
            clock.close()
            return outcome(run)

    found = asyncio.run(main())

    ended = {one.stream: one for one in found.requests}
    assert [ended[number].completion for number in range(3)] == ["complete", "internal_error", "complete"]
    assert ended[1].detail.startswith("a mistake in chaoskit: KeyError in chaoskit/probe/")
    assert "sk-secret" not in found.everything


def test_an_error_of_the_drive_is_not_in_a_group() -> None:
    """An error that stops a whole drive is raised itself, not in an exception group."""

    async def main() -> None:
        async with far_side(saying(GOOD)) as url:
            with tempfile.TemporaryDirectory() as directory:
                run = Path(directory)
                (run / "requests.jsonl").symlink_to("/dev/full")
                options = DriveOptions(seed=1, start=await ready(), length=None, requests=1)
                with pytest.raises(RefusedError, match="cannot write"):
                    await drive(Target(url), workload(), options, run, asyncio.Event())

    asyncio.run(main())


def test_a_task_that_ignores_cancellation_is_cancelled_again() -> None:
    """A cleanup that blocks is cancelled again."""

    async def stubborn() -> Completion:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()
        return "complete"

    async def main() -> None:
        deadline = Deadline()
        task = asyncio.create_task(stubborn())
        deadline.watch(task)
        deadline.reschedule(now(), "idle_timeout")

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 10)
        assert deadline.reason == "idle_timeout"

    asyncio.run(main())


def test_lookups_take_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of concurrent lookups use some dozens of threads, and each gets its answer."""
    at_once: set[threading.Thread] = set()
    counts: list[int] = []
    look_up = socket.getaddrinfo

    def slow(*question: Any, **options: Any) -> Any:
        thread = threading.current_thread()
        if thread.name != "resolver":
            return look_up(*question, **options)
        at_once.add(thread)
        counts.append(len(at_once))
        time.sleep(0.005)
        answer = look_up(*question, **options)
        at_once.remove(thread)  # a thread that has its answer may need a moment to end
        return answer

    async def main() -> None:
        resolver = Resolver()
        for answer in await asyncio.gather(*(resolver.addresses("localhost", 80) for _ in range(500))):
            assert answer[0]

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    asyncio.run(main())
    assert len(counts) == 500
    assert 1 < max(counts) <= 64


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_without_certificates_is_refused(text: str | None, tmp_path: Path) -> None:
    """A ca-file that is missing or not PEM is a SpecError."""
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)

    with pytest.raises(SpecError, match="give a file of certificates in PEM"):
        asyncio.run(ask(Target("https://127.0.0.1:9", ca_file=path), workload()))
