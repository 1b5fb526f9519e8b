"""Tests cut and idle-timeout: what is written, where it applies, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from chaoskit.faults import Fault
from chaoskit.faults.connection_cut import CutFault
from chaoskit.faults.idle_timeout import IdleTimeoutFault
from chaoskit.faults.tc_format import format_setting
from chaoskit.knobs import Knob
from chaoskit.middlebox import Cut, IdleTimeout, TcpFlow
from chaoskit.topology.connection_rules import table_name
from chaoskit.topology.display_names import display_name
from chaoskit.topology.fault_site import Interface, Lab, Site
from chaoskit.topology.lab import service
from chaoskit.topology.steering import Remote, TrafficSelector
from chaoskit.units import Duration

FAULT: TypeAdapter[Any] = TypeAdapter(Fault)
DOWN = (TcpFlow("to-client", "egress", "ip"), TcpFlow("to-client", "egress", "ipv6"))
UP = (TcpFlow("to-client", "ingress", "ip"), TcpFlow("to-client", "ingress", "ipv6"))
ETH0 = Interface("eth0", TrafficSelector((Remote("192.0.2.7/32", 443),)))
AWAY = (TcpFlow("eth0", "egress", "ip", None, "192.0.2.7/32", None, 443),)
HERE = (TcpFlow("eth0", "ingress", "ip", "192.0.2.7/32", None, 443),)


def setting(words: dict[str, Any], site: Site | None = None) -> object:
    """What the fault sets."""
    fault = FAULT.validate_python(words)
    assert isinstance(fault, CutFault | IdleTimeoutFault)
    assert fault.site_error(site or Lab()) == ""
    ((knob, wanted),) = fault.changes(site or Lab(), 1000, 0)
    assert knob == Knob(next(key for key in words if key != "direction"), "" if site else "router", "connections")
    return wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ({"cut": "1kB"}, Cut("reset", (*DOWN, *UP), DOWN, bytes=1000)),
        ({"cut": "64KiB by silence", "direction": "up"}, Cut("silence", (*DOWN, *UP), UP, bytes=65536)),
        (
            {"cut": {"after": "1.5MB", "by": "silence"}, "direction": "both"},
            Cut("silence", (*DOWN, *UP), (*DOWN, *UP), bytes=1_500_000),
        ),
        ({"cut": "2s silence"}, Cut("silence", (*DOWN, *UP), (*DOWN, *UP), ms=2000)),
        ({"cut": {"after": "1min 30s"}}, Cut("reset", (*DOWN, *UP), (*DOWN, *UP), ms=90_000)),
        ({"idle-timeout": "60s"}, IdleTimeout("silence", (*DOWN, *UP), 60_000)),
        ({"idle-timeout": {"after": "350s", "by": "reset"}}, IdleTimeout("reset", (*DOWN, *UP), 350_000)),
    ],
)
def test_it_sets_one_table_on_the_router(words: dict[str, Any], wanted: object) -> None:
    """All forwarded TCP of both versions, the bytes of the chosen direction; it reads back from what it writes."""
    assert setting(words) == wanted
    written = FAULT.validate_python(words).written()
    assert setting(written) == wanted


def test_on_an_interface_it_is_for_the_selected_traffic() -> None:
    """Both directions of it, and what is received counts."""
    assert setting({"cut": "1kB"}, ETH0) == Cut("reset", (*HERE, *AWAY), HERE, bytes=1000)
    assert setting({"idle-timeout": "60s"}, ETH0) == IdleTimeout("silence", (*HERE, *AWAY), 60_000)


def test_with_hosts_it_is_on_their_routers() -> None:
    """A host has a table on its router, each replica its own; a pair has one on the router of the first."""
    site = Lab(4, service({"gateway": 1, "model": 2}))
    host = FAULT.validate_python({"host": "model", "direction": "to-model", "cut": "1kB"})
    assert host.site_error(site) == ""
    changes = dict(host.changes(site, 1000, 0))
    assert set(changes) == {Knob("cut", "fabric", "model-1"), Knob("cut", "fabric", "model-2")}
    to = tuple(TcpFlow("to-model-1", "egress", family) for family in ("ip", "ipv6"))
    back = tuple(TcpFlow("to-model-1", "ingress", family) for family in ("ip", "ipv6"))
    assert changes[Knob("cut", "fabric", "model-1")] == Cut("reset", (*to, *back), to, bytes=1000)

    pair = FAULT.validate_python({"between": ["client", "gateway"], "idle-timeout": "60s"})
    assert pair.site_error(site) == ""
    ((knob, wanted),) = pair.changes(site, 1000, 0)
    assert knob == Knob("idle-timeout", "edge", "client gateway")
    assert table_name(knob) == "chaoskit-idle-timeout-client/gateway"
    assert display_name(knob, site.topology) == "connections between client and gateway"
    v4, v6 = (site.topology.attachment("gateway").destination(version) for version in (4, 6))
    assert wanted == IdleTimeout(
        "silence",
        (
            TcpFlow("to-client", "egress", "ip", source=v4),
            TcpFlow("to-client", "egress", "ipv6", source=v6),
            TcpFlow("to-client", "ingress", "ip", destination=v4),
            TcpFlow("to-client", "ingress", "ipv6", destination=v6),
        ),
        60_000,
    )

    assert "add host: NAME or between" in FAULT.validate_python({"cut": "1kB"}).site_error(site)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"cut": "5"}, "'5' has no unit; write 5kB or 5s"),
        ({"cut": "soon"}, "'soon' is no size and no time; write 1kB or 2s"),
        ({"cut": "0B"}, "0B is out of bounds; write 1B to"),
        ({"cut": "2TB"}, "no size and no time"),
        ({"cut": "2000GB"}, "is out of bounds"),
        ({"cut": "0s"}, "0s is no multiple of 100ms; write whole tenths of a second"),
        ({"cut": "150ms"}, "150ms is no multiple of 100ms"),
        ({"cut": "25h"}, "25h is more than the maximum, 24h"),
        ({"cut": "1kB by magic"}, "no size and no time"),
        ({"cut": {"after": "1kB", "by": "magic"}}, "Input should be 'reset' or 'silence'"),
        ({"cut": {"by": "reset"}}, "after\n"),
        ({"idle-timeout": "1kB"}, "not a unit of a duration"),
        ({"idle-timeout": "60"}, "'60' has no unit; write 60s"),
        ({"idle-timeout": {"after": "50ms"}}, "no multiple of 100ms"),
    ],
)
def test_bad_limits_are_refused(words: dict[str, Any], why: str) -> None:
    """With what to write."""
    with pytest.raises(ValueError, match=why.replace("(", r"\(")):
        FAULT.validate_python(words)


@pytest.mark.parametrize(
    ("words", "site", "why"),
    [
        ({"cut": "2s", "direction": "up"}, Lab(), "a time has none; remove direction"),
        ({"cut": "1kB"}, Interface("eth0", TrafficSelector(protocol="udp")), "write protocol: tcp there"),
        ({"idle-timeout": "1s"}, Interface("eth0", TrafficSelector(protocol="icmp")), "write protocol: tcp there"),
    ],
)
def test_where_it_cannot_be(words: dict[str, Any], site: Site, why: str) -> None:
    """It says what to change."""
    assert why in FAULT.validate_python(words).site_error(site)


def test_a_size_needs_quotas() -> None:
    """A time does not."""
    assert FAULT.validate_python({"cut": "1kB"}).needs() == {"connections", "quota"}
    assert FAULT.validate_python({"cut": "1s"}).needs() == {"connections"}
    assert FAULT.validate_python({"idle-timeout": "1s"}).needs() == {"connections"}


@pytest.mark.parametrize("words", [{"cut": "60s"}, {"idle-timeout": "60s"}])
def test_a_time_that_no_phase_reaches_is_a_warning(words: dict[str, Any]) -> None:
    """A longer phase is none."""
    fault = FAULT.validate_python(words)
    assert list(fault.warnings_within(Duration.parse("60s"))) == [
        "after 60s ends nothing: no phase that uses it is longer than 60s"
    ]
    assert list(fault.warnings_within(Duration.parse("61s"))) == []


def test_settings_are_said_in_words() -> None:
    """With their units."""
    assert format_setting(Cut("reset", DOWN, DOWN, bytes=1500)) == "cut after 1.5kB by reset"
    assert format_setting(Cut("silence", DOWN, DOWN, ms=2000)) == "cut after 2s by silence"
    assert format_setting(IdleTimeout("reset", DOWN, 350_000)) == (
        "forgotten after 5min50s of silence: what comes later is reset"
    )
    assert (
        format_setting(IdleTimeout("silence", DOWN, 1000)) == "forgotten after 1s of silence: what comes later is lost"
    )
