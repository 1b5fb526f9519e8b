"""Streams that share one HTTP/2 connection do not affect each other."""

import re
import socket
from collections.abc import Callable, Iterator

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded
from h2.settings import SettingCodes, Settings
from serving import SCRIPT, Running

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use


class Client:
    """A blocking HTTP/2 client that updates windows only when told to."""

    def __init__(self, sock: socket.socket, window: int) -> None:
        self.sock = sock
        self.h2 = H2Connection(H2Configuration(client_side=True))
        self.h2.local_settings = Settings(initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(2**30)
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()

    def ask(self, tokens: int, **headers: str) -> int:
        """Ask for a stream, without sending yet; its number."""
        number = self.h2.get_next_available_stream_id()
        fixed = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "x"),
            (":path", f"/sse?tokens={tokens}"),
        ]
        self.h2.send_headers(number, [*fixed, *headers.items()], end_stream=True)
        self.bodies[number] = b""
        return number

    def send(self) -> None:
        """Send what has been prepared."""
        self.sock.sendall(self.h2.data_to_send())

    def read_until(self, condition: Callable[[], bool]) -> None:
        """Take in what comes until it holds."""
        self.send()
        while not condition():
            data = self.sock.recv(65536)
            assert data, "the server closed"
            for event in self.h2.receive_data(data):
                self._take(event)
            self.send()

    def _take(self, event: Event) -> None:
        match event:
            case DataReceived(stream_id=number, data=data):
                self.bodies[number] += data
            case StreamEnded(stream_id=number):
                self.ended.add(number)
            case ResponseReceived(headers=headers):
                assert (b":status", b"200") in [(bytes(name), bytes(value)) for name, value in headers]
            case _:
                pass


@pytest.fixture
def client(server: Running) -> Iterator[Client]:
    """With large windows."""
    with server.connect() as sock:
        yield Client(sock, 2**20)


@pytest.fixture
def tight(server: Running) -> Iterator[Client]:
    """With zero windows, until they are updated."""
    with server.connect() as sock:
        yield Client(sock, 0)


def stamps(body: bytes) -> list[tuple[int, int]]:
    """(due, sent) of every event."""
    return [(int(due), int(sent)) for due, sent in re.findall(rb": chaoskit \d+ (\d+) (\d+)", body)]


def test_a_reset_ends_one_stream(server: Running, client: Client) -> None:
    """A reset of one stream ends it at once, and the other completes."""
    doomed, other = client.ask(100_000), client.ask(100)
    client.read_until(lambda: b": chaoskit 5 " in client.bodies[doomed])
    client.h2.reset_stream(doomed)
    client.read_until(lambda: other in client.ended)

    first, second = server.served_when(2)

    assert (first.outcome, first.tokens, second.outcome, second.tokens_sent) == ("client-left", 100_000, "sent", 100)
    assert first.tokens_sent < 1000


def test_one_stream_after_the_other(server: Running, client: Client) -> None:
    """A connection whose streams have ended serves more, and late window updates are ignored."""
    for tokens in (3, 4, 5):
        number = client.ask(tokens)
        client.read_until(lambda number=number: number in client.ended)  # type: ignore[misc]  # mypy infers no lambda with a default
        client.h2.increment_flow_control_window(100)
        assert len(stamps(client.bodies[number])) == tokens

    assert [record.tokens_sent for record in server.served_when(3)] == [3, 4, 5]


def test_stopping_aborts_every_stream(server: Running, client: Client) -> None:
    """When the server stops, all streams of a connection have failed."""
    number = client.ask(100_000)
    client.ask(100_000)
    client.read_until(lambda: b": chaoskit 5 " in client.bodies[number])

    server.stop()

    assert [record.outcome for record in server.served()] == ["failed"] * 2


def test_goaway_with_an_error_ends_all_streams(server: Running, client: Client) -> None:
    """A client's GOAWAY with an error code ends all its streams."""
    number = client.ask(100_000)
    client.ask(100_000)
    client.read_until(lambda: b": chaoskit 5 " in client.bodies[number])
    client.h2.close_connection(2)
    client.send()

    assert [record.outcome for record in server.served_when(2)] == ["client-left"] * 2


def test_an_immediate_reset_is_harmless(server: Running, client: Client) -> None:
    """A request with RST_STREAM in the same segment is ignored; the next one is answered."""
    regretted = client.ask(5)
    client.h2.reset_stream(regretted)
    number = client.ask(5)
    client.read_until(lambda: number in client.ended)

    assert [record.tokens_sent for record in server.served_when(1)] == [5]
    assert client.bodies[regretted] == b""


@pytest.mark.parametrize("code", [0, 2])
def test_an_immediate_goaway_is_harmless(server: Running, client: Client, code: int) -> None:
    """A request with GOAWAY in the same segment is answered unless there is an error; then the server closes."""
    client.ask(5)
    client.h2.close_connection(code)
    client.send()
    received = b""
    while piece := client.sock.recv(65536):
        received += piece

    server.stop()

    assert [record.outcome for record in server.served()] == ["sent"] * (code == 0)
    assert (b"data: [DONE]" in received) == (code == 0)


def test_a_blocked_stream_delays_no_other(server: Running, tight: Client) -> None:
    """While one stream's window is zero, another is on time; after an update all its tokens arrive, late."""
    stuck, other = tight.ask(50), tight.ask(100)
    tight.send()
    tight.h2.increment_flow_control_window(2**20, other)
    tight.read_until(lambda: other in tight.ended)
    assert tight.bodies[stuck] == b""
    tight.h2.increment_flow_control_window(2**20, stuck)
    tight.read_until(lambda: stuck in tight.ended)

    on_time, late = stamps(tight.bodies[other]), stamps(tight.bodies[stuck])

    assert len(on_time) == 100
    assert sorted(sent - due for due, sent in on_time)[50] < 5_000_000
    assert [due for due, _ in late] == [late[0][0] + seq * int(SCRIPT.token_interval) for seq in range(50)]
    assert min(sent for _, sent in late) > max(due for due, _ in late)
    assert max(record.max_late for record in server.served_when(2)) == max(sent - due for due, sent in late)


def test_small_window_updates_are_enough(server: Running, tight: Client) -> None:
    """With window updates of seven bytes a stream arrives complete and in order."""
    number = tight.ask(20, **{"x-chaoskit-stream": "4"})
    while number not in tight.ended:
        before = len(tight.bodies[number])
        tight.h2.increment_flow_control_window(7, number)
        tight.read_until(lambda before=before: len(tight.bodies[number]) > before or number in tight.ended)  # type: ignore[misc]

    words = re.findall(rb"data: (.*)\n", tight.bodies[number])
    assert b"".join(words) == SCRIPT.plan(20, "stream", 4).whole().encode() + b"[DONE]"


def test_settings_may_update_windows(server: Running, tight: Client) -> None:
    """A later SETTINGS_INITIAL_WINDOW_SIZE updates all streams."""
    numbers, other = [tight.ask(10) for _ in range(3)], tight.ask(100)
    tight.h2.increment_flow_control_window(2**20, other)
    tight.read_until(lambda: other in tight.ended)
    assert [tight.bodies[number] for number in numbers] == [b""] * 3
    tight.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
    tight.read_until(lambda: tight.ended >= set(numbers))

    assert all(tight.bodies[number].endswith(b"data: [DONE]\n\n") for number in numbers)
