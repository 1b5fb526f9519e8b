"""Builds TCP_INFO samples by hand for sockets with path-MTU path MTU trouble, and returns the findings."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from made_runs import Made, ns

from chaoskit.analysis.findings import Direction, PathMtu
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.network.path_mtu import path_mtu
from chaoskit.analysis.streams.assemble import assemble_streams
from chaoskit.analysis.streams.columns import signs_of_life, token_columns
from chaoskit.analysis.streams.timeline import build_timeline
from chaoskit.planning.model import Plan
from chaoskit.records.model import (
    Completion,
    Keepalives,
    Phase,
    Request,
    ServedResponse,
    SocketRead,
    TcpInfo,
    UnackedSample,
)

Fields = dict[str, int]
FRESH = {"snd_mss": 1448, "advmss": 1448, "pmtu": 1500, "rcv_mss": 536, "bytes_acked": 1, "delivered": 1}
RTO = 200  # ms
AT = 11_000  # in the phase "narrow", which is from 10 to 20 s


def seen(**more: int) -> Fields:
    """TCP_INFO of a new connection, with these fields changed."""
    return {**FRESH, "total_retrans": 0, "unacked": 0, "bytes_received": 0, **more}


def stuck(again: int, **more: int) -> Fields:
    """TCP_INFO after this many retransmissions: five full segments are lost, a short one after them arrived."""
    outstanding = {"unacked": 6, "sacked": 1, "lost": 5, "retransmits": again, "rto": RTO * 1000 << again}
    sent = {"bytes_sent": 7800 + 1448 * again, "bytes_retrans": 1448 * again, "last_data_sent": 0}
    return seen(**{**outstanding, **sent, "total_retrans": again, "delivered": 3, **more})


def retransmission_at(again: int) -> int:
    """When this retransmission is sent, ms after the first transmission."""
    return RTO * ((1 << again) - 1)


@dataclass
class Run:
    """Builds records. Ten seconds each of baseline, narrow (with a fault) and recovery; then a drain."""

    requests: list[Request] = field(default_factory=list)
    infos: list[TcpInfo] = field(default_factory=list)
    served: list[ServedResponse] = field(default_factory=list)
    unacked: list[UnackedSample] = field(default_factory=list)
    reads: list[SocketRead] = field(default_factory=list)
    signs: list[Keepalives] = field(default_factory=list)
    plan: Plan | None = None
    names: tuple[str, ...] = ("baseline", "narrow", "recovery")
    settling: float = 0  # ms until a phase is ready

    def ask(
        self,
        at: float,
        *samples: tuple[float, Fields],
        completion: Completion = "complete",
        first: Fields | None = None,
    ) -> int:
        """Add a connection that begins at `at`, with samples of the client's socket after these times, the last at its
        end."""
        number = len(self.requests)
        end = at + (samples[-1][0] if samples else 100)
        made = Made()
        made.stream(at, [] if completion != "complete" else [end], completion, end, connection=number)
        (request,) = (one for one in made.records if isinstance(one, Request))
        self.requests.append(replace(request, stream=number))
        self.infos.append(TcpInfo(number, "connected", ns(at), first or seen()))
        self.infos += [TcpInfo(number, "stuck", ns(at + after), shown) for after, shown in samples]
        return number

    def serve(self, stream: int, at: float, *samples: tuple[float, Fields], first: Fields | None = None) -> None:
        """Add samples of the server's socket of this stream: when the request arrived, and after these times."""
        first = first or seen(bytes_acked=0)
        self.served.append(ServedResponse(stream, ns(at), ns(at), ns(at), 5, 5, 0, "sent", first, first))
        self.unacked += [UnackedSample(stream, ns(at + after), shown) for after, shown in samples]

    def found(self) -> dict[str, list[PathMtu]]:
        """The findings by phase, without phases that have none."""
        phases = [
            Phase(name, 0, ("narrow",) if name == "narrow" else (), ns(at), ns(at + self.settling), ns(at + 10_000))
            for name, at in zip(self.names, range(0, 30_000, 10_000), strict=False)
        ]
        end = 10_000 * len(self.names)
        phases.append(Phase("drain", 0, phases[-1].faults, ns(end), ns(end), ns(end + 60_000)))
        raw = RawRecords(
            plan=self.plan,
            probe=None,
            provenance=None,
            machine={},
            warnings=(),
            status="finished",
            detail="",
            phases=phases,
            requests=self.requests,
            has_requests_file=True,
            warmups=[],
            streams=assemble_streams(self.requests, token_columns(self.reads), signs_of_life(self.signs)),
            infos=self.infos,
            vitals=[],
            served=self.served,
            unacked=self.unacked,
            counters=[],
            hops=[],
            looks=[],
            connection_ends=[],
            host_sockets=[],
            host_states=[],
            spans=[],
            exports=[],
            model_states=[],
            numbering={},
            capture=None,
        )
        found = path_mtu(raw, build_timeline(phases, ns(end + 60_000)))
        return {name: list(those) for name, those in found.items() if those}


def hold(run: Run, direction: Direction, at: float, *agains: int, **more: int) -> int:
    """Add a stream that is stuck upstream this downstream, sampled at these retransmissions."""
    samples = [(retransmission_at(again), stuck(again, **more)) for again in agains]
    if direction == "up":
        return run.ask(at, *samples, completion="first_token_timeout")
    number = run.ask(at, (9000, seen()), completion="idle_timeout")
    run.serve(number, at, *samples)
    return number
