"""What status says of every lease there can be, and that what it prints can be fed back."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chaoskit.engine.journal import Journal, PendingRestore
from chaoskit.engine.lease import Lease, Leases, Location, Process
from chaoskit.errors import RefusedError
from chaoskit.knobs import Change, Filter, Flow, Ifb, Knob, Netem
from chaoskit.report.leases import LeaseStatus, StatusReport, as_json, folders, look, render, strays
from chaoskit.spec.injection import Injection
from chaoskit.spec.load import load_injection
from chaoskit.topology.steering import Remote, TrafficSelector, clamp, drop_oversized

HERE = Location("a machine", "a boot", "4026531992-1")
NOW, SECOND = 10**12, 10**9
GONE = Process(2**22 + 1, 1)  # above the highest number that a process can have
ALIVE = Process.of(os.getpid())
WORDS: dict[str, Any] = {
    "to": [{"host": "api.example.com", "port": 443}],
    "down": {"delay": "80ms", "jitter": "20ms", "loss": {"share": "1%"}},
    "for": "60s",
}
LEASE = Lease(
    id="20261124T120730-4711",
    command="chaoskit inject --to api.example.com:443",
    user="alice",
    interface="eth0",
    since="2026-11-24T12:07:30.000+00:00",
    until="2026-11-24T12:08:30.000+00:00",
    deadline=NOW + 42 * SECOND,
    injection=WORDS,
    machine=HERE.machine,
    boot=HERE.boot,
    namespace=HERE.namespace,
    owner=ALIVE,
    watchdog=ALIVE,
)
CHANGES: tuple[Change, ...] = (
    (Knob("ifb", "", "chaos-down"), Ifb()),
    (Knob("qdisc", "", "chaos-down"), Netem(delay=90_000_000)),
    (
        Knob("filter", "", "eth0 ingress 51717"),
        Filter("ip", Flow(6, "192.0.2.7/32", None, 443, None), "chaos-down"),
    ),
)


def state(tmp_path: Path, *leases: Lease, is_pending: bool = True) -> Path:
    """A state folder with these leases, each with its journal."""
    kept = Leases(tmp_path)
    for lease in leases:
        kept.begin(lease)
        with Journal.at(kept.folder(lease.id)) as journal:
            for knob, setting in CHANGES if is_pending else ():
                journal.intend(knob, None, setting)
                journal.done(knob)
    return tmp_path


def shown(outlook: StatusReport, width: int = 100) -> str:
    """What is on the screen, every line of it within the screen."""
    screen = io.StringIO()
    render(outlook, Console(file=screen, width=width, force_terminal=False))
    text = screen.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return text


CASES = [
    ({}, True, "in force", "IN FORCE  42 s left  on eth0  lease 20261124T120730-4711"),
    ({"deadline": NOW - 1}, True, "ending", "ENDING  0 s left"),
    ({"watchdog": GONE}, True, "not restored", "its watchdog is dead: chaoskit restore 20261124T120730-4711"),
    ({"watchdog": GONE}, False, "ended", "nothing is pending; to remove the lease: chaoskit restore 2026"),
    ({"watchdog": None}, False, "beginning", "BEGINNING"),
    ({"watchdog": None, "owner": GONE}, True, "not restored", "NOT RESTORED"),
    ({"watchdog": None, "owner": None}, True, "not restored", "NOT RESTORED"),
    ({"boot": "before"}, True, "of another boot", "what it set ended with that boot"),
    ({"machine": "other"}, True, "of another machine", "OF ANOTHER MACHINE"),
    ({"namespace": "1-1"}, True, "elsewhere", "in another network namespace; in force there"),
    ({"namespace": "1-1", "watchdog": GONE}, True, "elsewhere", "its watchdog is dead: there, chaoskit restore"),
]


@pytest.mark.parametrize(("change", "is_pending", "expected", "sentence"), CASES)
def test_each_state_of_a_lease_is_told(
    tmp_path: Path, change: dict[str, Any], is_pending: bool, expected: str, sentence: str
) -> None:
    """Which processes live, what is pending and where it was made decide what is said of it, and what to type."""
    places = [state(tmp_path, replace(LEASE, **change), is_pending=is_pending)]

    outlook = look(places, HERE, NOW)

    assert [each.state for each in outlook.standings] == [expected]
    assert sentence in shown(outlook)
    assert json.loads(as_json(outlook))["leases"][0]["state"] == expected


@pytest.mark.parametrize("width", [80, 120])
def test_all_there_is_to_know_is_on_the_screen(tmp_path: Path, width: int) -> None:
    """Whom it hits, which addresses these are, what it does now, since when, until when, by whom."""
    text = shown(look([state(tmp_path, LEASE)], HERE, NOW), width)

    for words in (
        "api.example.com:443 (192.0.2.7/32)",
        "delay 90ms",
        "2026-11-24 12:07:30 UTC, until 2026-11-24 12:08:30 UTC",
        "alice: chaoskit inject --to api.example.com:443",
    ):
        assert words in text


def test_nothing_is_one_sentence(tmp_path: Path) -> None:
    """A machine where nothing is in force says so, and its JSON has no leases."""
    outlook = look([tmp_path], HERE, NOW)

    assert shown(outlook) == "Nothing of chaoskit's is in force here, and no restore is pending.\n"
    assert json.loads(as_json(outlook))["leases"] == []


def test_what_is_printed_can_be_injected_again(tmp_path: Path) -> None:
    """The JSON of one lease is read as the injection that it was made from."""
    path = tmp_path / "status.json"

    path.write_text(as_json(look([state(tmp_path / "state", LEASE)], HERE, NOW)))

    assert load_injection(path) == Injection.model_validate(WORDS)


def test_one_lease_can_be_asked_for(tmp_path: Path) -> None:
    """By its id; and one that is not there is refused with what to type."""
    places = [state(tmp_path, LEASE, replace(LEASE, id="another"))]

    assert [each.lease.id for each in look(places, HERE, NOW, "another").standings] == ["another"]
    with pytest.raises(RefusedError, match="there is no lease third: chaoskit status shows all"):
        look(places, HERE, NOW, "third")


def test_a_run_is_told_by_its_filters(tmp_path: Path) -> None:
    """What no inject can repeat shows what it hits by its journal, and has no injection to feed back."""
    outlook = look([state(tmp_path, replace(LEASE, injection={"experiment": "loss"}))], HERE, NOW)

    assert "192.0.2.7/32 at port 443" in shown(outlook)
    assert json.loads(as_json(outlook))["leases"][0]["injection"] is None


def test_a_clamp_is_told_and_can_be_injected_again(tmp_path: Path) -> None:
    """Whom it hits, by the addresses that the name stood for; how long segments may be: as the journal has it, and
    before that as was asked; and its words once more."""
    words = {"to": WORDS["to"], "mss-clamp": 1360, "for": "60s"}
    lease = replace(LEASE, injection=words)
    places = [state(tmp_path / "state", lease, is_pending=False)]
    asked = shown(look(places, HERE, NOW))
    with Journal.at(Leases(places[0]).folder(lease.id)) as journal:
        for knob, setting in clamp("eth0", TrafficSelector((Remote("192.0.2.7/32", 443),)), 1300):
            journal.intend(knob, None, setting)
            journal.done(knob)

    outlook = look(places, HERE, NOW)

    assert "both   TCP handshakes: mss at most 1360" in asked
    assert "both   TCP handshakes: mss at most 1300" in shown(outlook)
    assert "hits   api.example.com:443 (192.0.2.7/32)" in shown(outlook)
    path = tmp_path / "status.json"
    path.write_text(as_json(outlook))
    assert load_injection(path) == Injection.model_validate(words)


def test_what_is_lost_for_its_size_is_told(tmp_path: Path) -> None:
    """Beside what the direction does besides: as the journal has it, and before that as was asked."""
    words = {"to": WORDS["to"], "up": "delay 10ms", "size-drop-up": 1400, "size-drop-down": 1300, "for": "60s"}
    lease = replace(LEASE, injection=words)
    places = [state(tmp_path / "state", lease, is_pending=False)]
    asked = shown(look(places, HERE, NOW))
    with Journal.at(Leases(places[0]).folder(lease.id)) as journal:
        for knob, setting in drop_oversized(
            "eth0", TrafficSelector((Remote("192.0.2.7/32", 443),)), ("up",), 1350, "flower"
        ):
            journal.intend(knob, None, setting)
            journal.done(knob)

    told = json.loads(as_json(look(places, HERE, NOW)))["leases"][0]["does"]

    assert "down   longer than 1300 bytes: lost" in asked
    assert "up     delay 10ms; longer than 1400 bytes: lost" in asked
    assert told["up"] == "delay 10ms; longer than 1350 bytes: lost"


def test_a_lease_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """A torn lease is a sentence, and hides no other."""
    state(tmp_path, LEASE)
    torn = tmp_path / "leases" / "torn"
    torn.mkdir()
    (torn / "lease.json").write_text('{"id": "to')

    text = shown(look([tmp_path], HERE, NOW), 300)

    assert "IN FORCE" in text
    assert "is incomplete or was edited: chaoskit restore torn" in text


def test_what_others_wrote_cannot_move_the_cursor(tmp_path: Path) -> None:
    """Escapes and markup in a command or a name are shown, not obeyed; the JSON stays readable."""
    words = "inject '\x1b[2J[bold]\x7f\udce9\U0001f600'"
    outlook = look([state(tmp_path, replace(LEASE, command=words, user="[red]a"))], HERE, NOW)
    path = tmp_path / "status.json"

    path.write_text(as_json(outlook))

    assert "\x1b" not in shown(outlook)
    assert "[red]a" in shown(outlook)
    assert load_injection(path).for_ == 60 * SECOND


def test_pending_restores_and_leftovers_are_listed(tmp_path: Path) -> None:
    """With a dead watchdog, what is pending is named, filters by number, and why something was not restored."""
    places = [state(tmp_path, replace(LEASE, watchdog=GONE))]
    Leases(tmp_path).write_leftovers(LEASE.id, ["ifb chaos-down: busy"])

    text = shown(look(places, HERE, NOW))

    assert "1 filter on eth0, qdisc chaos-down, ifb chaos-down" in text
    assert "ifb chaos-down: busy" in text


def test_what_no_lease_knows_is_found() -> None:
    """What bears our names is reported when no lease here has it in its journal, and only then."""
    ours = [knob for knob, _ in CHANGES]
    known = LeaseStatus(
        LEASE, "not restored", pending=tuple(PendingRestore(knob, None, setting, True) for knob, setting in CHANGES)
    )

    assert strays(ours, StatusReport()) == tuple(ours)
    assert strays(ours, StatusReport((known,))) == ()
    assert strays(ours, StatusReport((replace(known, state="of another boot"),))) == tuple(ours)


def test_strays_and_a_holder_are_told() -> None:
    """What has no lease, and who is at work with a lease that we cannot see, are a sentence each."""
    text = shown(StatusReport((), (), (Knob("ifb", "", "chaos-up"),), "process 7 (chaoskit run x)"), 200)

    assert "ifb chaos-up; sudo chaoskit restore" in text
    assert "At work in this network namespace: process 7 (chaoskit run x)" in text


def test_everybody_sees_roots_leases() -> None:
    """A user's status looks at root's leases too, unless told where to look."""
    assert folders({"HOME": "/home/a"}, 1000) == (Path("/home/a/.local/state/chaoskit"), Path("/var/lib/chaoskit"))
    assert folders({}, 0) == (Path("/var/lib/chaoskit"),)
    assert folders({"CHAOSKIT_STATE": "/x"}, 0) == (Path("/x"),)
