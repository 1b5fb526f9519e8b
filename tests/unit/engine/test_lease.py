"""Leases on disk: whatever is in the folder is reported in a sentence and blocks nothing."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaoskit.engine import lock
from chaoskit.engine.lease import LEASE, Lease, Leases, Location, Process, period, state_folder, user_name
from chaoskit.errors import RefusedError

SINCE, UNTIL = period(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), 60 * 10**9)
ONE = Lease(
    id="one",
    command="inject",
    user="alice",
    interface="eth0",
    since=SINCE,
    until=UNTIL,
    deadline=7,
    injection={"down": {"delay": "80ms"}},
    machine="m",
    boot="b",
    namespace="n",
    owner=Process(1, 2),
    watchdog=Process(3, 4),
)


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    """An empty state folder."""
    return Leases(tmp_path / "state")


def test_a_lease_reads_back_as_it_was_written(leases: Leases) -> None:
    """All of it; and after it has ended there is no trace."""
    leases.begin(ONE)
    assert leases.all().leases == (ONE,)
    leases.write(replace(ONE, watchdog=None))
    assert leases.read("one") == replace(ONE, watchdog=None)

    leases.end("one")

    assert leases.all().leases == ()
    assert list((leases.state / "leases").iterdir()) == []


def test_a_period_is_in_utc(leases: Leases) -> None:
    """Since and until say their zone, to the millisecond."""
    assert (SINCE, UNTIL) == ("2026-01-02T03:04:05.000+00:00", "2026-01-02T03:05:05.000+00:00")


def test_a_lease_cut_at_any_byte_is_told_and_hides_no_other(leases: Leases) -> None:
    """Torn at any byte, the lease is named with what to type, and the one beside it reads as before."""
    other = replace(ONE, id="two")
    leases.begin(ONE)
    leases.begin(other)
    path = leases.folder("one") / LEASE
    raw = path.read_bytes()

    for cut in range(len(raw) - 1):
        path.write_bytes(raw[:cut])
        found = leases.all()
        assert found.leases == (other,), cut
        assert list(found.broken) == ["one"]
        assert "incomplete or was edited: chaoskit restore one" in found.broken["one"]


def test_an_edited_lease_is_told(leases: Leases) -> None:
    """Whatever the value of any field, it is a lease or a sentence, never anything else."""
    leases.begin(ONE)
    path = leases.folder("one") / LEASE
    told = json.loads(path.read_bytes())
    wrong: tuple[object, ...] = (None, 1, 1.5, "x", [], {}, True, "1" * 5000)

    for name in told:
        for value in wrong:
            path.write_text(json.dumps(told | {name: value}))
            found = leases.all()
            assert len(found.leases) + len(found.broken) == 1, (name, value)
        path.write_text(json.dumps({key: each for key, each in told.items() if key != name}))
        assert len(leases.all().leases) + len(leases.all().broken) == 1, name
    for text in ("", "null", "[]", "7", "{}", "[" * 100_000, "\x00"):
        path.write_text(text)
        assert list(leases.all().broken) == ["one"], text[:10]


def test_what_is_no_lease_is_told(leases: Leases) -> None:
    """An empty folder, a file, a lease under another's name: each in a sentence."""
    leases.begin(ONE)
    (leases.state / "leases" / "empty").mkdir()
    (leases.state / "leases" / "file").write_text("")
    (leases.state / "leases" / "two").mkdir()
    (leases.state / "leases" / "two" / LEASE).write_bytes((leases.folder("one") / LEASE).read_bytes())

    found = leases.all()

    assert found.leases == (ONE,)
    assert sorted(found.broken) == ["empty", "file", "two"]


def test_a_full_disk_refuses_a_lease_whole(leases: Leases) -> None:
    """Wherever the room ends, there is a whole lease or none, and the sentence says so."""
    leases.begin(replace(ONE, id="size"))
    size = (leases.folder("size") / LEASE).stat().st_size

    for room in range(0, size, 37):
        with file_size_limit(room), pytest.raises(RefusedError, match=r"cannot write a lease.*make room"):
            leases.begin(ONE)
        assert [each.id for each in leases.all().leases] == ["size"]
        assert leases.all().broken == {}


def test_the_state_folder_is_the_users(tmp_path: Path) -> None:
    """CHAOSKIT_STATE, then root's or the XDG one; without a home there is none."""
    assert state_folder({"CHAOSKIT_STATE": "/x", "HOME": "/h"}, 0) == Path("/x")
    assert state_folder({"CHAOSKIT_STATE": "x"}, 0) == Path.cwd() / "x"
    assert state_folder({"HOME": "/root"}, 0) == Path("/var/lib/chaoskit")
    assert state_folder({"HOME": "/h", "XDG_STATE_HOME": "/s"}, 5) == Path("/s/chaoskit")
    assert state_folder({"HOME": "/h"}, 5) == Path("/h/.local/state/chaoskit")
    with pytest.raises(RefusedError, match="export CHAOSKIT_STATE"):
        state_folder({}, 5)


def test_a_user_is_the_person_behind_sudo() -> None:
    """Who typed it, as far as the environment tells."""
    assert user_name({"SUDO_USER": "alice", "USER": "root"}, 0) == "alice"
    assert user_name({"USER": "bob"}, 5) == "bob"
    assert user_name({}, 0) == "root"
    assert user_name({}, 5) == "user 5"


def test_we_are_where_we_are() -> None:
    """Two looks at the same place are equal, and say which boot it is."""
    assert Location.current() == Location.current()
    assert Location.current().boot in Path("/proc/sys/kernel/random/boot_id").read_text()


def test_a_process_is_not_taken_for_another() -> None:
    """A process of the same number that began at another time is not it; one that has ended is none."""
    me = Process.of(os.getpid())
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)

    assert me.state == "R"
    assert replace(me, started=me.started + 1).state == ""
    assert Process(child, 1).state == ""
    with pytest.raises(ProcessLookupError):
        Process.of(child)


def test_a_lock_is_taken_once_and_goes_with_its_last_holder() -> None:
    """The second is refused with the first's name; a copy keeps it taken; then it is free."""
    name = f"chaoskit test {os.getpid()}"
    with lock.Lock.take(name) as taken:
        copy = taken.copy()
        with pytest.raises(RefusedError, match=rf"process {os.getpid()} .*chaoskit restore"):
            lock.Lock.take(name)
    assert lock.is_taken(name)
    assert lock.holder(name) == lock.Holder(os.getpid(), os.geteuid())

    os.close(copy)

    assert not lock.is_taken(name)
    assert lock.holder(name) is None


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes of any file fail, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
