"""A result has what each namespace counted in each phase, and the console shows what is not zero."""

from __future__ import annotations

import io
from pathlib import Path

from made_runs import Made, ns

from chaoskit.analysis.analyse import analyse
from chaoskit.records.host_records import NamespaceCounters
from chaoskit.report import console
from chaoskit.report.screen import Screen

NONE = {"ConntrackDrop": "this kernel tracks no connections"}


def run_of(folder: Path) -> Path:
    """Two samples of two namespaces in each of three phases; the server sends again in wifi and in the drain."""
    made = Made()
    made.phases()
    made.stream(0, [100, 200])
    samples = [("baseline", 0, 0), ("baseline", 9999, 1), ("wifi", 10_000, 5), ("wifi", 19_999, 25)]
    samples += [("recovery", 20_000, 25), ("recovery", 29_999, 25), ("drain", 30_000, 26), ("drain", 35_000, 29)]
    for phase, at, count in samples:
        counters = {"TcpRetransSegs": count, "TcpExtTCPTimeouts": count // 5, "ConntrackEntries": 40 - count}
        made.records.append(NamespaceCounters(ns(at), "client", phase, 0, dict.fromkeys(counters, 0), NONE))
        made.records.append(NamespaceCounters(ns(at), "server", phase, 0, counters, NONE))
    return made.write(folder / "run")


def test_a_phase_has_what_was_counted_in_it(tmp_path: Path) -> None:
    """Not what was counted while the faults changed; the drain belongs to the last phase; of entries the most."""
    phases = {phase.name: phase for phase in analyse(run_of(tmp_path)).phases}
    of_server = {name: phase.namespaces[1] for name, phase in phases.items()}

    assert {name: each.counters["TcpRetransSegs"] for name, each in of_server.items()} == {
        "baseline": 1,
        "wifi": 20,
        "recovery": 4,
    }
    assert of_server["wifi"].counters["TcpExtTCPTimeouts"] == 4
    assert of_server["wifi"].counters["ConntrackEntries"] == 35
    assert (of_server["wifi"].place, of_server["wifi"].missing) == ("server", NONE)


def test_the_console_shows_what_is_not_zero(tmp_path: Path) -> None:
    """A row for each phase; nothing of the client."""
    shown = io.StringIO()

    console.render(analyse(run_of(tmp_path)), Screen(shown, 100))

    assert "wifi      server: TcpRetransSegs 20, TcpExtTCPTimeouts 4, ConntrackEntries 35" in shown.getvalue()
    assert "client: " not in shown.getvalue()
