"""Tests `chaoskit pmtu` on a real kernel where replies are rare: it is right, or undecided.

A host that answers nothing, or one kind of packet alone, or rejects all; a host and routers that limit their answers;
loss and jitter; hops and paths that are late; routers that bar the way; too few packets and seconds; with rights and
without. In virtual time, so that all this waiting costs nothing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

PROGRAM = Path(__file__).parent / "every_host.py"
SEED = 2
LIMIT = Duration.parse("200s")
LOSSY = {"loss 5", "loss 10", "very slow"}  # whose late answers are answered when nobody counts any more
NOWHERE = {"mute", "blackhole", "unreachable", "prohibit"}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def typed(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    """Every command, typed in one guest."""
    place = tmp_path_factory.mktemp("hosts")
    answer = place / "answer.json"
    command = Command((sys.executable, str(PROGRAM), str(answer)), place, LIMIT)
    guest = uml.Uml(kernel, options=uml.virtual_time(SEED)).launch(command, RealClock())
    assert guest.finish() == 0, guest.log.read_text()
    said: dict[str, Rows] = json.loads(answer.read_text())
    return said


@pytest.fixture(scope="module")
def rows(typed: dict[str, Rows]) -> Rows:
    """Those that examined something."""
    return typed["rows"]


def of(rows: Rows, *troubles: str) -> Rows:
    """Those with this trouble."""
    found = [row for row in rows if row["trouble"] in troubles]
    assert found
    return found


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    """The size, the kind, how far away the hop is and its address, the exit code."""
    document = row["document"]
    hop = document["hop"] or {"index": None, "address": None}
    return document["path_mtu"], document["kind"], hop["index"], hop["address"], row["exit"]


def truth(row: dict[str, Any]) -> tuple[Any, ...]:
    """The same, as it is."""
    true = row["truth"]
    return true["mtu"], true["kind"], true["at"] or None, true["hop"], int(true["kind"] == "black-hole")


def test_no_size_is_ever_wrong(rows: Rows) -> None:
    """The path MTU or unknown; and what passes does pass."""
    assert not [row for row in rows if row["document"]["path_mtu"] not in (None, row["truth"]["mtu"])]
    assert not [row for row in rows if (row["document"]["passes"] or 0) > row["truth"]["mtu"]]


def test_every_verdict_is_the_truth_or_undecided(rows: Rows) -> None:
    """The kind, the hop where one is named, and the exit code that belongs to it."""
    for row in rows:
        _, kind, index, address, code = told(row)
        _, true_kind, true_index, true_address, true_code = truth(row)

        assert kind in (true_kind, "undecided"), row
        assert code == (5 if kind == "undecided" else true_code) == row["document"]["exit_code"], row
        assert index in (None, true_index), row
        assert address in (None, true_address), row


def test_what_is_known_in_spite_of_it_all(rows: Rows) -> None:
    """Limits and late hops hide nothing from anybody, nor does a host that answers one kind of packet alone from who
    can send it; but for how far away he is who speaks up, where he has no answers left."""
    hard = of(rows, "limited host", "limited routers", "limited overall", "late hop", "late neighbour", "slow")
    one = [row for row in of(rows, "tcp only", "echo only") if row["rights"] == "raw"]
    for row in hard + one + of(rows, "udp only", "rejects"):
        size, kind, index, address, code = told(row)

        assert (size, kind, address, code) == (*truth(row)[:2], *truth(row)[3:]), row
        assert index == truth(row)[2] or row["trouble"] == "limited routers", row


def test_loss_and_jitter_hide_nothing(rows: Rows) -> None:
    """A tenth of all packets lost each way and 5 ms of jitter: the same size and kind."""
    assert not [row for row in of(rows, "loss 5", "loss 10") if told(row)[:2] != truth(row)[:2]]


def test_who_cannot_be_had_is_not_judged(rows: Rows) -> None:
    """Nothing is known of the size; a router that bars the way is named, and the path to him is the next command."""
    for row in of(rows, *NOWHERE):
        document = row["document"]
        assert (document["path_mtu"], document["passes"], document["kind"], row["exit"]) == (None, None, "undecided", 5)
        if row["trouble"] in ("unreachable", "prohibit"):
            router = "10.0.2.2" if document["ip"] == 4 else "fd00:2::2"
            assert document["verdict"].startswith(f"Undecided: {router} says of "), row
            assert document["mend"][0]["what"] == f"chaoskit pmtu {router}"


def test_what_a_long_body_tells_is_kept(rows: Rows) -> None:
    """Without rights, of a host that answers TCP alone: what its body proves, and no more."""
    for row in of(rows, "tcp only"):
        if row["rights"] != "raw":
            document = row["document"]
            ending, passes = document["body"]["ending"], document["passes"]
            assert (ending, passes) == (
                ("stuck", None) if document["kind"] == "black-hole" else ("taken", row["truth"]["mtu"])
            )


def test_a_body_that_is_lost_by_chance_is_sent_again(rows: Rows) -> None:
    """Where its packets pass, what gets stuck once is no trouble."""
    for row in of(rows, "unlucky body"):
        if row["truth"]["kind"] != "black-hole":
            assert (row["document"]["body"]["ending"], row["exit"]) == ("taken", 0), row


def test_an_undecided_verdict_says_what_to_type(rows: Rows) -> None:
    """One sentence, on one line, with a command; and nothing on standard error."""
    assert not [row for row in rows if row["err"].strip()]
    for row in rows:
        document = row["document"]
        assert document["verdict"].endswith(".")
        assert "\n" not in document["verdict"]
        assert bool(document["mend"]) == (row["exit"] != 0), row


def test_no_limit_is_passed(rows: Rows) -> None:
    """Of packets, as the kernel counts them, and of seconds."""
    for row in rows:
        document, limits = row["document"], row["limits"]
        slack = 3 if row["trouble"] in LOSSY else 0

        assert document["packets"] <= limits["packets"], row
        assert row["sent"] <= document["packets"] + slack, row
        assert document["seconds"] <= limits["seconds"] + 0.1, row


def test_too_little_says_what_was_used_up(rows: Rows) -> None:
    """A limit that ends it is named, and the next command gives more of it; what is known by then is kept."""
    spent = [row["document"] for row in of(rows, "none") if row["document"]["spent"]]

    assert {each["spent"] for each in spent} == {"packets", "time"}
    for each in spent:
        option = "--max-packets" if each["spent"] == "packets" else "--max-time"
        where = [mend["what"] for mend in each["mend"]] if each["kind"] == "undecided" else each["notes"]
        assert any(option in words for words in where)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-host.invalid"], "no-such-host.invalid does not resolve ("),
        (["10.0.5.2", "--ip", "6"], "10.0.5.2 has no IPv6 address, only 10.0.5.2: try --ip 4"),
        (["fd00:99::1"], "no route leads to fd00:99::1; to see the routes: ip -6 route"),
    ],
)
def test_what_cannot_be_examined_is_refused(typed: dict[str, Rows], words: list[str], said: str) -> None:
    """With rights and without: one sentence on standard error, exit 3."""
    refused = [each for each in typed["refused"] if each["words"] == words]

    assert len(refused) == 2
    for each in refused:
        assert (each["exit"], each["out"]) == (3, "")
        assert each["err"].startswith(f"chaoskit: {said}")
        assert len(each["err"].splitlines()) == 1
