"""A whole drive: when requests start, what is recorded, and how it ends."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from far_side import (
    DONE,
    END,
    HEAD,
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

from chaoskit.clock import now
from chaoskit.errors import RefusedError
from chaoskit.probe.drive import DriveOptions, Target, drive, schedule
from chaoskit.probe.ending import Ending
from chaoskit.records.model import Request
from chaoskit.server.app import serve
from chaoskit.server.schedule import Script
from chaoskit.spec.workload import Protocol
from chaoskit.units import Duration

MS = 1_000_000
GOOD = HEAD + chunk(token(), DONE) + END


@contextlib.asynccontextmanager
async def reference_server(interval: str = "2ms") -> AsyncIterator[str]:
    """The reference server in this loop; yields its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    stop = asyncio.Event()
    script = Script(Duration.parse("10ms"), Duration.parse("12ms"), Duration.parse(interval), seed=1)
    server = asyncio.create_task(serve(listener, script, stop))
    try:
        yield url
    finally:
        stop.set()
        await server


@pytest.mark.parametrize("protocol", ["openai-chat", "anthropic-messages", "ollama", "sse"])
@pytest.mark.parametrize("lines", [("1.1", "fresh"), ("1.1", "kept"), ("2", "fresh"), ("2", "kept"), ("2", "shared")])
def test_every_protocol_is_measured_over_every_kind_of_connection(protocol: Protocol, lines: tuple[str, str]) -> None:
    """Each token of the reference server comes with its stamps, in order, after it was sent."""
    http, connections = lines

    async def main() -> None:
        work = workload(protocol=protocol, http=http, connections=connections, output_tokens=20, max_concurrency=3)
        async with reference_server() as url:
            found = await ask(url, work, DriveOptions(seed=1, start=await ready(), length=None, requests=6))

        assert len(found.requests) == 6
        for one in found.requests:
            assert (one.completion, one.tokens, one.status) == ("complete", 20, 200)
            mine = [(read, event) for read in found.reads if read.stream == one.stream for event in read.events]
            stamped = [(read, event) for read, event in mine if event.sent is not None]
            assert [event.seq for _, event in stamped] == list(range(20))
            assert all((event.due or 0) <= (event.sent or 0) <= read.at <= read.read_at for read, event in stamped)
            ordered(one)

    asyncio.run(main())


def ordered(one: Request) -> None:
    """A complete request has all its stamps, in chronological order."""
    steps = (
        one.scheduled, one.started, one.sent, one.headers, one.first_event, one.first_token, one.last_token, one.ended
    )  # fmt: skip
    known = [step for step in steps if step is not None]
    assert len(known) == len(steps)
    assert known == sorted(known)
    assert one.first_token == one.first_output


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_an_open_loop_starts_on_schedule() -> None:
    """Requests start at the times given by the seed, even when none is answered."""

    async def main() -> None:
        work = workload(request_rate="50/s", timeouts={"first-token": "5s"})
        options = DriveOptions(seed=4, start=await ready(), length=600 * MS, drain=0)
        async with far_side(saying(then=hang)) as url:
            found = await ask(url, work, options)

        wanted = [options.start + offset for offset in schedule(work, 4, 600 * MS)]
        assert sorted(one.scheduled for one in found.requests) == wanted
        late = sorted(one.started - one.scheduled for one in found.requests)
        assert late[0] >= 0
        assert late[len(late) // 2] < 20 * MS
        assert {one.completion for one in found.requests} == {"cancelled"}
        assert {one.detail for one in found.requests} == {"the run ended before the response"}

    asyncio.run(main())


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_closed_loop_bounds_concurrency() -> None:
    """At most max-concurrency streams are open, each followed by the next; none starts after the end."""
    open_now = most = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await request(reader)
        writer.write(HEAD + chunk(token()))
        await asyncio.sleep(0.05)
        open_now -= 1
        writer.write(chunk(DONE) + END)

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=400 * MS, drain=1000 * MS)
        async with far_side(count) as url:
            found = await ask(url, workload(max_concurrency=3), options)

        assert most == 3
        assert len(found.requests) > 3
        assert {one.completion for one in found.requests} == {"complete"}
        assert all(one.scheduled < options.start + 400 * MS for one in found.requests)
        assert len({one.connection for one in found.requests}) == len(found.requests)

    asyncio.run(main())


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_failing_server_is_not_flooded() -> None:
    """In a closed loop a failure is followed by a pause."""

    async def main() -> None:
        found = await ask(
            "http://127.0.0.1:9", workload(), DriveOptions(seed=1, start=await ready(), length=350 * MS, drain=0)
        )

        assert 1 <= len(found.requests) <= 4

    asyncio.run(main())


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_draining_lets_streams_end_within_a_bound() -> None:
    """After the last request open streams continue; those that outlast the drain are cancelled."""

    async def main() -> None:
        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _, headers, _ = await request(reader)
            writer.write(HEAD + chunk(token()))
            await asyncio.sleep(0.15)
            if headers["x-chaoskit-stream"] == "0":
                writer.write(chunk(DONE) + END)
            await hang(writer)

        options = DriveOptions(seed=1, start=await ready(), length=100 * MS, drain=400 * MS)
        async with far_side(slow) as url:
            found = await ask(url, workload(request_rate="20/s", burstiness=0), options)

        assert [one.completion for one in sorted(found.requests, key=lambda one: one.stream)] == [
            "complete",
            "cancelled",
        ]
        cut = found.requests[-1]
        assert cut.detail == "the run ended"
        assert cut.ended >= options.start + 500 * MS

    asyncio.run(main())


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_a_closed_loop_drains_too() -> None:
    """A closed loop's streams that do not end are cancelled after the drain, and not before."""

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=100 * MS, drain=200 * MS)
        async with far_side(saying(HEAD + chunk(token()), then=hang)) as url:
            found = await ask(url, workload(max_concurrency=2, timeouts={"idle": "60s"}), options)

        assert [one.completion for one in found.requests] == ["cancelled"] * 2
        assert all(one.ended >= options.start + 300 * MS for one in found.requests)

    asyncio.run(main())


