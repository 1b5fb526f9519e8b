"""What `chaoskit status` shows of every lease, and that its JSON can be injected again."""

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
from chaoskit.errors import SpecError
from chaoskit.knobs import Change, Filter, Flow, Ifb, Knob, Netem
from chaoskit.programs import sudo
from chaoskit.report.leases import LeaseStatus, StatusReport, as_json, read_status, render, state_folders, unowned_knobs
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


def state(tmp_path: Path, *leases: Lease, owes: bool = True) -> Path:
    """A state folder with these leases, each with its journal."""
    kept = Leases(tmp_path)
    for lease in leases:
        kept.begin(lease)
        with Journal.at(kept.folder(lease.id)) as journal:
            for knob, setting in CHANGES if owes else ():
                journal.intend(knob, None, setting)
                journal.done(knob)
    return tmp_path


def found(folders: list[Path], only: str | None = None, way_in: str | None = None) -> StatusReport:
    """The report, where `way_in` enters the network namespace of every lease that is not of the present one."""
    return read_status(folders, HERE, NOW, only, lambda _: way_in)


def shown(outlook: StatusReport, width: int = 100) -> str:
    """What is on the screen, every line of it within the width."""
    screen = io.StringIO()
    render(outlook, Console(file=screen, width=width, force_terminal=False))
    text = screen.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return text


CASES = [
    ({}, True, "in force", "IN FORCE  42 s left  on eth0  lease 20261124T120730-4711"),
    ({"deadline": NOW - 1}, True, "ending", "ENDING  0 s left"),
    ({"watchdog": GONE}, True, "not restored", "its watchdog is dead: chaoskit restore 20261124T120730-4711"),
    ({"watchdog": GONE}, False, "ended", "nothing to restore; to delete the lease: chaoskit restore 2026"),
    ({"watchdog": None}, False, "starting", "STARTING"),
    ({"watchdog": None, "owner": GONE}, True, "not restored", "NOT RESTORED"),
    ({"watchdog": None, "owner": None}, True, "not restored", "NOT RESTORED"),
    ({"boot": "before"}, True, "from another boot", "its changes ended with that boot"),
    ({"machine": "other"}, True, "from another machine", "FROM ANOTHER MACHINE"),
]


@pytest.mark.parametrize(("change", "owes", "expected", "sentence"), CASES)
def test_each_state_of_a_lease(
    tmp_path: Path, change: dict[str, Any], owes: bool, expected: str, sentence: str
) -> None:
    """Living processes, changes to restore and the place of origin decide the state, and what to type."""
    places = [state(tmp_path, replace(LEASE, **change), owes=owes)]

    outlook = found(places)

    assert [each.state for each in outlook.leases] == [expected]
    assert sentence in shown(outlook)
    assert json.loads(as_json(outlook))["leases"][0]["state"] == expected


BLUE = "--netns blue"


def test_what_another_container_holds_is_in_force(tmp_path: Path) -> None:
    """Its watchdog cannot be seen from here; that somebody holds the lock tells that it lives."""
    folder = state(tmp_path, replace(LEASE, watchdog=Process(1, 1, namespace="another")))

    states = [
        read_status([folder], HERE, NOW, None, lambda _: None, is_held_unseen=is_held).leases[0].state
        for is_held in (True, False)
    ]

    assert states == ["in force", "not restored"]


ELSEWHERE = [
    ({}, True, BLUE, "in force", ["in another network namespace: --netns blue"]),
    ({"watchdog": GONE}, True, BLUE, "not restored", ["chaoskit restore --netns blue 20261124T120730-4711"]),
    ({"watchdog": GONE}, False, BLUE, "ended", ["--netns blue"]),
    ({"watchdog": GONE, "owner": GONE}, True, "", "ended", ["its network namespace is gone, and its changes with it"]),
    ({"watchdog": GONE, "owner": GONE}, True, None, "namespace unknown", [f"not visible from here: {sudo()} restore"]),
    ({}, True, None, "in force", ["42 s left", "in another network namespace: not visible from here"]),
]


