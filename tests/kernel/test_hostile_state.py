"""What another user of the machine puts in root's way: names, files, folders, links, locks. Root obeys none of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from commands import typed
from lab import run
from simulated_kernel import CHANGES, FORWARD, LINK, LeaseHarness, eventually, has_ended, sleep

from chaoskit.conduct.lease_scope import HeldLease
from chaoskit.engine import lock
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.journal import FILE, Journal
from chaoskit.engine.lease import LEASE, Leases, Process
from chaoskit.errors import RefusedError
from chaoskit.folder import display_path
from chaoskit.knobs import Sysctl
from chaoskit.records.directory import create

STRANGER = 4242


@pytest.fixture
def harness(tmp_path: Path) -> Iterator[LeaseHarness]:
    """A simulated kernel, and a state folder that is root's."""
    made = LeaseHarness(tmp_path / "bench")
    yield made
    made.close()


def give_away(path: Path) -> None:
    """It belongs to another user from now on."""
    os.chown(path, STRANGER, STRANGER, follow_symlinks=False)


def dead_lease(harness: LeaseHarness) -> str:
    """A lease whose owner and watchdog were killed, with everything in force; its name."""
    owner, watchdog = harness.begun(), harness.watchdog()
    name = harness.lease.id
    for pid in (watchdog, owner):
        os.kill(pid, 9)
    assert eventually(lambda: not lock.is_taken(harness.lock))
    return name


Harm = Callable[[Leases, str], None]


def _journal_of_another(leases: Leases, name: str) -> None:
    give_away(leases.folder(name) / FILE)


def _lease_of_another(leases: Leases, name: str) -> None:
    give_away(leases.folder(name) / LEASE)


def _folder_of_another(leases: Leases, name: str) -> None:
    give_away(leases.folder(name))


def _all_of_another(leases: Leases, name: str) -> None:
    give_away(leases.state)


def _writable_journal(leases: Leases, name: str) -> None:
    (leases.folder(name) / FILE).chmod(0o666)


def _writable_folder(leases: Leases, name: str) -> None:
    leases.folder(name).chmod(0o777)


def _writable_parent(leases: Leases, name: str) -> None:
    leases.state.chmod(0o775)


def _journal_behind_a_link(leases: Leases, name: str) -> None:
    journal = leases.folder(name) / FILE
    journal.rename(leases.state / "elsewhere")
    journal.symlink_to(leases.state / "elsewhere")


def _folder_behind_a_link(leases: Leases, name: str) -> None:
    leases.folder(name).rename(leases.state / "elsewhere")
    leases.folder(name).symlink_to(leases.state / "elsewhere")


def _fifo(leases: Leases, name: str) -> None:
    (leases.folder(name) / FILE).unlink()
    os.mkfifo(leases.folder(name) / FILE)


@pytest.mark.parametrize(
    "harm",
    [
        _journal_of_another,
        _lease_of_another,
        _folder_of_another,
        _all_of_another,
        _writable_journal,
        _writable_folder,
        _writable_parent,
        _journal_behind_a_link,
        _folder_behind_a_link,
        _fifo,
    ],
)
def test_nothing_that_others_can_write_is_obeyed(harness: LeaseHarness, harm: Harm) -> None:
    """A journal, a lease or a folder that another user owns, can write or replace is not restored: restore names it,
    and nothing that it tells is put back."""
    name = dead_lease(harness)
    told = {knob: harness.kernel.settings[knob] for knob in (FORWARD, LINK)}
    harm(harness.leases, name)

    left = harness.restore()

    assert any(str(harness.leases.state) in each for each in left)
    assert {knob: harness.kernel.settings[knob] for knob in told} == told