@pytest.mark.parametrize("words", [{"request_rate": "30/s"}, {"max_concurrency": 4}])
def test_stopping_ends_everything_at_once(words: dict[str, Any], tmp_path: Path) -> None:
    """When `stop` is set, open streams end as cancelled, all is recorded, and the drive returns."""

    async def main() -> None:
        stop = asyncio.Event()
        options = DriveOptions(seed=1, start=await ready(), length=3600 * 1000 * MS, drain=3600 * 1000 * MS)
        async with far_side(saying(HEAD + chunk(token()), then=hang)) as url:
            running = asyncio.create_task(drive(Target(url), workload(**words), options, tmp_path, stop))
            async with asyncio.timeout(10):
                while len(outcome(tmp_path).vitals) == 0:
                    await asyncio.sleep(0)
                stop.set()
                await running

        found = outcome(tmp_path)
        assert found.requests
        assert {one.completion for one in found.requests} == {"cancelled"}
        told = {one.stream for one in found.requests if one.first_token is not None}
        assert told == {read.stream for read in found.reads} != set()
        assert found.vitals[-1].open == 0
        assert found.vitals[-1].started == found.vitals[-1].ended == len(found.requests)

    asyncio.run(main())


def test_stopping_before_the_start_sends_nothing(tmp_path: Path) -> None:
    """A drive that is stopped while it waits for its start leaves empty files."""

    async def main() -> None:
        stop = asyncio.Event()
        stop.set()
        options = DriveOptions(seed=1, start=now() + 3600 * 1000 * MS, length=None, requests=5)
        await asyncio.wait_for(drive(Target("http://127.0.0.1:9"), workload(), options, tmp_path, stop), 10)

        assert outcome(tmp_path).requests == []

    asyncio.run(main())


def test_kept_connections_are_reused() -> None:
    """With `kept` a connection serves one stream after the other; one that the server closed is replaced."""
    served = 0

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        for _ in range(2):
            await request(reader)
            served += 1
            writer.write(GOOD)

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=None, requests=4)
        async with far_side(twice) as url:
            found = await ask(url, workload(connections="kept"), options)

        assert [one.completion for one in found.requests] == ["complete"] * 4
        assert [one.reused for one in found.requests] == [False, True, False, True]
        assert [one.connection for one in found.requests] == [0, 0, 1, 1]
        assert [one.connect_duration is None for one in found.requests] == [False, True, False, True]

    asyncio.run(main())


