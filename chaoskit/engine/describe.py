"""Describes settings, and gives the command that restores a knob by hand."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

from chaoskit.knobs import Address, Knob, Link, Mtu, Neighbour, Route, Rule, Setting, Sysctl


def show(setting: object) -> str:
    """A setting without its default values: `Netem(delay=5000000)`, `Sysctl(value='1')`, `nothing`."""
    if setting is None:
        return "nothing"
    if not is_dataclass(setting):
        return repr(setting)
    shown = [
        f"{field.name}={show(value)}"
        for field in fields(setting)
        if (value := getattr(setting, field.name)) != field.default
    ]
    return f"{type(setting).__name__}({', '.join(shown)})"


def restore_command(knob: Knob, former: Setting) -> str:
    """The last part of an error message about a knob that should hold `former`: the command to type."""
    if knob.place or knob.kind == "namespace":
        return "it is removed when the last process of this run ends"
    command = _set_command(knob, former)
    return f"to restore it: sudo {command}" if command else f"to see its state: {_show_command(knob)}"


def _set_command(knob: Knob, former: Setting) -> str:
    link, _, rest = knob.name.partition(" ")
    match knob.kind, former:
        case "qdisc", None:
            return f"tc qdisc del dev {link} root"
        case "clsact", None:
            return f"tc qdisc del dev {link} clsact"
        case "filter", None:
            hook, _, priority = rest.partition(" ")
            return f"tc filter del dev {link} {hook} prio {priority}"
        case "veth" | "ifb", None:
            return f"ip link del {link}"
        case "link", Link(up, mtu, segments):
            return f"ip link set {link} mtu {mtu} gso_max_segs {segments} {'up' if up else 'down'}"
        case "mtu", Mtu(size):
            return f"ip link set {link} mtu {size}"
        case "address", Address() | None:
            return f"ip address {'add' if former else 'del'} {rest} dev {link}"
        case "route", Route() as route:
            return " ".join(("ip route replace", knob.name, *route_arguments(route)))
        case "route", None:
            return f"ip route del {knob.name}"
        case "rule", Rule(table):
            return f"ip rule add {knob.name} table {table}"
        case "rule", None:
            return f"ip rule del {knob.name}"
        case "neighbour", Neighbour(mac):
            return f"ip neighbour replace {rest} lladdr {mac} nud permanent dev {link}"
        case "neighbour", None:
            return f"ip neighbour del {rest} dev {link}"
        case "sysctl", Sysctl(value):
            return f"sysctl -w {knob.name}='{value}'"
        case _:
            return ""


def route_arguments(route: Route) -> tuple[str, ...]:
    """The arguments of ip-route(8) after the prefix."""
    next_hop = ("via", route.via) if route.via else ("dev", route.dev or "", "scope", "link")
    sizes = (word for name in ("mtu", "advmss") if (size := getattr(route, name)) for word in (name, str(size)))
    return (*next_hop, *sizes)


def _show_command(knob: Knob) -> str:
    match knob.kind:
        case "qdisc" | "clsact":
            return f"tc qdisc show dev {knob.name}"
        case "filter":
            link, _, hook = knob.name.rpartition(" ")[0].partition(" ")
            return f"tc filter show dev {link} {hook}"
        case "clamp" | "cut" | "idle-timeout":
            return "nft list ruleset"
        case _:
            return "ip -d link"
