"""The probe's stamps under packet loss, where the kernel's stamps are earlier than the data is readable."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from statistics import median

from edge_lab import SERVER_V4, qdiscs

from chaoskit.clock import RealClock, now
from chaoskit.conduct.worker import Worker
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Netem, RandomLoss
from chaoskit.probe.drive import DriveOptions, Target, drive, warm_up
from chaoskit.records.jsonl import read
from chaoskit.records.model import Request, SocketRead, TcpInfo
from chaoskit.server.app import serve
from chaoskit.server.schedule import Script
from chaoskit.spec.workload import Workload
from chaoskit.units import Duration

MS = 1_000_000
ALL = 2**32 - 1
LOSS_RATE = ALL // 12  # 200 segments without a loss happen once in 30 million runs
TOKENS = 200


def test_no_token_is_stamped_before_it_could_be_read(edge: LinuxKernel, tmp_path: Path) -> None:
    """Tokens that waited in the out-of-order queue have the stamp of the time when they became readable.

    They are in one read, right after the retransmission; `read_at` is then later by at most the loop's lag. The
    kernel stamps such a read with the time of the newest segment that waited: up to one RTT too early.
    """
    (knob,) = qdiscs("client-router", "down")
    edge.write(knob, Netem(delay=40 * MS, loss=RandomLoss(LOSS_RATE), seed=11))
    with edge.inside("server"):
        listener = socket.create_server((SERVER_V4, 0))
    target = Target(f"http://{SERVER_V4}:{listener.getsockname()[1]}")
    interval = Duration.parse("20ms")
    script = Script(interval, interval, interval)

    async def ask(stop: asyncio.Event) -> None:
        await warm_up()
        work = Workload.model_validate({"max-concurrency": 1, "output-tokens": TOKENS})
        await drive(target, work, DriveOptions(1, now(), None, requests=2), tmp_path, stop)

    server = Worker("server", edge.inside("server"), lambda stop: serve(listener, script, stop))
    listener.close()
    try:
        probe = Worker("probe", edge.inside("client"), ask)
        deadline = now() + 60_000 * MS
        while probe.is_alive and now() < deadline:
            RealClock().sleep_until(now() + 20 * MS)
    finally:
        probe.stop(RealClock())
        server.stop(RealClock())
        edge.write(knob, None)

    assert [one.completion for one in read(tmp_path, Request)] == ["complete"] * 2
    assert all(one.fields["rcv_ooopack"] > 0 for one in read(tmp_path, TcpInfo) if one.when == "end")
    waited = [one for one in read(tmp_path, SocketRead) if sum(event.sent is not None for event in one.events) >= 3]
    assert waited
    late = [one.read_at - one.at for one in waited]
    assert median(late) < 15 * MS  # also on a busy machine; the kernel's stamps would be 20 ms off or more
    assert all(one.at > event.sent + 40 * MS for one in waited for event in one.events if event.sent)
