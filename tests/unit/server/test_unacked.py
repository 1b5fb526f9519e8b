"""An answer that does not get through is written down each time that it has got worse, and when that is over."""

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
from chaoskit.server.streaming import ResponseScheduler
from chaoskit.server.unacked import look_for_unacked
from chaoskit.timer import AbsoluteTimer
from chaoskit.units import Duration

SCRIPT = Script(Duration(0), Duration(0), Duration(0))


class Ailing(Connection):
    """A connection whose kernel retransmits as a test says."""

    def __init__(self, desk: ResponseScheduler, asked: int | None, sock: socket.socket) -> None:
        super().__init__(desk, set())
        self.asked = asked
        self.socket = sock
        self.again = 0

    def retransmissions(self) -> int:
        """What the test says."""
        return self.again


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    """A TCP socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        yield made


async def noted(run: Path, sock: socket.socket, *looks: dict[int | None, int]) -> list[int]:
    """The streams written down when these streams' connections show so many retransmissions, look after look."""
    pacer = AbsoluteTimer()
    with closing(jsonl.Log(run, UnackedSample)) as log:
        desk = ResponseScheduler(SCRIPT, pacer, unacked=log)
        ailing = {stream: Ailing(desk, stream, sock) for stream in looks[0]}
        for shown in looks:
            for stream, again in shown.items():
                ailing[stream].again = again
            look_for_unacked(reversed(ailing.values()))
    pacer.close()
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
def test_only_what_is_news_is_written(agains: tuple[int, ...], count: int, tmp_path: Path, sock: socket.socket) -> None:
    """The second vain retransmission, each further one, and the end of it; single ones are everyday loss."""
    assert len(asyncio.run(noted(tmp_path, sock, *({7: again} for again in agains)))) == count


def test_the_order_is_that_of_the_streams(tmp_path: Path, sock: socket.socket) -> None:
    """Whatever order the connections are kept in, the same run leaves the same file."""
    assert asyncio.run(noted(tmp_path, sock, {3: 2, 5: 2, 11: 2})) == [3, 5, 11]


def test_what_nobody_asked_for_is_not_looked_at(tmp_path: Path, sock: socket.socket) -> None:
    """Of a connection whose client numbers no streams nothing could be made."""
    assert asyncio.run(noted(tmp_path, sock, {None: 5})) == []


def test_its_end_is_written_when_the_client_leaves(tmp_path: Path, sock: socket.socket) -> None:
    """What the socket knew in the end is kept, though nobody will look again."""

    async def main() -> None:
        pacer = AbsoluteTimer()
        with closing(jsonl.Log(tmp_path, UnackedSample)) as log:
            connection = Ailing(ResponseScheduler(SCRIPT, pacer, unacked=log), 4, sock)
            connection.again = 2
            look_for_unacked([connection])
            connection.connection_lost(None)
        pacer.close()

    asyncio.run(main())

    assert [record.stream for record in jsonl.read(tmp_path, UnackedSample)] == [4, 4]


def test_a_server_on_a_sound_network_notes_nothing(tmp_path: Path) -> None:
    """A whole answer leaves no such record, and what its socket knew at its start and end is with the answer."""
    with running(tmp_path) as server:
        with server.connect() as client:
            client.sendall(b"GET /sse?tokens=3 HTTP/1.1\r\nhost: x\r\nx-chaoskit-stream: 9\r\n\r\n")
            (served,) = server.served_when(1)
        wait_for(lambda: (tmp_path / jsonl.FILES[UnackedSample]).exists())

    assert jsonl.read(tmp_path, UnackedSample) == []
    assert served.tcp_info_at_start["bytes_sent"] == 0 < served.tcp_info["bytes_sent"]
    assert served.tcp_info_at_start["snd_mss"] == served.tcp_info["snd_mss"]
