"""A socket that waits is looked at, seldom; one that does not wait never."""

from __future__ import annotations

import asyncio

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, request, token, workload

from chaoskit.records.model import TcpInfo

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

SECOND = 10**9


def looks(infos: list[TcpInfo]) -> list[str]:
    """Their occasions."""
    return [info.when for info in infos]


async def pausing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Think for 1.4 s, say a token, think for as long again, and end."""
    await request(reader)
    for said in (HEAD + chunk(token()), chunk(token(), DONE) + END):
        await asyncio.sleep(1.4)
        writer.write(said)


def test_each_second_without_a_word_is_a_look() -> None:
    """After the request and after a token: one look, a second or a little more after the last sign of life."""

    async def main() -> None:
        async with far_side(pausing) as url:
            found = await ask(url, workload())
        sent = found.request.sent
        assert sent is not None

        assert looks(found.tcp_infos) == ["connected", "stuck", "start", "stuck", "end"]
        _, first, start, second, _ = (info.at for info in found.tcp_infos)
        assert SECOND <= first - sent < SECOND + SECOND // 3
        assert SECOND <= second - start < SECOND + SECOND // 3
        assert found.tcp_infos[1].fields["last_data_recv"] >= 900

    asyncio.run(main())


def test_looks_become_rarer() -> None:
    """In three seconds there are two: at one and at two, the next would be at four."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await asyncio.Event().wait()

    async def main() -> None:
        async with far_side(hang) as url:
            found = await ask(url, workload(timeouts={"first-token": "3s"}))

        assert found.request.completion == "first_token_timeout"
        assert looks(found.tcp_infos) == ["connected", "stuck", "stuck", "end"]

    asyncio.run(main())


def test_a_quick_answer_is_not_looked_at() -> None:
    """Two seconds of tokens, 200 ms apart: as many samples as ever."""

    async def steady(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(HEAD)
        for _ in range(8):
            writer.write(chunk(token()))
            await asyncio.sleep(0.2)
        writer.write(chunk(DONE) + END)

    async def main() -> None:
        async with far_side(steady) as url:
            found = await ask(url, workload())

        assert looks(found.tcp_infos) == ["connected", "start", "end"]

    asyncio.run(main())
