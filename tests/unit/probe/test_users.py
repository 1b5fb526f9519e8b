"""Users who give up and ask again, on real sockets."""

import asyncio
from collections import Counter

import pytest
from far_side import DONE, END, HEAD, ROLE, ask, chunk, far_side, hang, ready, request, saying, token, workload

from chaoskit.probe.drive import DriveOptions
from chaoskit.records.model import Request

MS = 10**6
RETRY = {"share": "100%", "patience": "150ms", "after": "50ms", "times": 2}


def attempts(found: list[Request]) -> list[tuple[int, int | None, str]]:
    """Of each request, in the order of their numbers."""
    return [(one.attempt, one.retry_of, one.completion) for one in sorted(found, key=lambda one: one.stream)]


def test_who_is_not_served_asks_again_so_often() -> None:
    """After the patience the connection is closed; the same question follows after the time to think, twice."""
    asked: list[bytes] = []
    closed = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal closed
        del writer
        _, _, body = await request(reader)
        asked.append(body)
        closed += await reader.read() == b""

    async def main() -> None:
        async with far_side(behave) as url:
            found = (await ask(url, workload(users={"retry": RETRY}))).requests

        assert attempts(found) == [(1, None, "abandoned"), (2, 0, "abandoned"), (3, 1, "abandoned")]
        assert {one.detail for one in found} == {"the user gave up: no first token within 150ms"}
        first, second, third = sorted(found, key=lambda one: one.stream)
        for former, after in ((first, second), (second, third)):
            assert 150 * MS <= former.ended - former.scheduled < 250 * MS
            assert after.scheduled == former.ended + 50 * MS
        assert closed == 3
        assert len(set(asked)) == 1

    asyncio.run(main())


def test_who_is_served_does_not_ask_again() -> None:
    """A failure is asked again, and a complete answer is the end; what comes after the first token has all its time."""
    count = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await request(reader)
        if count == 1:
            writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
            return
        writer.write(HEAD + chunk(token()))
        await asyncio.sleep(0.3)
        writer.write(chunk(token(), DONE) + END)

    async def main() -> None:
        async with far_side(behave) as url:
            found = (await ask(url, workload(users={"retry": RETRY}))).requests

        assert attempts(found) == [(1, None, "http_error"), (2, 0, "complete")]

    asyncio.run(main())


def test_other_users_wait() -> None:
    """Without a retry, and for users who do not, the client's own timeouts are the only ones."""

    async def main() -> None:
        work = workload(
            max_concurrency=40, users={"retry": {**RETRY, "share": "50%"}}, timeouts={"first-token": "700ms"}
        )
        async with far_side(saying(HEAD, chunk(ROLE), then=hang)) as url:
            options = DriveOptions(seed=3, start=await ready(), length=None, requests=40)
            found = (await ask(url, work, options)).requests

        first = Counter(one.completion for one in found if one.attempt == 1)
        assert first["abandoned"] + first["first_token_timeout"] == 40
        assert 10 < first["abandoned"] < 30
        assert Counter(one.attempt for one in found) == {1: 40, 2: first["abandoned"], 3: first["abandoned"]}

    asyncio.run(main())


def test_nobody_asks_again_after_the_end() -> None:
    """A user whose time to think ends after the timeline does not come back, and the drive does not wait for him."""

    async def main() -> None:
        work = workload(request_rate="20/s", users={"retry": {**RETRY, "after": "3s"}})
        async with far_side(saying(then=hang)) as url:
            options = DriveOptions(seed=1, start=await ready(), length=300 * MS, drain=500 * MS)
            found = (await ask(url, work, options)).requests

        assert {one.attempt for one in found} == {1}
        assert {one.completion for one in found} == {"abandoned"}

    asyncio.run(main())


def test_a_drive_that_is_stopped_does_not_wait_for_users_who_think() -> None:
    """They are gone at once; their latest record stands."""

    async def main() -> None:
        work = workload(request_rate="20/s", users={"retry": {**RETRY, "after": "5s"}})
        async with far_side(saying(then=hang)) as url:
            options = DriveOptions(seed=1, start=await ready(), length=20_000 * MS, requests=3, drain=600 * MS)
            begun = asyncio.get_running_loop().time()
            found = (await ask(url, work, options)).requests

        assert asyncio.get_running_loop().time() - begun < 3
        assert attempts(found) == [(1, None, "abandoned")] * 3

    asyncio.run(main())


@pytest.mark.parametrize("turns", [1, 3])
def test_all_turns_of_a_conversation_follow_a_retry(turns: int) -> None:
    """A question that was answered at the second attempt is followed by the next one, whose attempts begin anew."""
    count = 0

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        while True:
            try:
                await request(reader)
            except asyncio.IncompleteReadError:
                return
            count += 1
            if count % 2:
                writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")
                continue
            writer.write(HEAD + chunk(token(), DONE) + END)

    async def main() -> None:
        async with far_side(behave) as url:
            options = DriveOptions(seed=1, start=await ready(), length=None, requests=turns)
            found = (await ask(url, workload(turns=turns, users={"retry": RETRY}), options)).requests

        assert [(attempt, completion) for attempt, _, completion in attempts(found)] == [
            (1, "http_error"), (2, "complete")
        ] * turns  # fmt: skip

    asyncio.run(main())
