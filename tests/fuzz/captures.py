"""Fuzzes the captures of a run directory: whatever is in one, every gap and end of its connections gets a verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from made_packets import PORT, Talk

from chaoskit.analysis.segments.captured_connections import load_capture
from chaoskit.analysis.segments.cause import cause
from chaoskit.analysis.segments.death import death
from chaoskit.analysis.segments.gap_evidence import gap_evidence
from chaoskit.analysis.segments.request_path import request_path
from chaoskit.records.pcapng import CAPTURE
from fuzz.mutate import of_bytes
from fuzz.target import Judge, Target

_MS = 1_000_000


def _seeds() -> list[bytes]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for version in (4, 6):
            talk = Talk(version)
            talk.handshake()
            for sent in range(100, 700, 20):
                talk.token(sent, lost=sent == 400, took=100 if sent == 500 else None)
            talk.again(720, 3000)
            talk.acknowledge(60, answers=40)
            talk.up(750, 0x11)
            talk.fin(800)
            talk.forged_reset(900, 60)
            found.append(talk.written(Path(folder), dropped=2).read_bytes())
    return found


@contextmanager
def _opened() -> Iterator[Judge]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CAPTURE

        def judge(data: bytes) -> None:
            path.write_bytes(data)
            found = load_capture(path, [PORT])
            assert found is not None
            for connection in (each for some in found.by_port.values() for each in some):
                for begin in range(0, 1000 * _MS, 250 * _MS):
                    end = begin + 300 * _MS
                    for told in (cause(gap_evidence(connection, begin, end)), death(connection, end).told):
                        assert min(told.network, told.server, told.client, told.between) >= 0, told
                        assert 0 <= told.confidence <= 1, told
                        assert told.sentence, told
                    if (path_of := request_path(connection, begin, end)) is not None:
                        assert min(path_of.up, path_of.server, path_of.down) >= 0, path_of
                        assert path_of.up + path_of.server + path_of.down == end - begin, path_of
                assert len(connection.sent_again) == len(connection.seq)

        yield judge


CAPTURES = Target("captures", _seeds, of_bytes(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\1\x08\x0a"), _opened)
