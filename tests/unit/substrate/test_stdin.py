"""Tests stdin for a command in a guest: complete, in limited chunks, with errors reported."""

from __future__ import annotations

import os
import random
import select
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulated_kernel import eventually

from chaoskit.clock import RealClock
from chaoskit.errors import RefusedError
from chaoskit.substrate.stdin import LONGEST, MAX_AHEAD, StdinFeeder, chunks, store_input


@pytest.fixture
def source() -> Iterator[int]:
    """Input without end."""
    fd = os.open("/dev/zero", os.O_RDONLY)
    yield fd
    assert eventually(lambda: not any("_feed" in thread.name for thread in threading.enumerate()))  # none reads it
    os.close(fd)


def fed(folder: Path) -> int:
    """How many pieces there have been."""
    return len(list(folder.glob("stdin.*")))


def test_all_that_is_fed_comes_through(tmp_path: Path) -> None:
    """Writes of all sizes, ten megabytes, more than may lie there at a time: byte for byte, and then the end."""
    chance = random.Random(1)
    data = chance.randbytes(10_000_000)
    reader, writer = os.pipe()

    def write() -> None:
        at = 0
        with open(writer, "wb", buffering=0) as pipe:  # noqa: PTH123  a descriptor, not a path
            while at < len(data):
                at += pipe.write(data[at : at + chance.randint(1, 200_000)])

    writing = threading.Thread(target=write)
    writing.start()
    with StdinFeeder(tmp_path, reader):
        got = b"".join(chunks(tmp_path, RealClock()))
    writing.join()
    os.close(reader)

    assert got == data
    assert fed(tmp_path) > MAX_AHEAD


def test_all_that_is_stored_before_the_start_comes_through(tmp_path: Path) -> None:
    """Many small writes, more than may lie ahead of a running guest, and then the end."""
    reader, writer = os.pipe()
    storing = threading.Thread(target=store_input, args=(tmp_path, reader))
    storing.start()
    for number in range(3 * MAX_AHEAD):
        os.write(writer, f"{number}\n".encode())
        assert eventually(lambda: not select.select([reader], [], [], 0)[0])
    os.close(writer)
    storing.join()
    os.close(reader)

    assert b"".join(chunks(tmp_path, RealClock())) == b"".join(b"%d\n" % number for number in range(3 * MAX_AHEAD))


def test_too_much_to_be_stored_before_the_start_is_refused(tmp_path: Path) -> None:
    """Input without end is a sentence with the way out, and fills no disk."""
    refusal = pytest.raises(RefusedError, match=r"longer than 64 MiB.*--clock real")
    with Path("/dev/zero").open("rb") as endless, refusal:
        store_input(tmp_path, endless.fileno())

    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < LONGEST + (1 << 20)


def test_what_is_not_read_takes_little_room(tmp_path: Path, source: int) -> None:
    """Endless input goes a few pieces ahead; each one that is read makes room for one, and keeps none itself."""
    with StdinFeeder(tmp_path, source):
        assert eventually(lambda: fed(tmp_path) == MAX_AHEAD)
        reading = chunks(tmp_path, RealClock())

        for _ in range(11):
            assert next(reading)

        assert eventually(lambda: fed(tmp_path) == MAX_AHEAD + 10)
        assert not eventually(lambda: fed(tmp_path) > MAX_AHEAD + 10, 0.2)
    assert sum(path.stat().st_size > 0 for path in tmp_path.iterdir()) == MAX_AHEAD


def test_after_its_end_nothing_is_written(tmp_path: Path, source: int) -> None:
    """At whatever moment it ends, its folder can be taken away whole."""
    for number in range(50):
        folder = tmp_path / str(number)
        folder.mkdir()
        with StdinFeeder(folder, source) as feeder:
            assert eventually(lambda folder=folder, number=number: fed(folder) > number)  # type: ignore[misc]

        shutil.rmtree(folder)

        assert feeder.failure is None


def test_what_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """From a pipe that does not block, as some leave theirs, an empty moment is not the end."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with StdinFeeder(tmp_path, reader) as feeder:
        assert not eventually(lambda: feeder.failure is not None or fed(tmp_path) > 0, 0.1)

        os.write(writer, b"late")
        os.close(writer)

        assert list(chunks(tmp_path, RealClock())) == [b"late"]
    os.close(reader)


def test_unreadable_input_is_reported(tmp_path: Path) -> None:
    """A directory as standard input: an error, and the command does not wait."""
    source = os.open(tmp_path, os.O_RDONLY)
    with StdinFeeder(tmp_path, source) as feeder:
        assert eventually(lambda: feeder.failure is not None)
    os.close(source)

    assert "standard input cannot be read: Is a directory; give a file or a pipe" in str(feeder.failure)


def test_input_that_cannot_be_stored_is_reported(tmp_path: Path, source: int) -> None:
    """Without a folder, as without room in it: a sentence that says where, and what to type."""
    with StdinFeeder(tmp_path / "gone" / "folder", source) as feeder:
        assert eventually(lambda: feeder.failure is not None)

    assert f"no room for standard input in {tmp_path / 'gone'}: " in str(feeder.failure)
    assert "export TMPDIR=" in str(feeder.failure)
