"""Whatever is in a capture, it is read to its end; what scapy put into packets is what is read from them."""

from __future__ import annotations

import math
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_packets import FAR, OFFSET, PORT, Talk
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from chaoskit.analysis.segments.capture_file import read_capture
from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.analysis.segments.death import death
from chaoskit.analysis.segments.delivery import delivered
from chaoskit.analysis.segments.gap_evidence import gap_evidence
from chaoskit.analysis.segments.packets import NONE, decode
from chaoskit.analysis.segments.request_path import request_path
from chaoskit.records import pcapng

ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def capture(packets: list[bytes]) -> bytes:
    """A file with these packets, 1 ms apart."""
    headers = [(OFFSET + n * 10**6, 0, False, len(each), each) for n, each in enumerate(packets)]
    return pcapng.section("test", OFFSET) + pcapng.interface("eth0") + pcapng.packets(headers)


def random_packet(chance: random.Random) -> Packet:
    """A segment of either direction, with and without options and data."""
    ports = [PORT, FAR]
    if chance.random() < 0.5:
        ports.reverse()
    options = chance.choice(
        (
            [],
            [("MSS", 1400), ("SAckOK", b""), ("Timestamp", (chance.randrange(2**32), 5)), ("NOP", None), ("WScale", 7)],
            [("NOP", None), ("NOP", None), ("Timestamp", (chance.randrange(2**32), chance.randrange(2**32)))],
            [("Timestamp", (7, 8)), ("NOP", None)],
            [("NOP", None), ("NOP", None), ("SAck", (1, 2))],
        )
    )
    tcp = TCP(
        sport=ports[0],
        dport=ports[1],
        seq=chance.randrange(2**32),
        ack=chance.randrange(2**32),
        flags=chance.randrange(64),
        window=chance.randrange(2**16),
        options=options,
    ) / Raw(chance.randbytes(chance.choice((0, 9, 900))))
    if chance.random() < 0.5:
        return IP(src="10.2.0.1", dst="10.1.0.1", id=chance.randrange(2**16)) / tcp
    return IPv6(src="fd02::1", dst="fd01::1", fl=chance.randrange(2**20)) / tcp


def test_what_scapy_wrote_is_read(tmp_path: Path) -> None:
    """Numbers, flags, lengths, timestamps and the options of a SYN; at the nanosecond of its stamp."""
    chance = random.Random(3)
    made = [random_packet(chance) for _ in range(400)]
    path = tmp_path / "capture.pcapng"
    path.write_bytes(capture([bytes(each) for each in made]))

    file = read_capture(path)
    assert file is not None
    found, others = decode(file, [PORT])

    assert others == 0
    assert found.at.tolist() == [n * 10**6 for n in range(400)]
    for row, packet in enumerate(made):
        packet = type(packet)(bytes(packet))
        tcp = packet[TCP]
        told = dict(tcp.options)
        is_four = isinstance(packet, IP)
        assert (found.seq[row], found.ack[row], found.window[row]) == (tcp.seq, tcp.ack, tcp.window)
        assert found.flags[row] == int(tcp.flags)
        assert found.is_down[row] == (tcp.dport == PORT)
        assert found.length[row] == len(tcp.payload)
        assert found.ident[row] == (packet.id if is_four else NONE)
        assert found.label[row] == (NONE if is_four else packet.fl)
        assert (found.tsval[row], found.tsecr[row]) == told.get("Timestamp", (NONE, NONE))
        if found.flags[row] & 2:
            assert found.mss[row] == told.get("MSS", NONE)


@ANY_FILE
@given(st.data())
def test_a_torn_or_changed_file_is_read_to_its_end(tmp_path: Path, data: st.DataObject) -> None:
    """Cut anywhere, or with any bytes in place of others: what stands before is read, and nothing is raised."""
    talk = Talk()
    talk.handshake()
    for n in range(30):
        talk.token(100 + 20 * n)
    raw = bytearray(talk.written(tmp_path).read_bytes())
    for _ in range(data.draw(st.integers(0, 6))):
        place = data.draw(st.integers(0, len(raw) - 4))
        raw[place : place + 4] = struct.pack("<I", data.draw(st.sampled_from((0, 1, 3, 12, 2**31, 2**32 - 1))))
    cut = data.draw(st.integers(0, len(raw)))
    path = tmp_path / "changed.pcapng"
    path.write_bytes(raw[:cut])

    found = load_capture(path, [PORT])

    assert found is not None
    for each in (one for some in found.by_port.values() for one in some):
        gap_evidence(each, 0, 10**12)
        death(each, 700 * 10**6)
        request_path(each, 40 * 10**6, 120 * 10**6)
        assert len(each.sent_again) == len(each.seq)


