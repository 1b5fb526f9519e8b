"""The journal: what is pending, whatever a crash left of the file."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chaoskit.engine.journal import FILE, Journal, PendingRestore, pending_restores
from chaoskit.errors import RefusedError
from chaoskit.knobs import (
    Address,
    Clsact,
    Filter,
    Flow,
    FourState,
    GilbertElliott,
    Ifb,
    Knob,
    Link,
    MatchAll,
    Namespace,
    Neighbour,
    Netem,
    RandomLoss,
    Route,
    Setting,
    Slot,
    Sysctl,
    U32Key,
    U32Match,
    Veth,
)

MTU = Knob("link", "", "eth0")
IFB = Knob("ifb", "router", "ifb-client")
SHAPED = Knob("qdisc", "router", "to-client")
FORWARD = Knob("sysctl", "router", "net.ipv4.ip_forward")
SMALL, LARGE = Link(True, 1400, 1), Link(True, 1500, 65535)
EVERY_KIND: tuple[Setting, ...] = (
    None,
    Namespace(),
    Veth("client", "eth0", "02:00:00:00:01:fe", "02:00:00:00:01:01"),
    Ifb(),
    SMALL,
    Address(),
    Route("fd01::fe"),
    Neighbour("02:00:00:00:01:01"),
    Sysctl("4096 131072\t6291456\r\n\x0b\u2028 5"),
    Clsact(),
    Filter("all", MatchAll(), "ifb-client"),
    Filter("ip", Flow(), "chaos-up"),
    Filter("ipv6", Flow(6, "fd00::/64", "fd01::1/128", 1, 65535, False), "chaos-down"),
    Filter("ip", U32Match((U32Key(2**32 - 1, 0xFFFF0000, 20), U32Key(0, 0, 0))), "chaos-down"),
    Netem(),
    Netem(delay=2**40, loss=RandomLoss(2**32 - 1, 7), ecn=True, seed=2**64 - 1),
    Netem(jitter=1, loss=GilbertElliott(1, 2, 3, 4), distribution="pareto"),
    Netem(loss=FourState(1, 2, 3, 4, 5), slot=Slot(1, 2, 3, 4, 5, 6, (-1, 0, 32767))),
)


def written(run: Path) -> bytes:
    return (run / FILE).read_bytes()


def three_changes(run: Path) -> bytes:
    """A journal with a finished, a restored and an unfinished change."""
    with Journal.at(run) as journal:
        journal.intend(MTU, LARGE, SMALL)
        journal.done(MTU)
        journal.intend(IFB, None, Ifb())
        journal.done(IFB)
        journal.restored(IFB)
        journal.intend(FORWARD, Sysctl("0"), Sysctl("1"))
    return written(run)


def test_every_kind_of_setting_survives_the_file(tmp_path: Path) -> None:
    """What a knob held and shall hold reads back equal, for every kind of setting."""
    for number, setting in enumerate(EVERY_KIND):
        run = tmp_path / str(number)
        run.mkdir()
        with Journal.at(run) as journal:
            journal.intend(SHAPED, setting, None)
            journal.intend(MTU, None, setting)

            assert pending_restores(written(run)) == journal.pending()
            assert pending_restores(written(run)) == [
                PendingRestore(MTU, None, setting, finished=False),
                PendingRestore(SHAPED, setting, None, finished=False),
            ]


def test_the_last_knob_touched_comes_first(tmp_path: Path) -> None:
    """Pending restores are in the reverse order of the first intents; what was restored is none."""
    assert pending_restores(three_changes(tmp_path)) == [
        PendingRestore(FORWARD, Sysctl("0"), Sysctl("1"), finished=False),
        PendingRestore(MTU, LARGE, SMALL, finished=True),
    ]


def test_a_knob_changed_again_keeps_its_first_value(tmp_path: Path) -> None:
    """However often a knob is changed, the pending value is the one before the first change."""
    with Journal.at(tmp_path) as journal:
        journal.intend(SHAPED, None, Netem(delay=1))
        journal.intend(MTU, LARGE, SMALL)
        for delay in (2, 3):
            journal.intend(SHAPED, Netem(delay=delay - 1), Netem(delay=delay))
            journal.done(SHAPED)

    assert pending_restores(written(tmp_path)) == [
        PendingRestore(MTU, LARGE, SMALL, finished=False),
        PendingRestore(SHAPED, None, Netem(delay=3), finished=True),
    ]


def test_a_knob_set_back_has_nothing_pending(tmp_path: Path) -> None:
    """A change that brings the first value back leaves nothing pending, once it was read back."""
    with Journal.at(tmp_path) as journal:
        journal.intend(SHAPED, None, Netem())
        journal.done(SHAPED)
        journal.intend(SHAPED, Netem(), None)
        assert journal.pending() == [PendingRestore(SHAPED, None, None, finished=False)]

        journal.done(SHAPED)

        assert journal.pending() == pending_restores(written(tmp_path)) == []


def test_a_torn_last_line_is_dropped_at_every_byte(tmp_path: Path) -> None:
    """Of a journal cut at any byte, exactly the whole lines count."""
    raw = three_changes(tmp_path)

    for cut in range(len(raw) + 1):
        whole = raw[: raw.rfind(b"\n", 0, cut) + 1]
        assert pending_restores(raw[:cut]) == pending_restores(whole), cut


def test_nothing_is_appended_to_a_torn_line(tmp_path: Path) -> None:
    """A journal cut at any byte and then continued holds its whole lines and the new one."""
    raw = three_changes(tmp_path)

    for cut in range(len(raw) + 1):
        (tmp_path / FILE).write_bytes(raw[:cut])
        with Journal.at(tmp_path) as journal:
            journal.intend(IFB, None, Ifb())

            assert journal.pending() == pending_restores(written(tmp_path)), cut
            assert PendingRestore(IFB, None, Ifb(), finished=False) in journal.pending()


def test_an_edited_line_is_named(tmp_path: Path) -> None:
    """A whole line that chaoskit did not write is refused by its number, not skipped."""
    lines = three_changes(tmp_path).splitlines(keepends=True)

    for wrong in (b"hello\n", b"\n", b'{"type":"intent"}\n', b'{"type":"done","knob":3}\n'):
        with pytest.raises(RefusedError, match="line 2"):
            pending_restores(b"".join([lines[0], wrong, *lines[1:]]))


def test_a_full_disk_is_refused_before_the_change(tmp_path: Path) -> None:
    """When a line does not fit, the intent is refused; with room again the journal goes on whole."""
    three = three_changes(tmp_path)

    with Journal.at(tmp_path) as journal:
        for room in range(1, 60, 7):
            with file_size_limit(len(three) + room), pytest.raises(RefusedError, match=r"cannot write.*room"):
                journal.intend(SHAPED, None, Netem())
            assert pending_restores(written(tmp_path)) == pending_restores(three)
        journal.intend(SHAPED, None, Netem())

    assert pending_restores(written(tmp_path)) == [
        PendingRestore(SHAPED, None, Netem(), finished=False),
        *pending_restores(three),
    ]


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Without a run directory there is no journal, and the sentence names the file."""
    with pytest.raises(RefusedError, match=r"missing/journal\.jsonl"):
        Journal.at(tmp_path / "missing")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Writes beyond `size` bytes of any file fail, the last one by half, as on a full disk."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