@pytest.mark.parametrize(("change", "owes", "way_in", "expected", "sentences"), ELSEWHERE)
def test_a_lease_of_another_namespace(
    tmp_path: Path, change: dict[str, Any], owes: bool, way_in: str | None, expected: str, sentences: list[str]
) -> None:
    """It has the states of any lease, with the option that enters its namespace; of one that is gone it is void."""
    outlook = found([state(tmp_path, replace(LEASE, namespace="1-1", **change), owes=owes)], way_in=way_in)

    (told,) = json.loads(as_json(outlook))["leases"]
    assert (told["state"], told["is_here"], told["namespace"]) == (expected, False, way_in or None)
    assert all(sentence in shown(outlook, 200) for sentence in sentences)
    assert unowned_knobs([knob for knob, _ in CHANGES], outlook) == tuple(knob for knob, _ in CHANGES)


@pytest.mark.parametrize("width", [80, 120])
def test_everything_about_a_lease_is_on_the_screen(tmp_path: Path, width: int) -> None:
    """The matched traffic, its addresses, the effects, since when, until when, by whom."""
    text = shown(found([state(tmp_path, LEASE)]), width)

    for words in (
        "api.example.com:443 (192.0.2.7/32)",
        "delay 90ms",
        "2026-11-24 12:07:30 UTC, until 2026-11-24 12:08:30 UTC",
        "alice: chaoskit inject --to api.example.com:443",
    ):
        assert words in text


def test_no_lease_is_one_sentence(tmp_path: Path) -> None:
    """A machine where nothing is in force says so, and its JSON has no leases."""
    outlook = found([tmp_path])

    assert shown(outlook) == "No chaoskit fault is in force here, and nothing is left to restore.\n"
    assert json.loads(as_json(outlook))["leases"] == []


def test_the_json_can_be_injected_again(tmp_path: Path) -> None:
    """The JSON of one lease is read as the injection that it was made from."""
    path = tmp_path / "status.json"

    path.write_text(as_json(found([state(tmp_path / "state", LEASE)])))

    assert load_injection(path) == Injection.model_validate(WORDS)


def test_a_single_lease_can_be_selected(tmp_path: Path) -> None:
    """By its id; a missing one is refused with what to type."""
    places = [state(tmp_path, LEASE, replace(LEASE, id="another"))]

    assert [each.lease.id for each in found(places, "another").leases] == ["another"]
    with pytest.raises(SpecError, match="there is no lease third: chaoskit status shows all"):
        found(places, "third")


def test_a_run_is_described_by_its_filters(tmp_path: Path) -> None:
    """The matched traffic of a lease without an injection is read from its journal."""
    outlook = found([state(tmp_path, replace(LEASE, injection={"experiment": "loss"}))])

    assert "192.0.2.7/32 at port 443" in shown(outlook)
    assert json.loads(as_json(outlook))["leases"][0]["injection"] is None


def test_a_clamp_is_shown_and_can_be_injected_again(tmp_path: Path) -> None:
    """The matched traffic with the addresses of its names; the MSS: from the journal, and before that as requested."""
    words = {"to": WORDS["to"], "mss-clamp": 1360, "for": "60s"}
    lease = replace(LEASE, injection=words)
    places = [state(tmp_path / "state", lease, owes=False)]
    asked = shown(found(places))
    with Journal.at(Leases(places[0]).folder(lease.id)) as journal:
        for knob, setting in clamp("eth0", TrafficSelector((Remote("192.0.2.7/32", 443),)), 1300):
            journal.intend(knob, None, setting)
            journal.done(knob)

    outlook = found(places)

    assert "both   TCP handshakes: mss at most 1360" in asked
    assert "both   TCP handshakes: mss at most 1300" in shown(outlook)
    assert "match  api.example.com:443 (192.0.2.7/32)" in shown(outlook)
    path = tmp_path / "status.json"
    path.write_text(as_json(outlook))
    assert load_injection(path) == Injection.model_validate(words)


