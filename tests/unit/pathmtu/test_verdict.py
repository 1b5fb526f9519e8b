"""Tests the verdicts: kind, sentence, remedies, notes, exit code, screen and JSON."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from chaoskit.host_lookups import FirstHop
from chaoskit.pathmtu.examination import Findings, Setup
from chaoskit.pathmtu.long_body import Body
from chaoskit.pathmtu.probes import Clamp, DropPoint, Endpoints, Hop, Probe, TooBig, Unreachable
from chaoskit.pathmtu.verdict import Verdict, judge
from chaoskit.programs import sudo, typed_by
from chaoskit.report.pathmtu import Progress, as_json, render

DOCS = (Path(__file__).parents[3] / "docs" / "path-mtu.md").read_text()
FIRST = FirstHop("eth0", "192.0.2.1", "192.0.2.254", 1500)
PATIENT = Setup("api.example.com", Endpoints(4, "192.0.2.1", "198.51.100.7", 443), FIRST, may_send_body=True)
TAKEN, STUCK = Body("taken", 16_500, 16_500, 1500), Body("stuck", 16_500, 0, 1500)
RTTS = {"echo": 20_000_000, "tcp": 21_000_000}

WIDE = Findings(PATIENT, ("echo", "udp", "tcp"), RTTS, 1500, None, True, mss=1460, port="open", body=TAKEN)  # type: ignore[arg-type]
SIGNALLED = replace(WIDE, passes=1400, ceiling=1401, signal=TooBig("203.0.113.2", 1400, 2), where=Hop(2, "203.0.113.2"))
NARROW = DropPoint(Hop(2, "203.0.113.2"), Hop(3, "203.0.113.3"))
BLACK_HOLE = replace(WIDE, passes=1400, ceiling=1401, drop_point=NARROW, body=STUCK)
CLAMP = Clamp(Hop(2, "203.0.113.2"), Hop(3, "203.0.113.3"), 1360)
CLAMPED = replace(BLACK_HOLE, mss=1360, clamp=CLAMP, body=TAKEN)
SILENT = Findings(replace(PATIENT, may_send_body=False), ("echo", "udp", "tcp"), {})
SPENT = replace(BLACK_HOLE, is_exact=False, ceiling=1450, drop_point=None, body=TAKEN, exhausted="packets", packets=120)


def on(findings: Findings, **words: object) -> Findings:
    """The same from a machine whose way there is as these words say."""
    return replace(findings, setup=replace(PATIENT, first=replace(FIRST, **words)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("findings", "kind", "code"),
    [
        (WIDE, "wide-open", 0),
        (replace(WIDE, body=STUCK), "wide-open", 1),
        (replace(WIDE, body=None, mss=None, port=None), "wide-open", 0),
        (replace(WIDE, mss=1220), "clamped", 0),
        (SIGNALLED, "signalled", 0),
        (replace(SIGNALLED, mss=1360), "signalled", 0),
        (replace(SIGNALLED, body=STUCK), "signalled", 1),
        (CLAMPED, "clamped", 0),
        (replace(CLAMPED, body=STUCK), "clamped", 1),
        (replace(CLAMPED, mss=1361), "black-hole", 1),
        (BLACK_HOLE, "black-hole", 1),
        (replace(BLACK_HOLE, body=None), "black-hole", 1),
        (replace(BLACK_HOLE, mss=None, port="closed", body=None), "black-hole", 1),
        (on(replace(BLACK_HOLE, body=TAKEN), route_mtu=1400), "black-hole", 0),
        (on(replace(BLACK_HOLE, body=TAKEN), route_mtu=1401), "black-hole", 1),
        (on(replace(BLACK_HOLE, body=TAKEN), mtu_probing=1), "black-hole", 0),
        (on(BLACK_HOLE, mtu_probing=1), "black-hole", 1),
        (on(BLACK_HOLE, route_mtu=1400), "black-hole", 1),
        (SILENT, "undecided", 5),
        (SPENT, "undecided", 5),
        (replace(SPENT, body=STUCK), "black-hole", 1),
        (replace(SPENT, body=replace(STUCK, acked=1499)), "black-hole", 1),
        (replace(SPENT, body=replace(STUCK, acked=1500)), "undecided", 5),
        (replace(SILENT, is_limited=True), "undecided", 5),
        (replace(SILENT, unreachable=Unreachable("203.0.113.2", "prohibited")), "undecided", 5),
        (replace(SILENT, passes=1500, is_exact=True, body=TAKEN), "wide-open", 0),
    ],
)
def test_kinds_and_exit_codes(findings: Findings, kind: str, code: int) -> None:
    """The exit code is 1 only if packets do not arrive."""
    verdict = judge(findings)

    assert (verdict.kind, verdict.exit_code) == (kind, code)


@pytest.mark.parametrize(
    ("findings", "sentence"),
    [
        (
            WIDE,
            "No MTU problem on the forward path: packets of 1500 bytes, all that eth0 takes, reach api.example.com.",
        ),
        (
            SIGNALLED,
            "No MTU problem on the forward path: the path to api.example.com takes 1400 bytes, less than eth0's "
            "1500, and "
            "hop 2 (203.0.113.2) reports it.",
        ),
        (
            BLACK_HOLE,
            "Black hole: packets over 1400 bytes are lost after hop 2 (203.0.113.2), which sends no "
            '"fragmentation needed".',
        ),
        (
            replace(BLACK_HOLE, drop_point=DropPoint(Hop(0, None), Hop(1, "192.0.2.254"))),
            "Black hole: packets over 1400 bytes are lost on the first link, before hop 1 (192.0.2.254), and no "
            "router reports it.",
        ),
        (
            replace(BLACK_HOLE, drop_point=DropPoint(Hop(0, None), Hop(1, None))),
            "Black hole: packets over 1400 bytes are lost on the first link, before api.example.com, and "
            "no router reports it.",
        ),
        (
            replace(BLACK_HOLE, drop_point=DropPoint(Hop(0, None), Hop(2, "203.0.113.2"))),
            "Black hole: packets over 1400 bytes are lost before hop 2 (203.0.113.2), and no router reports it.",
        ),
        (
            on(replace(BLACK_HOLE, body=TAKEN), route_mtu=1400),
            "Black hole that this machine avoids, because its route keeps to 1400: packets over 1400 bytes are lost "
            'after hop 2 (203.0.113.2), which sends no "fragmentation needed".',
        ),
        (
            on(replace(BLACK_HOLE, body=TAKEN), mtu_probing=1),
            "Black hole that this machine avoids, because TCP MTU probing finds a smaller size: packets over "
            "1400 bytes "
            'are lost after hop 2 (203.0.113.2), which sends no "fragmentation needed".',
        ),
        (
            on(BLACK_HOLE, route_mtu=1400, mtu_probing=1),
            "Black hole: packets over 1400 bytes are lost after hop 2 (203.0.113.2), which sends no "
            '"fragmentation needed".',
        ),
        (
            CLAMPED,
            "No problem for TCP: the path to api.example.com takes 1400 bytes, less than eth0's 1500, and no "
            "router reports "
            "it, but an MSS of 1360 keeps TCP at 1400; UDP and QUIC lose what is larger.",
        ),
        (
            replace(WIDE, mss=1220),
            "No MTU problem on the forward path: packets of 1500 bytes, all that eth0 takes, reach "
            "api.example.com, and an "
            "MSS of 1220 keeps TCP at 1260.",
        ),
        (
            replace(WIDE, body=STUCK),
            "Long bodies get stuck, but not because of packet size: packets of 1500 bytes, all that eth0 takes, reach "
            "api.example.com.",
        ),
        (SILENT, "Undecided: api.example.com answers neither pings nor UDP nor SYNs."),
        (SPENT, "Undecided, because 120 packets were used up: 1400 bytes pass, 1450 do not seem to."),
        (
            replace(SILENT, is_limited=True, passes=100),
            "Undecided: api.example.com, or a router, limits the rate of its answers; 100 bytes pass.",
        ),
        (
            replace(SILENT, unreachable=Unreachable("203.0.113.2", "prohibited")),
            "Undecided: 203.0.113.2 says of api.example.com: prohibited.",
        ),
        (replace(SILENT, methods=("udp",)), "Undecided: api.example.com does not answer UDP."),
        (
            replace(SILENT, methods=("udp", "echo"), passes=1400),
            "Undecided: api.example.com answers neither UDP nor pings; 1400 bytes pass.",
        ),
    ],
)
def test_verdicts_are_one_sentence(findings: Findings, sentence: str) -> None:
    """What happens to which packets, where, and which router does not report it."""
    assert judge(findings).sentence == sentence


@pytest.mark.parametrize(
    ("findings", "remedies"),
    [
        (WIDE, []),
        (SIGNALLED, []),
        (CLAMPED, []),
        (on(replace(BLACK_HOLE, body=TAKEN), route_mtu=1400), []),
        (
            BLACK_HOLE,
            [
                "sudo ip route replace 198.51.100.7 via 192.0.2.254 dev eth0 mtu 1400",
                "sudo sysctl -w net.ipv4.tcp_mtu_probing=1",
                "let ICMP type 3 code 4 through at hop 2 (203.0.113.2)",
                "sudo nft add rule inet filter forward tcp flags syn tcp option maxseg size set rt mtu",
            ],
        ),
        (
            replace(BLACK_HOLE, drop_point=DropPoint(Hop(0, None), Hop(1, "192.0.2.254"))),
            ["sudo ip link set dev eth0 mtu 1400", "sudo sysctl -w net.ipv4.tcp_mtu_probing=1"],
        ),
        (
            replace(BLACK_HOLE, drop_point=DropPoint(Hop(0, None), Hop(2, "203.0.113.2"))),
            [
                "sudo ip route replace 198.51.100.7 via 192.0.2.254 dev eth0 mtu 1400",
                "sudo sysctl -w net.ipv4.tcp_mtu_probing=1",
            ],
        ),
        (
            on(BLACK_HOLE, gateway=None),
            [
                "sudo ip route replace 198.51.100.7 dev eth0 mtu 1400",
                "sudo sysctl -w net.ipv4.tcp_mtu_probing=1",
                "let ICMP type 3 code 4 through at hop 2 (203.0.113.2)",
                "sudo nft add rule inet filter forward tcp flags syn tcp option maxseg size set rt mtu",
            ],
        ),
        (replace(SPENT, body=STUCK), ["sudo sysctl -w net.ipv4.tcp_mtu_probing=1"]),
        (replace(SIGNALLED, body=STUCK), ["sudo nft list ruleset"]),
        (replace(WIDE, body=STUCK), ["curl -v --data-binary @FILE api.example.com:443"]),
        (SILENT, ["chaoskit pmtu api.example.com:PORT"]),
        (SPENT, ["chaoskit pmtu api.example.com:443 --max-packets 240"]),
        (replace(SPENT, exhausted="time"), ["chaoskit pmtu api.example.com:443 --max-time 2min --max-packets 300"]),
        (replace(SILENT, setup=PATIENT), ["ip route get 198.51.100.7"]),
        (replace(SILENT, unreachable=Unreachable("203.0.113.2", "prohibited")), ["chaoskit pmtu 203.0.113.2"]),
        (replace(SILENT, setup=PATIENT, methods=("udp",)), [f"{sudo()} pmtu api.example.com:443"]),
    ],
)
def test_remedies(findings: Findings, remedies: list[str]) -> None:
    """Commands for this machine first, then requests to the operator of the hop; none without a problem."""
    assert [mend.what for mend in judge(findings).remedies] == remedies


@pytest.mark.parametrize(("size", "less"), [(576, 524), (1075, 1023), (1076, None), (1400, None)])
def test_a_path_too_narrow_for_the_first_guess_of_tcp(size: int, less: int | None) -> None:
    """Linux probes with 1024 bytes first, and with less only if configured."""
    verdict = judge(replace(BLACK_HOLE, passes=size, ceiling=size + 1))

    typed = "sudo sysctl -w net.ipv4.tcp_mtu_probing=1" + (f" net.ipv4.tcp_base_mss={less}" if less else "")
    assert verdict.remedies[1].what == typed


def test_remedies_of_ipv6() -> None:
    """`ip -6`, ICMPv6's number, and the size that every link owes it."""
    six = replace(
        PATIENT, endpoints=Endpoints(6, "2001:db8::1", "2001:db8:f::7", 443), first=replace(FIRST, gateway="fe80::1")
    )

    verdict = judge(replace(BLACK_HOLE, setup=six, passes=1200, ceiling=1201))

    assert verdict.remedies[0].what == "sudo ip -6 route replace 2001:db8:f::7 via fe80::1 dev eth0 mtu 1200"
    assert verdict.remedies[2].what == "let ICMPv6 type 2 through at hop 2 (203.0.113.2)"
    assert '"packet too big"' in verdict.sentence
    assert any("1280" in note for note in verdict.notes)


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (WIDE, "the return path"),
        (BLACK_HOLE, "the MSS of 1460 that api.example.com offers allows packets of 1500"),
        (replace(WIDE, is_one_way=True), "large echo requests reach"),
        (on(WIDE, cached_mtu=1300, cached_for=77), "had reported 1300 bytes before; cached for 77 s more"),
        (replace(WIDE, methods=("udp",)), f"{sudo()} pmtu api.example.com"),
        (replace(WIDE, setup=replace(PATIENT, may_send_body=False), body=None), "no port was given"),
        (replace(WIDE, port="closed", body=None), "port 443 is closed"),
        (replace(WIDE, body=Body("refused")), "port 443 is closed"),
        (replace(WIDE, body=Body("silent", why="timed out")), "port 443 does not answer (timed out)"),
        (replace(WIDE, body=Body("cut", 16_500, 0, 1500)), "the server closed"),
        (replace(WIDE, body=Body("slow", 16_500, 0, 1500)), "neither taken nor stuck"),
        (replace(WIDE, body=Body("unsent")), "too few packets"),
        (replace(BLACK_HOLE, drop_point=None, exhausted="packets"), "no more packets left"),
    ],
)
def test_what_could_not_be_examined_is_noted(findings: Findings, words: str) -> None:
    """Each gap has its note, and the return path is always one."""
    notes = judge(findings).notes

    assert any(words in note for note in notes)
    assert "cannot be probed from here" in notes[-1]


