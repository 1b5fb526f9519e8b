"""Unacknowledged data is recorded after each further retransmission, and when the retransmissions have ended."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from serving import running, wait_for

from chaoskit.records import jsonl
from chaoskit.records.model import UnackedSample
from chaoskit.server.connection import Connection
from chaoskit.server.schedule import Script
from chaoskit.server.streaming import ResponseDispatcher
from chaoskit.server.unacked import record_unacked
from chaoskit.timer import AbsoluteTimer
from chaoskit.units import Duration

SCRIPT = Script(Duration(0), Duration(0), Duration(0))


class RetransmittingConnection(Connection):
    """A connection with a number of retransmissions that the test sets."""

    def __init__(self, dispatcher: ResponseDispatcher, latest_stream: int | None, sock: socket.socket) -> None:
        super().__init__(dispatcher, set())
        self.latest_stream = latest_stream
        self.socket = sock
        self.consecutive = 0

    def retransmissions(self) -> int:
        """The number that the test has set."""
        return self.consecutive


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    """A TCP socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as found:
        yield found


async def recorded(run: Path, sock: socket.socket, *checks: dict[int | None, int]) -> list[int]:
    """The streams recorded by checks, each of which sees these retransmissions by stream."""
    timer = AbsoluteTimer()
    with closing(jsonl.Log(run, UnackedSample)) as log:
        dispatcher = ResponseDispatcher(SCRIPT, timer, unacked=log)
        connections = {stream: RetransmittingConnection(dispatcher, stream, sock) for stream in checks[0]}
        for shown in checks:
            for stream, consecutive in shown.items():
                connections[stream].consecutive = consecutive
            record_unacked(reversed(connections.values()))
    timer.close()
    return [record.stream for record in jsonl.read(run, UnackedSample)]


@pytest.mark.parametrize(
    ("agains", "count"),
    [
        ((0, 0), 0),
        ((1, 1, 0), 0),
        ((2,), 1),
        ((2, 2, 2), 1),
        ((2, 3, 3, 4), 3),
        ((2, 0, 0), 2),
        ((3, 1, 2), 3),
    ],
)
def test_only_changes_are_recorded(agains: tuple[int, ...], count: int, tmp_path: Path, sock: socket.socket) -> None:
    """The second consecutive retransmission is recorded, each further one, and the end; single ones are not."""
    checks: list[dict[int | None, int]] = [{7: consecutive} for consecutive in agains]

    assert len(asyncio.run(recorded(tmp_path, sock, *checks))) == count


def test_samples_are_in_stream_order(tmp_path: Path, sock: socket.socket) -> None:
    """The order of records does not depend on the order of connections."""
    assert asyncio.run(recorded(tmp_path, sock, {3: 2, 5: 2, 11: 2})) == [3, 5, 11]


def test_a_connection_without_numbered_streams_is_not_sampled(tmp_path: Path, sock: socket.socket) -> None:
    """Without a stream number there is no record."""
    assert asyncio.run(recorded(tmp_path, sock, {None: 5})) == []


def test_a_last_sample_is_recorded_when_the_client_disconnects(tmp_path: Path, sock: socket.socket) -> None:
    """The final TCP_INFO is recorded although no further check follows."""

    async def main() -> None:
        timer = AbsoluteTimer()
        with closing(jsonl.Log(tmp_path, UnackedSample)) as log:
            connection = RetransmittingConnection(ResponseDispatcher(SCRIPT, timer, unacked=log), 4, sock)
            connection.consecutive = 2
            record_unacked([connection])
            connection.connection_lost(None)
        timer.close()

    asyncio.run(main())

    assert [record.stream for record in jsonl.read(tmp_path, UnackedSample)] == [4, 4]


def test_without_loss_nothing_is_recorded(tmp_path: Path) -> None:
    """A complete response leaves no such record; its own record has TCP_INFO of its start and end."""
    with running(tmp_path) as server:
        with server.connect() as client:
            client.sendall(b"GET /sse?tokens=3 HTTP/1.1\r\nhost: x\r\nx-chaoskit-stream: 9\r\n\r\n")
            (served,) = server.served_when(1)
        wait_for(lambda: (tmp_path / jsonl.FILES[UnackedSample]).exists())

    assert jsonl.read(tmp_path, UnackedSample) == []
    assert served.tcp_info_at_start["bytes_sent"] == 0 < served.tcp_info["bytes_sent"]
    assert served.tcp_info_at_start["snd_mss"] == served.tcp_info["snd_mss"]
