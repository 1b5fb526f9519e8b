"""TCP_INFO is sampled while a stream is stuck, at growing intervals, and not otherwise."""

from __future__ import annotations

import asyncio

import pytest
from far_side import DONE, END, HEAD, ask, chunk, far_side, request, token, workload

from chaoskit.records.model import TcpInfo

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

SECOND = 10**9
MS = 10**6


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

        assert looks(found.tcp_infos) == ["connected", "stuck", "start", "silent", "stuck", "resumed", "end"]
        _, first, start, _, second, _, _ = (info.at for info in found.tcp_infos)
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
    """A second and a half of tokens, 150 ms apart, have the usual samples only."""

    async def steady(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(HEAD)
        for _ in range(10):
            writer.write(chunk(token()))
            await asyncio.sleep(0.15)
        writer.write(chunk(DONE) + END)

    async def main() -> None:
        async with far_side(steady) as url:
            found = await ask(url, workload())

        assert looks(found.tcp_infos) == ["connected", "start", "end"]

    asyncio.run(main())


def test_a_stall_has_a_sample_at_its_begin_and_at_its_end() -> None:
    """After half of a stall's length, and with the read that ends it: what came meanwhile is known, and what waits."""

    async def main() -> None:
        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            writer.write(HEAD + chunk(token()))
            await asyncio.sleep(0.5)
            writer.write(chunk(token()))
            writer.write(chunk(token(), DONE) + END)

        async with far_side(once) as url:
            found = await ask(url, workload())
        first, second = (read.read_at for read in found.reads[:2])
        _, _, silent, resumed, _ = found.tcp_infos

        assert looks(found.tcp_infos) == ["connected", "start", "silent", "resumed", "end"]
        assert 100 * MS <= silent.at - first < 200 * MS
        assert resumed.at == second
        assert silent.fields["rmem_alloc"] == 0
        assert 0 < resumed.fields["data_segs_in"] - silent.fields["data_segs_in"] <= 2
        assert resumed.fields["bytes_received"] > silent.fields["bytes_received"]

    asyncio.run(main())


def test_a_stream_that_is_slow_and_no_more_leaves_no_samples_of_silences() -> None:
    """Tokens 350 ms apart, where a stall is longer than half a second."""

    async def main() -> None:
        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            writer.write(HEAD)
            for _ in range(4):
                writer.write(chunk(token()))
                await asyncio.sleep(0.35)
            writer.write(chunk(DONE) + END)

        async with far_side(slow) as url:
            found = await ask(url, workload(stall_threshold="500ms"))

        assert looks(found.tcp_infos) == ["connected", "start", "end"]

    asyncio.run(main())