def shown(findings: Findings, verdict: Verdict | None = None) -> str:
    """The screen."""
    text = StringIO()
    render(findings, verdict or judge(findings), Console(file=text, width=60))
    return text.getvalue()


@pytest.mark.parametrize(
    ("findings", "lines"),
    [
        (
            replace(BLACK_HOLE, packets=47, elapsed=4_300_000_000),
            [
                "api.example.com (198.51.100.7)  IPv4 from eth0 via 192.0.2.254",
                "  interface 1500 bytes",
                "  answers   ping 20.0 ms, TCP port 443 open 21.0 ms, MSS 1460",
                "  path MTU  1400 bytes; 1401 do not pass",
                "  hop       hop 2 (203.0.113.2) is the last that large packets reach; small ones reach hop 3 "
                "(203.0.113.3) too",
                "  long body stuck: 0 of 16500 bytes acknowledged",
                "  spent     47 packets, 4.3 s",
                "Black hole: packets over 1400 bytes are lost after hop 2 (203.0.113.2), which sends no "
                '"fragmentation needed".',
            ],
        ),
        (SIGNALLED, ['  hop       hop 2 (203.0.113.2) says "fragmentation needed"']),
        (on(WIDE, route_mtu=1400, cached_mtu=1300), ["  interface 1500 bytes, the route 1400, 1300 cached"]),
        (SPENT, ["  path MTU  at least 1400 bytes"]),
        (CLAMPED, ["  clamp     our SYN's MSS is 1360 at hop 3 (203.0.113.3), and not yet at hop 2 (203.0.113.2)"]),
        (
            replace(CLAMPED, clamp=replace(CLAMP, before=Hop(0, None))),
            ["  clamp     our SYN's MSS is 1360 at hop 3 (203.0.113.3)"],
        ),
        (
            replace(CLAMPED, clamp=Clamp(Hop(4, "203.0.113.4"), None, None)),
            ["  clamp     none up to hop 4 (203.0.113.4), which our SYN's MSS reaches as it was sent"],
        ),
        (SILENT, ["  answers   none", "  path MTU  unknown"]),
        (
            replace(BLACK_HOLE, drop_point=DropPoint(Hop(2, None), Hop(5, None))),
            ["  hop       hop 2 is the last that large packets reach; small ones reach the host too"],
        ),
    ],
)
def test_the_screen_shows_what_was_found(findings: Findings, lines: list[str]) -> None:
    """Each in its line, never broken, the verdict after all of them."""
    printed = shown(findings).splitlines()

    assert [line for line in printed if line in lines] == lines