def test_size_drops_are_shown(tmp_path: Path) -> None:
    """Beside the other effects of the direction: from the journal, and before that as requested."""
    words = {"to": WORDS["to"], "up": "delay 10ms", "size-drop-up": 1400, "size-drop-down": 1300, "for": "60s"}
    lease = replace(LEASE, injection=words)
    places = [state(tmp_path / "state", lease, owes=False)]
    asked = shown(found(places))
    with Journal.at(Leases(places[0]).folder(lease.id)) as journal:
        selector = TrafficSelector((Remote("192.0.2.7/32", 443),))
        for knob, setting in drop_oversized("eth0", selector, ("up",), 1350, "flower"):
            journal.intend(knob, None, setting)
            journal.done(knob)

    told = json.loads(as_json(found(places)))["leases"][0]["effects"]

    assert "down   longer than 1300 bytes: dropped" in asked
    assert "up     delay 10ms; longer than 1400 bytes: dropped" in asked
    assert told["up"] == "delay 10ms; longer than 1350 bytes: dropped"


def test_an_unreadable_lease_is_shown(tmp_path: Path) -> None:
    """A torn lease is a sentence, and hides no other."""
    state(tmp_path, LEASE)
    torn = tmp_path / "leases" / "torn"
    torn.mkdir()
    (torn / "lease.json").write_text('{"id": "to')

    text = shown(found([tmp_path]), 300)

    assert "IN FORCE" in text
    assert "is incomplete or was edited: chaoskit restore torn" in text


def test_text_of_others_is_escaped(tmp_path: Path) -> None:
    """Escapes and markup in a command or a name are harmless; the JSON stays readable."""
    words = "inject '\x1b[2J[bold]\x7f\udce9\U0001f600'"
    outlook = found([state(tmp_path, replace(LEASE, command=words, user="[red]a"))])
    path = tmp_path / "status.json"

    path.write_text(as_json(outlook))

    assert "\x1b" not in shown(outlook)
    assert "[red]a" in shown(outlook)
    assert load_injection(path).for_ == 60 * SECOND


def test_changes_to_restore_and_leftovers_are_listed(tmp_path: Path) -> None:
    """With a dead watchdog, the changes to restore, filters by their number, and why something could not be
    restored."""
    places = [state(tmp_path, replace(LEASE, watchdog=GONE))]
    Leases(tmp_path).write_leftovers(LEASE.id, ["ifb chaos-down: busy"])

    text = shown(found(places))

    assert "1 filter on eth0, qdisc chaos-down, ifb chaos-down" in text
    assert "ifb chaos-down: busy" in text


def test_knobs_without_a_lease_are_found() -> None:
    """A knob with chaoskit's name is unowned when no lease here has it in its journal, and only then."""
    ours = [knob for knob, _ in CHANGES]
    known = LeaseStatus(
        LEASE, "not restored", pending=tuple(PendingRestore(knob, None, setting, True) for knob, setting in CHANGES)
    )

    assert unowned_knobs(ours, StatusReport()) == tuple(ours)
    assert unowned_knobs(ours, StatusReport((known,))) == ()
    assert unowned_knobs(ours, StatusReport((replace(known, state="from another boot"),))) == tuple(ours)


def test_unowned_knobs_and_the_holder_are_shown() -> None:
    """Knobs without a lease, and the process that holds the lock with an unreadable lease, are a sentence each."""
    text = shown(StatusReport((), (), (Knob("ifb", "", "chaos-up"),), "process 7 (chaoskit run x)"), 200)

    assert f"ifb chaos-up; {sudo()} restore" in text
    assert "Active in this network namespace: process 7 (chaoskit run x)" in text


def test_every_user_sees_roots_leases() -> None:
    """A user's status reads root's leases too, unless the state folder is given."""
    assert state_folders({"HOME": "/home/a"}, 1000) == (
        Path("/home/a/.local/state/chaoskit"),
        Path("/var/lib/chaoskit"),
    )
    assert state_folders({}, 0) == (Path("/var/lib/chaoskit"),)
    assert state_folders({"CHAOSKIT_STATE": "/x"}, 0) == (Path("/x"),)
