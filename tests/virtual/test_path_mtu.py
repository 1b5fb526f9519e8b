"""Tests `chaoskit pmtu` on a real kernel, on paths with known MTUs, with and without privileges.

Four routers; narrow places of 576 to 8999 bytes at each of them, signalled, silent and clamped; links that lose what
is long; ways back that are narrower; wide-open paths; IPv4 and IPv6. In virtual time, so that silence costs nothing.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import narrow_paths
import pytest

from chaoskit.clock import RealClock
from chaoskit.pathmtu.prepare import PACKETS
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

PROGRAM = Path(__file__).parent / "every_path.py"
SEED = 20260101
Rows = list[dict[str, Any]]


LIMIT = Duration.parse("100s")


@pytest.fixture(scope="module")
def rows(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Every path, examined in one guest."""
    place = tmp_path_factory.mktemp("paths")
    answer = place / "answer.json"
    command = Command((sys.executable, str(PROGRAM), str(answer), str(SEED)), place, LIMIT)
    guest = uml.Uml(kernel, options=uml.virtual_time(SEED)).launch(command, RealClock())
    assert guest.finish() == 0, guest.log.read_text()
    examined: Rows = json.loads(answer.read_text())
    return examined


@pytest.fixture(scope="module")
def raw(rows: Rows) -> Rows:
    """Those that were examined as root."""
    return [row for row in rows if row["rights"] == "raw"]


def test_the_paths_are_all_there_are(raw: Rows) -> None:
    """Every kind at every hop in both versions, our own first link, and wide-open ones; forty and more."""
    seen = Counter((row["truth"]["kind"], row["truth"]["at"], row["document"]["ip"]) for row in raw)
    kinds = ("signalled", "black-hole", "clamped")

    assert len(raw) >= 40
    assert all(seen[kind, at, version] for kind in kinds for at in (1, 2, 3, 4) for version in (4, 6))
    assert seen["black-hole", 0, 4]
    assert seen["wide-open", 0, 6]


def test_every_verdict_is_the_truth(raw: Rows) -> None:
    """The path MTU to the byte, the kind, the hop and its address, within the default budget."""
    wrong = [row for row in raw if row["ours"] != row["truth"] or row["document"]["packets"] > PACKETS]

    assert not wrong


def test_the_clamping_router_is_reported(raw: Rows) -> None:
    """A router sees a SYN before it rewrites it, and the next one afterwards; the last has no next one that tells."""
    clamps = {row["path"]: row["document"]["clamp"] for row in raw if row["truth"]["kind"] == "clamped"}
    others = [row["document"]["clamp"] for row in raw if row["truth"]["kind"] != "clamped"]

    assert len(clamps) >= 10
    for path, clamp in clamps.items():
        version, router = int(path[3]), int(path.split(" at ")[1].split()[0]) or 2
        hops = [{"index": at, "address": narrow_paths.router(version, at)} for at in (router, router + 1)]
        assert [clamp["before"], clamp["after"]] == [hops[0], hops[1] if router < 4 else None], path
    assert not [clamp for clamp in others if clamp is not None and clamp["after"] is not None]


def test_every_packet_is_counted(rows: Rows) -> None:
    """What we say we sent is what our kernel counted: probes, the body, what TCP repeats, its resets.

    Segments that TCP has counted and IPv6 then keeps back, because a router spoke up meanwhile, are two at most.
    """
    over = {
        (row["truth"]["kind"], row["document"]["ip"]): row["document"]["packets"] - row["document"]["kernel_sent"]
        for row in rows
        if row["document"]["packets"] != row["document"]["kernel_sent"]
    }

    assert set(over) <= {("signalled", 6)}
    assert all(0 < packets <= 2 for packets in over.values())


def test_exit_codes_tell_trouble_from_none(raw: Rows) -> None:
    """A black hole is 1, all else is 0."""
    codes = {(row["ours"]["kind"], row["document"]["exit_code"]) for row in raw}

    assert codes == {("wide-open", 0), ("signalled", 0), ("clamped", 0), ("black-hole", 1)}


def test_long_bodies_get_stuck_in_black_holes_alone(raw: Rows) -> None:
    """A real request of this machine's own TCP says the same as the probes do."""
    endings = {(row["ours"]["kind"], row["document"]["body"]["ending"]) for row in raw}

    assert endings == {("wide-open", "taken"), ("signalled", "taken"), ("clamped", "taken"), ("black-hole", "stuck")}


def test_a_black_hole_takes_seconds(raw: Rows) -> None:
    """No verdict takes as long as fifteen."""
    assert max(row["document"]["seconds"] for row in raw) < 15


def test_tracepath_agrees_where_routers_speak(raw: Rows) -> None:
    """On every path whose routers say what is too big it finds the same path MTU; on silent ones it finds none."""
    assert not [row for row in raw if not row["is_silent"] and row["tracepath"] != row["truth"]["mtu"]]
    assert not [row for row in raw if row["is_silent"] and row["tracepath"] == row["truth"]["mtu"]]


@pytest.mark.parametrize("rights", ["udp", "ping"])
def test_without_rights_the_verdict_is_the_same(rows: Rows, rights: str) -> None:
    """By datagrams alone, and with pings: the same size, kind and hop; and it is said what could not be seen."""
    examined = [row for row in rows if row["rights"] == rights]

    assert len(examined) >= 10
    assert not [row for row in examined if row["ours"] != row["truth"]]
    assert not [row for row in examined if row["document"]["privileged"]]
    assert all(any("CAP_NET_RAW" in note for note in row["document"]["notes"]) for row in examined)


def test_what_it_says_mends_it(rows: Rows) -> None:
    """After the first command of the verdict was typed, the body gets through and the doctor finds no trouble."""
    mended = [row["document"] for row in rows if row["rights"] == "mended"]

    assert len(mended) >= 4
    assert {(each["kind"], each["exit_code"], each["body"]["ending"]) for each in mended} == {
        ("black-hole", 0, "taken")
    }
    assert all(each["route_mtu"] == each["path_mtu"] for each in mended)


def test_tcps_own_probing_mends_it(rows: Rows) -> None:
    """After the sysctl, the body gets through within its seconds, and the doctor says why."""
    mended = [row["document"] for row in rows if row["rights"] == "probing"]

    assert len(mended) >= 4
    assert {(each["kind"], each["exit_code"], each["body"]["ending"]) for each in mended} == {
        ("black-hole", 0, "taken")
    }
    assert all("TCP MTU probing finds a smaller size" in each["verdict"] for each in mended)