def test_names_cannot_move_the_cursor() -> None:
    """What was typed, or resolved, is shown without what a terminal would obey."""
    odd = replace(WIDE, setup=replace(PATIENT, host="\x1b[2Jevil[bold]"))

    printed = shown(odd)

    assert "\x1b" not in printed
    assert "evil[bold]" in printed


@pytest.mark.parametrize("findings", [WIDE, SIGNALLED, BLACK_HOLE, CLAMPED, SILENT, SPENT])
def test_the_json_is_what_its_page_says(findings: Findings) -> None:
    """docs/path-mtu.md has every name of the object, and the object every name of the page."""
    table = DOCS.partition("## JSON output")[2].split("| `kind` | what it is")[0]

    document = json.loads(as_json(findings, judge(findings)))

    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert list(document) == [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert document["kind"] == judge(findings).kind
    assert document["exit_code"] == judge(findings).exit_code


def test_the_json_of_a_black_hole() -> None:
    """The size, the hop and the next one, and what to type."""
    document = json.loads(as_json(BLACK_HOLE, judge(BLACK_HOLE)))

    assert (document["path_mtu"], document["passes"], document["fails"]) == (1400, 1400, 1401)
    assert document["hop"] == {"index": 2, "address": "203.0.113.2"}
    assert document["beyond"] == {"index": 3, "address": "203.0.113.3"}
    assert document["body"] == {"ending": "stuck", "asked": 16_500, "acked": 0}
    assert document["mend"][0]["what"].startswith(typed_by(os.geteuid(), "sudo ip route replace"))


def test_the_json_of_a_clamp() -> None:
    """The hops on either side of it, and what it makes of the MSS."""
    document = json.loads(as_json(CLAMPED, judge(CLAMPED)))

    before, after = {"index": 2, "address": "203.0.113.2"}, {"index": 3, "address": "203.0.113.3"}
    assert document["clamp"] == {"before": before, "after": after, "mss": 1360}


def test_what_is_not_known_is_null() -> None:
    """Never 0, never an empty text."""
    document = json.loads(as_json(SILENT, judge(SILENT)))

    unknown = (
        "path_mtu",
        "passes",
        "fails",
        "hop",
        "beyond",
        "mss",
        "clamp",
        "tcp_port",
        "body",
        "spent",
        "cached_mtu",
    )
    assert all(document[name] is None for name in unknown)


def test_progress_is_for_terminals() -> None:
    """One line that changes there, and nothing at all in a file."""
    for is_terminal in (True, False):
        text = StringIO()
        console = Console(file=text, force_terminal=is_terminal, width=100)
        with Progress("api.example.com", console) as progress:
            progress.tell((Probe("echo", 1500), Probe("udp", 1500)))

        assert ("2 probes, now of 1500 bytes, echo" in text.getvalue()) == is_terminal