def test_a_forged_lease_kills_no_process(harness: LeaseHarness) -> None:
    """A lease that a stranger has put there names a process of root's: it gets no signal."""
    dead = dead_lease(harness)
    victim = os.fork()
    if victim == 0:
        sleep()
    harness.pids.append(victim)
    forged = replace(harness.leases.read(dead), id="forged", owner=Process.of(victim), watchdog=Process.of(victim))
    folder = harness.leases.folder("forged")
    folder.mkdir()
    (folder / LEASE).write_text(json.dumps(asdict(forged)))
    for path in (folder / LEASE, folder):
        give_away(path)

    left = harness.restore()

    assert any("forged" in each for each in left)
    assert not has_ended(victim)
    assert harness.kernel.settings[FORWARD] == Sysctl("0")


def test_a_state_folder_of_others_is_refused_before_the_first_change(harness: LeaseHarness) -> None:
    """A state folder that others own or can write takes no lease; the sentence names it and what to type."""
    harness.leases.state.mkdir()
    harness.leases.state.chmod(0o777)

    with pytest.raises(RefusedError, match=rf"{harness.leases.state} can be written by group and others.*chmod go-w"):
        harness.hold(lambda _: None)

    assert harness.is_clean
    assert not lock.is_taken(harness.lock)


def test_the_run_directory_can_be_stolen_without_harm(harness: LeaseHarness, tmp_path: Path) -> None:
    """A user who owns the parent renames a run directory away while its run is under way, and puts his own journal
    there: it is not restored, whichever process dies; the copy of the real one arrives where the directory has gone."""
    stolen = tmp_path / "runs" / "one"
    stolen.mkdir(parents=True)
    harness.request = replace(harness.request, run=stolen)
    owner = harness.begun()
    stolen.rename(tmp_path / "gone")
    stolen.mkdir()
    with Journal.at(stolen) as journal:
        journal.intend(FORWARD, Sysctl("7"), Sysctl("1"))
        journal.done(FORWARD)

    os.kill(owner, 9)

    assert eventually(lambda: harness.is_clean)
    assert b"restored" in (tmp_path / "gone" / FILE).read_bytes()
    assert harness.kernel.settings[FORWARD] == Sysctl("0")


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_state_folder_has_its_modes_whatever_the_umask(harness: LeaseHarness, umask: int) -> None:
    """0755 for folders and 0644 for files: every user may read, no other user may write."""
    former = os.umask(umask)
    try:
        owner = harness.begun()
    finally:
        os.umask(former)

    modes = {path: path.stat().st_mode & 0o7777 for path in (harness.leases.state, *harness.leases.state.rglob("*"))}

    assert {path.name for path in modes} >= {FILE, LEASE, "leases"}
    assert all(mode == (0o755 if path.is_dir() else 0o644) for path, mode in modes.items())
    os.kill(owner, 9)
    assert eventually(lambda: harness.is_clean)


