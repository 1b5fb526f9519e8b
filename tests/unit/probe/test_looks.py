"""TCP_INFO is sampled while a stream is stuck, at growing intervals, and not otherwise."""

from __future__ import annotations

import asyncio

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, request, token, workload

from chaoskit.records.model import TcpInfo

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

SECOND = 10**9


def looks(infos: list[TcpInfo]) -> list[str]:
    """The occasions of the samples."""
    return [info.when for info in infos]


async def pausing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait 1.4 s, send a token, wait as long again, and end."""
    await request(reader)
    for said in (HEAD + chunk(token()), chunk(token(), DONE) + END):
        await asyncio.sleep(1.4)
        writer.write(said)


def test_a_silent_second_is_sampled() -> None:
    """After the request and after a token: one sample, about a second after the last data."""

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


def test_sampling_intervals_double() -> None:
    """In three seconds there are two samples: after 1 s and 2 s; the next would be after 4 s."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        await asyncio.Event().wait()

    async def main() -> None:
        async with far_side(hang) as url:
            found = await ask(url, workload(timeouts={"first-token": "3s"}))

        assert found.request.completion == "first_token_timeout"
        assert looks(found.tcp_infos) == ["connected", "stuck", "stuck", "end"]

    asyncio.run(main())


def test_a_steady_stream_has_no_stuck_samples() -> None:
    """Two seconds of tokens, 200 ms apart, have the usual samples only."""

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