def test_a_kill_loses_the_last_block_alone(tmp_path: Path) -> None:
    """Cut in the middle of a block: it is told, and all packets before it are there."""
    talk = Talk()
    talk.handshake()
    path = talk.written(tmp_path)
    whole = read_capture(path)
    path.write_bytes(path.read_bytes()[:-100])
    torn = read_capture(path)

    assert whole is not None
    assert torn is not None
    assert (whole.is_torn, torn.is_torn) == (False, True)
    assert (len(whole.at), len(torn.at)) == (4, 3)


def test_what_the_capture_dropped_is_read(tmp_path: Path) -> None:
    """From the statistics at its end."""
    talk = Talk()
    talk.handshake()

    found = load_capture(talk.written(tmp_path, dropped=7), [PORT])

    assert found is not None
    assert (found.packets, found.dropped, found.left_out) == (4, 7, 0)


def test_packets_of_others_are_counted(tmp_path: Path) -> None:
    """What is no TCP, what is cut off, and what belongs to none of the requests."""
    talk = Talk()
    path = tmp_path / "capture.pcapng"
    talk.up(0, 2)
    whole = talk.found[0].headers
    path.write_bytes(capture([whole, whole[:30], b"\x60" * 60, bytes(IP() / TCP(sport=1, dport=2)), b"", b"\x45" * 20]))

    found = load_capture(path, [PORT])

    assert found is not None
    assert (found.packets, found.left_out) == (6, 5)


def test_a_port_that_is_used_again_is_two_connections(tmp_path: Path) -> None:
    """Each begins with its own SYN; a repeated SYN begins none."""
    first, second = Talk(), Talk(seq=77)
    first.up(-1000, 2)
    first.handshake()
    first.token(100)
    second.up(5000, 2, options=b"")
    second.found[0] = second.found[0]._replace(
        headers=second.found[0].headers.replace(struct.pack("!I", 1000), b"\0\0\0\7")
    )
    second.token(5100)
    first.found += second.found

    found = load_capture(first.written(tmp_path), [PORT])

    assert found is not None
    assert [len(each.down.at) for each in found.by_port[PORT]] == [1, 1]
    assert found.connection(PORT, 4 * 10**9) is found.by_port[PORT][0]
    assert found.connection(PORT, 6 * 10**9) is found.by_port[PORT][1]
    assert found.connection(1, 0) is None


@given(st.permutations(list(range(8))), st.lists(st.integers(0, 7), max_size=6))
def test_data_is_in_order_once_all_before_it_has_come(order: list[int], lost: list[int]) -> None:
    """As a receiver that keeps the bytes that it has."""
    seq = np.array([10 * each for each in order if each not in lost], dtype=np.int64)
    nothing = np.full(len(seq), -1, dtype=np.int64)

    found = delivered(np.append(0, seq), np.append(0, seq + 10), np.append(-1, nothing), nothing[:0])

    have: set[int] = set()
    for row, begin in enumerate(seq.tolist(), 1):
        have |= set(range(begin, begin + 10))
        assert found[row] == next(place for place in range(100) if place not in have)


def test_what_was_acknowledged_had_arrived() -> None:
    """A segment that the capture does not have is no hole once we acknowledged it."""
    seq = np.array([0, 20, 30, 50], dtype=np.int64)

    found = delivered(seq, seq + 10, np.array([0, 10, 20, 40]), seq[:0])

    assert found.tolist() == [10, 10, 40, 40]


@pytest.mark.parametrize("raw", [b"", b"\x0a\x0d\x0d\x0a", b"\0" * 100, b"\xff" * 100])
def test_what_is_no_capture_has_no_packets(tmp_path: Path, raw: bytes) -> None:
    """And is told to be damaged."""
    path = tmp_path / "capture.pcapng"
    path.write_bytes(raw)

    found = load_capture(path, [PORT])

    assert found is not None
    assert (found.packets, found.is_torn) == (0, True)


def test_behind_a_fault_of_this_machine_packets_are_what_tcp_received(tmp_path: Path) -> None:
    """Delayed by 80 ms for a while; what the fault lost between is not there, and what came before and after is."""
    talk = Talk()
    talk.handshake()
    for sent in range(100, 1000, 20):
        talk.fault = (400, 700, math.inf if 480 <= sent < 560 else 80)
        talk.token(sent)

    found = talk.segments(tmp_path)

    arrived = [20 + sent + (80 if 380 <= sent < 680 else 0) for sent in range(100, 1000, 20) if not 480 <= sent < 560]
    assert (found.down.at[found.down.length > 0] // 10**6).tolist() == sorted(arrived)
