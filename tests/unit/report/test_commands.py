"""The equivalent commands of changes, as far as no kernel is needed to check them."""

from __future__ import annotations

import shlex

from chaoskit.knobs import (
    Change,
    Clsact,
    Filter,
    Flow,
    Ifb,
    Knob,
    Link,
    Masquerade,
    Namespace,
    Netem,
    Setting,
    Sysctl,
    U32Match,
)
from chaoskit.report.commands import apply_commands, revert_commands
from chaoskit.topology.steering import Remote, TrafficSelector, clamp, steer

STEERED = steer(
    "eth0", TrafficSelector((Remote("10.0.0.2/32", 443),), protocol="tcp"), {"up": Netem(delay=80_000_000)}, "flower"
)


def test_an_injection_as_commands() -> None:
    """Every step to apply and every step to revert, in order, nothing else."""
    assert apply_commands(STEERED) == [
        "ip link add chaos-up type ifb",
        "tc qdisc add dev chaos-up root handle ca05: netem limit 1000 delay 80ms",
        "ip link set dev chaos-up mtu 1500 gso_max_segs 65535 up",
        "tc qdisc add dev eth0 clsact",
        "tc filter add dev eth0 egress protocol ip pref 51717 flower skip_hw ip_proto tcp dst_ip 10.0.0.2/32 "
        "dst_port 443 action mirred egress redirect dev chaos-up",
        "tc filter add dev eth0 egress protocol ip pref 51718 flower skip_hw ip_proto tcp dst_ip 10.0.0.2/32 "
        "ip_flags frag action mirred egress redirect dev chaos-up",
    ]
    assert revert_commands(STEERED) == [
        "tc filter del dev eth0 egress protocol ip pref 51718",
        "tc filter del dev eth0 egress protocol ip pref 51717",
        "tc qdisc del dev eth0 clsact",
        "ip link del chaos-up",
    ]


def test_a_clamp_as_commands() -> None:
    """A table of its own with a rule for each direction, and only the table to revert it."""
    changes = clamp(
        "eth0", TrafficSelector((Remote("10.0.0.2/32", 443), Remote("fd00::/64")), versions=frozenset({4, 6})), 1360
    )
    table, size = "inet chaoskit-mss", "tcp flags syn tcp option maxseg size set 1360"

    assert apply_commands(changes) == [
        f"nft add table {table}",
        f"nft add chain {table} postrouting '{{ type filter hook postrouting priority mangle ; }}'",
        f"nft add chain {table} prerouting '{{ type filter hook prerouting priority mangle ; }}'",
        f"nft add rule {table} postrouting oifname eth0 meta nfproto ipv4 ip daddr 10.0.0.2/32 tcp dport 443 {size}",
        f"nft add rule {table} postrouting oifname eth0 meta nfproto ipv6 ip6 daddr fd00::/64 {size}",
        f"nft add rule {table} prerouting iifname eth0 meta nfproto ipv4 ip saddr 10.0.0.2/32 tcp sport 443 {size}",
        f"nft add rule {table} prerouting iifname eth0 meta nfproto ipv6 ip6 saddr fd00::/64 {size}",
        "# chaoskit's own table belongs to its process, and is deleted when that ends",
    ]
    assert revert_commands(changes) == [f"nft delete table {table}"]


def test_what_existed_is_neither_created_nor_deleted() -> None:
    """An existing clsact is a remark in both directions."""
    clsact = Knob("clsact", "", "eth0")
    before: dict[Knob, Setting] = {clsact: Clsact()}

    assert "# clsact eth0 is already set" in apply_commands(STEERED, before)
    assert not any(
        "clsact" in line
        for line in apply_commands(STEERED, before) + revert_commands(STEERED, before)
        if line[0] != "#"
    )


def test_names_are_quoted_for_the_shell() -> None:
    """Names with blanks or special characters stay one word."""
    line = apply_commands([(Knob("ifb", "", "a;b$(c)"), Ifb())])[0]

    assert shlex.split(line) == ["ip", "link", "add", "a;b$(c)", "type", "ifb"]


def test_former_values_are_restored() -> None:
    """What had a value has it again, the last change first."""
    link, forward = Knob("link", "", "eth0"), Knob("sysctl", "", "net.ipv4.ip_forward")
    before: dict[Knob, Setting] = {link: Link(True, 1500, 65535), forward: Sysctl("0")}

    lines = revert_commands([(link, Link(True, 1400, 1)), (forward, Sysctl("1"))], before)

    assert lines == ["sysctl -q -w net.ipv4.ip_forward=0", "ip link set dev eth0 mtu 1500 gso_max_segs 65535 up"]


def test_what_the_tools_cannot_do_is_remarked() -> None:
    """Namespaces without a name, a table that belongs to its process, and a u32 without a key."""
    changes: list[Change] = [
        (Knob("namespace", "", "router"), Namespace()),
        (Knob("masquerade", "", "100.64.0.2"), Masquerade()),
        (Knob("filter", "", "eth0 egress 51717"), Filter("ip", U32Match(()), "chaos-up")),
        (Knob("filter", "router", "eth0 egress 51717"), Filter("ip", Flow(), "chaos-up")),
    ]

    lines = apply_commands(changes)

    assert [line for line in lines if line.startswith("#")] == [
        "# chaoskit's own namespaces have no name, and are deleted when it ends",
        "# chaoskit's own table belongs to its process, and is deleted when that ends",
        "# tc's u32 needs a key; this one matches everything",
    ]
    assert lines[-1].startswith("tc -n router filter add dev eth0")
    assert revert_commands(changes)[-2:] == ["nft delete table ip chaoskit-100.64.0.2", "ip netns del router"]
