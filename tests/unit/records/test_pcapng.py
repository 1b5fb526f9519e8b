"""Others read the captures that are written: scapy here, Wireshark elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_packets import OFFSET, Talk
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.utils import RawPcapNgReader, rdpcap


@pytest.mark.parametrize("version", [4, 6])
def test_scapy_reads_the_packets(tmp_path: Path, version: int) -> None:
    """Stamps to the ns, original lengths, addresses, ports, options: as they were written."""
    talk = Talk(version)
    talk.handshake()
    talk.token(100.000123)

    read = rdpcap(str(talk.written(tmp_path)))

    assert len(read) == 5
    last = (IP, IPv6)[version == 6](bytes(read[-1]))
    assert round((read[-1].time - OFFSET // 10**9) * 10**9) == 120_000_123
    assert last[TCP].sport, last[TCP].dport == (8000, 40_000)
    assert dict(last[TCP].options)["Timestamp"] == (2**32 - 300 + 100, 2**32 - 300 + 80)
    assert read[-1].wirelen == len(read[-1]) + 200


def test_a_reader_is_told_the_link_and_its_clock(tmp_path: Path) -> None:
    """Raw IP, and stamps in ns."""
    talk = Talk()
    talk.handshake()

    with RawPcapNgReader(str(talk.written(tmp_path))) as reader:
        _, told = reader._read_packet()

    read = told._asdict()
    assert (read["linktype"], read["tsresol"], read["wirelen"]) == (101, 10**9, len(talk.found[0].headers))
