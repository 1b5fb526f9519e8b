"""Shows a path MTU examination: one line of progress, then the findings, the verdict last.

`--json` prints one object, and docs/path-mtu.md says what each of its names means. Names are added, never changed,
under one `schema`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from rich.console import Console

from chaoskit.pathmtu.examination import Findings
from chaoskit.pathmtu.probes import Burst, Clamp, Hop
from chaoskit.pathmtu.verdict import Verdict, describe_hop, expected_icmp
from chaoskit.programs import typed_by
from chaoskit.report.null_reasons import explained
from chaoskit.report.screen import cropped_line, live_display
from chaoskit.report.styles import styled
from chaoskit.terminal import ascii_json
from chaoskit.units import counted

SCHEMA = 1
_STYLES = {0: "bold green", 1: "bold red", 5: "bold magenta"}
_SECOND, _MS = 10**9, 10**6
_WHY_NULL = {
    "port": "no port was given, nor found open",
    "path_mtu": "it is not known exactly",
    "passes": "no packet was answered",
    "fails": "no packet that is too long was found",
    "hop": "no router was seen to hold packets back",
    "beyond": "a router sends the signal, or none was seen to hold packets back",
    "interface": "the route has none",
    "gateway": "the host is on the same link",
    "interface_mtu": "the interface tells none",
    "route_mtu": "the route sets none",
    "cached_mtu": "this kernel has learned none",
    "tcp_port": "no TCP port answered",
    "mss": "no TCP handshake was made",
    "clamp": "it was not looked for, or no hop quoted our SYN",
    "body": "no request with a body was sent",
    "spent": "neither packets nor time ran out",
}


class Progress:
    """A context manager; `tell` shows what is sent now, on a terminal only."""

    def __init__(self, host: str, console: Console) -> None:
        self._host = host
        self._sent = 0
        self._screen = live_display(console)

    def __enter__(self) -> Progress:
        if self._screen is not None:
            self._screen.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._screen is not None:
            self._screen.stop()

    def tell(self, burst: Burst) -> None:
        """Show a volley that is about to be sent."""
        self._sent += len(burst)
        if self._screen is not None:
            sizes = ", ".join(dict.fromkeys(str(probe.size) for probe in burst))
            line = f"{self._host}: {self._sent} probes, now of {sizes} bytes, {burst[0].method}"
            self._screen.update(cropped_line(line), refresh=True)


def render(findings: Findings, verdict: Verdict, console: Console) -> None:
    """The findings, the verdict in one sentence, the commands to type, and the limits of the examination."""
    endpoints, first = findings.setup.endpoints, findings.setup.first
    via = f" via {first.gateway}" if first.gateway else ""
    name = "" if findings.setup.host == endpoints.target else f" ({endpoints.target})"
    _say(console, f"{findings.setup.host}{name}  IPv{endpoints.version} from {first.interface}{via}", "bold")
    for title, line in _lines(findings):
        _say(console, f"  {title:9} {line}")
    _say(console, verdict.sentence, _STYLES[verdict.exit_code])
    for remedy in verdict.remedies:
        _say(console, f"  {typed_by(os.geteuid(), remedy.what)}")
        _say(console, f"      {remedy.why}", "dim")
    for note in verdict.notes:
        _say(console, f"  note: {note}", "dim")


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(styled(line, style), soft_wrap=True)


def _lines(found: Findings) -> Iterator[tuple[str, str]]:
    first = found.setup.first
    written = f", the route {first.route_mtu}" if first.route_mtu else ""
    cached = f", {first.cached_mtu} cached" if first.cached_mtu else ""
    yield "interface", f"{first.link_mtu} bytes{written}{cached}"
    yield "answers", ", ".join(_answers(found)) or "none"
    yield "path MTU", _size(found)
    hop = _hop(found)
    if hop:
        yield "hop", hop
    if found.clamp is not None:
        yield "clamp", _clamp(found.clamp)
    if found.body is not None and found.body.asked:
        yield "long body", f"{found.body.ending}: {found.body.acked} of {found.body.asked} bytes acknowledged"
    yield "spent", f"{counted(found.packets, 'packet')}, {found.elapsed / _SECOND:.1f} s"


def _answers(found: Findings) -> Iterator[str]:
    names = {"echo": "ping", "udp": "UDP", "tcp": f"TCP port {found.setup.endpoints.port}"}
    for method in found.methods:
        if method in found.rtts:
            state = f" {found.port}" if method == "tcp" else ""
            yield f"{names[method]}{state} {found.rtts[method] / _MS:.1f} ms"
    if found.mss is not None:
        yield f"MSS {found.mss}"


def _size(found: Findings) -> str:
    if not found.passes:
        return "unknown"
    if not found.is_exact:
        return f"at least {found.passes} bytes"
    return f"{found.passes} bytes" + ("" if found.ceiling is None else f"; {found.ceiling} do not pass")


def _hop(found: Findings) -> str:
    if found.signal is not None:
        return f'{describe_hop(found.where or Hop(None, found.signal.hop))} says "{expected_icmp(found)}"'
    if found.drop_point is None:
        return ""
    reached, beyond = found.drop_point.reached, found.drop_point.beyond
    last = "the host" if beyond.address is None else describe_hop(beyond)
    return f"{describe_hop(reached)} is the last that large packets reach; small ones reach {last} too"


def _clamp(clamp: Clamp) -> str:
    if clamp.after is None:
        return f"none up to {describe_hop(clamp.before)}, which our SYN's MSS reaches as it was sent"
    before = "" if clamp.before.index == 0 else f", and not yet at {describe_hop(clamp.before)}"
    return f"our SYN's MSS is {clamp.mss} at {describe_hop(clamp.after)}{before}"


def as_json(findings: Findings, verdict: Verdict) -> str:
    """The text of `--json`."""
    return ascii_json(json.dumps(document(findings, verdict), indent=1, allow_nan=False))


def document(found: Findings, verdict: Verdict) -> dict[str, Any]:
    """The object of `--json`."""
    endpoints, first, body = found.setup.endpoints, found.setup.first, found.body
    hop = found.where or (found.drop_point.reached if found.drop_point else None)
    beyond = found.drop_point.beyond if found.drop_point else None
    clamp = found.clamp
    fields = {
        "schema": SCHEMA,
        "host": found.setup.host,
        "address": endpoints.target,
        "ip": endpoints.version,
        "port": endpoints.port,
        "kind": verdict.kind,
        "verdict": verdict.sentence,
        "exit_code": verdict.exit_code,
        "mend": [{"what": typed_by(os.geteuid(), remedy.what), "why": remedy.why} for remedy in verdict.remedies],
        "notes": list(verdict.notes),
        "path_mtu": found.passes if found.is_exact else None,
        "passes": found.passes or None,
        "fails": found.ceiling,
        "signalled": found.signal is not None,
        "hop": _hop_object(hop),
        "beyond": _hop_object(beyond, "it is the host itself"),
        "interface": first.interface,
        "gateway": first.gateway,
        "interface_mtu": first.link_mtu,
        "route_mtu": first.route_mtu,
        "cached_mtu": first.cached_mtu,
        "rtt_ms": {method: round(rtt / _MS, 3) for method, rtt in found.rtts.items()},
        "tcp_port": found.port,
        "mss": found.mss,
        "clamp": None
        if clamp is None
        else explained(
            {"before": _hop_object(clamp.before), "after": _hop_object(clamp.after), "mss": clamp.mss},
            dict.fromkeys(("after", "mss"), "no hop showed another MSS than was sent"),
        ),
        "body": None if body is None else {"ending": body.ending, "asked": body.asked, "acked": body.acked},
        "privileged": found.is_privileged,
        "packets": found.packets,
        "seconds": round(found.elapsed / _SECOND, 3),
        "spent": found.exhausted or None,
    }
    return explained(fields, _WHY_NULL)


def _hop_object(hop: Hop | None, why_nameless: str = "this hop does not answer") -> dict[str, Any] | None:
    if hop is None:
        return None
    reasons = {"index": "nothing told how far away it is", "address": why_nameless}
    return explained({"index": hop.index, "address": hop.address}, reasons)
