"""Records are read back from complete lines, and torn lines are ignored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chaoskit.errors import RefusedError, SpecError
from chaoskit.records.host_records import HostState
from chaoskit.records.jsonl import FILES, Log, follow, read, to_line
from chaoskit.records.model import (
    Counters,
    Event,
    Keepalives,
    Phase,
    Record,
    Request,
    ServedResponse,
    SocketRead,
    TcpInfo,
    UnackedSample,
    Vitals,
)
from chaoskit.records.untrusted_files import START

EXAMPLES: list[Record] = [
    Phase("wifi", 0, ("wifi",), 1, 2, 3),
    Request(1, 10, 11, 99, "reset", "connection reset", sent=12, tokens=3),
    Request(2, 10, 11, 99, "complete", workflow="support", traffic_class="premium", attempt=2, retry_of=1),
    SocketRead(1, 2, 100, 101, 90, 300, (Event("content", 5, 90, 91), Event("reasoning"), Event("content"))),
    Keepalives(1, 3, 100, 900, 3000, 1448, meta=1, ping=400, done=1),
    TcpInfo(1, "connected", 5, {"rtt": 20}),
    Vitals(1, 2, 3, 4, 5, 6, None),
    ServedResponse(None, 1, 2, 3, 4, 5, 6, "client-left", {"total_retrans": 2}, {"snd_mss": 1448}),
    UnackedSample(3, 5, {"retransmits": 2}),
    Counters(1, "router", "to-client", "wifi", 0, 1, 2, 3, 4, 5, 6),
    HostState("gateway", 5, "ended", -11),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_every_record_comes_back_as_it_was(record: Record, tmp_path: Path) -> None:
    """Writing and reading a record changes nothing."""
    log = Log(tmp_path, type(record))
    log.add(record)
    log.add(record)
    log.close()

    assert read(tmp_path, type(record)) == [record, record]  # type: ignore[type-var]


def test_missing_tcp_info_is_empty(tmp_path: Path) -> None:
    """A response without TCP_INFO samples has empty ones."""
    old = '{"stream":1,"received":1,"first_due":2,"ended":3,"tokens":4,"tokens_sent":4,"max_late":0,"outcome":"sent"}'
    (tmp_path / FILES[ServedResponse]).write_text(old + "\n")

    assert read(tmp_path, ServedResponse) == [ServedResponse(1, 1, 2, 3, 4, 4, 0, "sent")]
    assert read(tmp_path, UnackedSample) == []


def test_a_cut_at_any_byte_loses_only_the_torn_line(tmp_path: Path) -> None:
    """For a file truncated at any byte, the complete lines before it are read and nothing else."""
    record = EXAMPLES[3]
    whole = (to_line(record) * 3).encode()
    path = tmp_path / FILES[SocketRead]

    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        assert read(tmp_path, SocketRead) == [record] * whole[:cut].count(b"\n")


def test_following_reads_every_record_once(tmp_path: Path) -> None:
    """Following a file gives each record once, and a torn line only when it is complete."""
    record = EXAMPLES[0]
    text = to_line(record).encode() * 2
    path, seen, mark = tmp_path / FILES[Phase], [], START

    for end in range(len(text) + 1):
        path.write_bytes(text[:end])
        new, mark = follow(tmp_path, Phase, mark)
        seen += new

    assert seen == [record, record]


def test_a_missing_file_has_no_records(tmp_path: Path) -> None:
    """A run that was ended early has fewer files, and they read as empty."""
    assert read(tmp_path, Request) == []


def test_an_invalid_line_is_an_error(tmp_path: Path) -> None:
    """A complete line that is not a record is an error with the file's name and the line."""
    (tmp_path / FILES[Phase]).write_text(to_line(EXAMPLES[0]) + '{"not": "a phase", "faults": []}\n')

    with pytest.raises(SpecError, match=r"phases\.jsonl:2: .*not a field of Phase"):
        read(tmp_path, Phase)


@pytest.mark.parametrize("value", [5, [5], [[1, 2, 3, 4]], [[1, 2, 3, 4, -5]], [[1, 2, 3, 4, "5"]]])
def test_what_was_sent_again_is_five_whole_numbers_each(value: object, tmp_path: Path) -> None:
    """Anything else is an error; what is right is read as it was written."""
    right = ServedResponse(0, 1, 2, 3, 4, 4, 0, "sent", sent_again=((1, 2, 3, 4, 5), (2, 3, 4, 4, 5)))
    line = to_line(right)
    path = tmp_path / FILES[ServedResponse]
    path.write_text(line)
    assert read(tmp_path, ServedResponse) == [right]

    path.write_text(line.replace("[[1,2,3,4,5],[2,3,4,4,5]]", json.dumps(value)))

    with pytest.raises(SpecError, match=r"served\.jsonl:1: sent_again is .*, expected lists of five whole numbers"):
        read(tmp_path, ServedResponse)


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """/dev/full in place of the file: RefusedError with the reason, no traceback."""
    (tmp_path / FILES[Phase]).symlink_to("/dev/full")
    log = Log(tmp_path, Phase)
    log.add(EXAMPLES[0])

    with pytest.raises(RefusedError, match="No space left on device"):
        log.flush()
    log.close()