@contextmanager
def squatter(names: list[str], backlog: int = 5) -> Iterator[int]:
    """A process of another user that listens on these abstract names; its pid."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setresgid(STRANGER, STRANGER, STRANGER)
        os.setresuid(STRANGER, STRANGER, STRANGER)
        kept = []
        for name in names:
            kept.append(socket.socket(socket.AF_UNIX))
            kept[-1].bind(f"\0{name}")
            kept[-1].listen(backlog)
        os.write(tell, b"!")
        sleep()
    os.read(ready, 1)
    try:
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(tell)


def test_a_squatted_lock_stops_no_run(harness: LeaseHarness) -> None:
    """Whatever names another user takes, root's lease begins, and root's restore goes on and names him."""
    with squatter([harness.lock, f"{harness.lock}/0", f"{harness.lock}/{'0' * 16}"]) as pid:
        assert not lock.is_taken(harness.lock)
        harness.hold(lambda _: None)
        dead_lease(harness)

        left = harness.restore()

        assert left == []
        assert harness.is_clean
        named = [line for line in harness.said if line.startswith(f"process {pid} ")]
        assert [f"of user {STRANGER} " in line for line in named] == [True, True], harness.said


def test_a_squatter_who_accepts_no_connection_is_named(harness: LeaseHarness) -> None:
    """With a full backlog he is found by the socket that he has open, and stops no run."""
    with squatter([f"{harness.lock}/{'0' * 16}"], backlog=0) as pid:
        for _ in range(3):
            found = lock.untrusted_holders(harness.lock)

        assert [(each.pid, each.uid) for each in found] == [(pid, STRANGER)]
        harness.hold(lambda _: None)


def test_a_stranger_does_not_hide_who_holds_the_lock(harness: LeaseHarness) -> None:
    """Beside a squatter the holder is found and named, and a second owner is refused."""
    with squatter([f"{harness.lock}/{'0' * 16}"]):
        owner = harness.begun()

        with pytest.raises(RefusedError, match=rf"process {owner} "):
            harness.hold(lambda _: None)


def test_a_full_backlog_hides_no_holder(harness: LeaseHarness) -> None:
    """Thousands of connections to the lock's own socket, which every user may make: the watchdog accepts them."""
    owner = harness.begun()
    found = lock.holder(harness.lock)
    assert found is not None
    ours = [
        each for each in Path("/proc/net/unix").read_text().split() if each.startswith(f"@{harness.lock}/".split()[0])
    ]
    assert ours or found

    for _ in range(6000):
        assert (lock.holder(harness.lock) or found).pid == owner

    assert lock.holder(harness.lock) == found


def test_journals_that_were_begun_are_private_to_their_folder(tmp_path: Path) -> None:
    """A journal behind a symbolic link is neither written nor read, not even where the link leads to one."""
    (tmp_path / "real").mkdir()
    with Journal.at(tmp_path / "real") as journal:
        journal.intend(FORWARD, Sysctl("0"), Sysctl("1"))
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / FILE).symlink_to(tmp_path / "real" / FILE)

    with pytest.raises(RefusedError):
        Journal.at(tmp_path / "fake")


def test_a_change_under_a_squatted_lock_is_put_back(harness: LeaseHarness) -> None:
    """All of it, as without."""
    with squatter([f"{harness.lock}/{n:016x}" for n in range(300)]):
        seen = []

        def change(held: HeldLease[Any]) -> None:
            apply(held.kernel, held.journal, CHANGES[0])
            seen.append(CHANGES[0])

        harness.hold(change)

    assert seen
    assert harness.is_clean


def test_a_run_directory_of_another_is_refused(tmp_path: Path) -> None:
    """A `--out` of another user gets no record, even when it is empty, and the sentence says whose it is."""
    (tmp_path / "out").mkdir()
    give_away(tmp_path / "out")

    code, said = typed(tmp_path / "state", "probe", "http://127.0.0.1:9", "--requests", "1", "--out", f"{tmp_path}/out")

    assert (code, list((tmp_path / "out").iterdir())) == (3, [])
    assert f"owned by user {STRANGER}" in said


def test_a_plan_of_another_is_not_conducted(tmp_path: Path) -> None:
    """`conduct` does nothing in a directory that another user owns."""
    run = create(tmp_path / "run", {"plan.json": "{}"})
    give_away(display_path(run))

    code, said = typed(tmp_path / "state", "conduct", str(display_path(run)))

    assert code == 3
    assert f"owned by user {STRANGER}" in said


def test_restore_and_status_name_what_they_do_not_obey(tmp_path: Path) -> None:
    """In a state folder that others can write: `status` says so, `restore` says so and ends with 4, and both go on."""
    state = tmp_path / "state"
    (state / "leases").mkdir(parents=True)
    state.chmod(0o777)

    seen, restored = typed(state, "status"), typed(state, "restore")

    assert "can be written by group and others" in seen[1]
    assert restored[0] == 4
    assert f"chmod go-w {state}" in restored[1]


def test_in_a_guest_only() -> None:
    """These tests change owners and signal processes: they run in a guest, as its root."""
    assert "User Mode Linux" in Path("/proc/cpuinfo").read_text()
    assert run("id", "-u").strip() == "0"