@pytest.mark.flaky(reruns=4)  # real time, on a machine that others use
def test_vitals_describe_the_probe() -> None:
    """Every half second there is a record with stream counts and the last TTFT."""

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=1200 * MS, drain=1000 * MS)
        async with far_side(saying(GOOD)) as url:
            found = await ask(url, workload(request_rate="20/s"), options)

        assert len(found.vitals) >= 3
        last = found.vitals[-1]
        assert last.started == last.ended == len(found.requests)
        newest = max(found.requests, key=lambda one: one.first_token or 0)
        assert last.last_ttft == (newest.first_token or 0) - newest.scheduled
        assert all(0 <= one.lag < 500 * MS for one in found.vitals)
        assert found.vitals[0].cpu <= last.cpu

    asyncio.run(main())


def test_a_blocked_loop_shows_as_lag() -> None:
    """A callback that blocks the loop shows as lag in the vitals."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        begun = now()
        while now() - begun < 150 * MS:
            pass
        writer.write(GOOD)

    async def main() -> None:
        async with far_side(behave) as url:
            found = await ask(url, workload())

        assert max(one.lag for one in found.vitals) > 100 * MS

    asyncio.run(main())


def test_a_full_disk_ends_the_drive(tmp_path: Path) -> None:
    """Records that cannot be written refuse the run in one sentence, even while streams are open."""
    (tmp_path / "tokens.jsonl").symlink_to("/dev/full")

    async def main() -> None:
        options = DriveOptions(seed=1, start=await ready(), length=60_000 * MS, drain=60_000 * MS)
        async with far_side(saying(HEAD + chunk(token()), then=hang)) as url:
            driving = drive(Target(url), workload(request_rate="30/s"), options, tmp_path, asyncio.Event())
            with pytest.raises(RefusedError, match=r"cannot write .*tokens\.jsonl"):
                await asyncio.wait_for(driving, 10)

    asyncio.run(main())


def test_nothing_is_left_open() -> None:
    """A drive closes every socket and timer that it opened, however its streams ended."""

    async def main() -> None:
        before = descriptors()
        async with far_side(saying(HEAD + chunk(token()), then=hang)) as url:
            work = workload(request_rate="50/s", connections="kept", timeouts={"idle": "100ms"})
            await ask(url, work, DriveOptions(seed=1, start=await ready(), length=300 * MS, drain=200 * MS))
        await asyncio.sleep(0)
        assert descriptors() <= before

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    asyncio.run(main())


@pytest.mark.parametrize("load", [{"request_rate": "50/s", "burstiness": 0}, {"max_concurrency": 2}])
def test_a_drive_that_is_told_its_end_starts_nothing_after_it(load: dict[str, Any]) -> None:
    """What is open then is received to its end; of 10 s the drive takes half a second. A closed pipe tells nothing."""

    async def main() -> None:
        reader, writer = os.pipe()
        start = await ready()
        end = start + 300 * MS
        options = DriveOptions(seed=1, start=start, length=10_000 * MS, drain=5000 * MS, ending=Ending(reader))
        asyncio.get_running_loop().call_later(0.1, os.write, writer, str(end).encode())
        async with reference_server("10ms") as url:
            found = await ask(url, workload(output_tokens=30, **load), options)
        os.close(writer)

        assert found.requests
        assert max(one.scheduled for one in found.requests) < end
        assert {one.completion for one in found.requests} == {"complete"}
        assert max(one.ended for one in found.requests) > end
        assert now() < end + 3000 * MS

    asyncio.run(main())


def test_a_drive_that_is_told_nothing_has_its_length() -> None:
    """Who would tell it is gone, and with it the other end of the pipe."""

    async def main() -> None:
        reader, writer = os.pipe()
        os.close(writer)
        start = await ready()
        options = DriveOptions(seed=1, start=start, length=400 * MS, drain=1000 * MS, ending=Ending(reader))
        async with reference_server() as url:
            found = await ask(url, workload(output_tokens=5, request_rate="20/s", burstiness=0), options)

        assert max(one.scheduled for one in found.requests) >= start + 300 * MS

    asyncio.run(main())
