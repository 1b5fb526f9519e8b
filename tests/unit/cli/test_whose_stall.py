"""Whose a stall is, on real sockets: a client that stands still, a server that does, and something that holds back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import StallAttribution
from chaoskit.clock import now
from chaoskit.probe.drive import DriveOptions, Target, drive, warm_up
from chaoskit.probe.transport import event_loop
from chaoskit.records.jsonl import FILES
from chaoskit.records.model import SocketRead
from chaoskit.spec.workload import Workload

pytestmark = pytest.mark.flaky(reruns=4)  # real time, on a machine that others use

WORDS = (sys.executable, "-m", "chaoskit")
HELD = 0.6  # s
WITHIN = 20  # s


@contextlib.contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The reference server in a process of its own, and its URL."""
    words = (*WORDS, "serve", "--port", "0", "--first-token", "50ms", "--first-token-p99", "50ms")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        (url,) = re.findall(r"(http://127.0.0.1:\d+) ", process.stdout.readline())
        yield process, url
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()


@contextlib.contextmanager
def relayed(url: str, hold: Callable[[int], bool]) -> Iterator[str]:
    """Something in between: after as many bytes of a response as `hold` says, it keeps what comes for a while."""
    port = int(url.rpartition(":")[2])

    def pump(source: socket.socket, sink: socket.socket, is_response: bool) -> None:
        total, held = 0, False
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                total += len(data)
                if is_response and not held and hold(total):
                    held = True
                    time.sleep(HELD)
                    data += source.recv(65536)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def pass_on(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            asking = threading.Thread(target=pump, args=(near, far, False))
            asking.start()
            pump(far, near, True)
            asking.join()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                workers.append(threading.Thread(target=pass_on, args=(listener.accept()[0],)))
                workers[-1].start()

    workers: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for each in (accepting, *workers):
            each.join(WITHIN)


def probe(url: str, run: Path) -> subprocess.Popen[str]:
    """A probe of four streams of two seconds, when their tokens come."""
    options = ("--requests", "4", "--max-concurrency", "4", "--output-tokens", "100", "--out", str(run))
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    words = (*WORDS, "probe", f"{url}/v1", *options)
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | proxies
    )
    deadline = time.monotonic() + WITHIN
    while not (run / FILES[SocketRead]).exists() or not (run / FILES[SocketRead]).stat().st_size:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def finish(process: subprocess.Popen[str], run: Path) -> StallAttribution:
    """Whose its stalls were."""
    _, said = process.communicate(timeout=WITHIN)
    assert process.returncode in (0, 5), said
    (phase,) = analyse(run).phases
    return phase.stall_attribution


def share(found: StallAttribution, cause: str) -> float:
    """The share of the stall time that has this cause."""
    causes = ("server", "between", "network", "client", "unknown")
    times = {each: getattr(found, f"{each}_ms") for each in causes}
    return float(times[cause] / sum(times.values()))


@pytest.mark.parametrize("whose", ["client", "server"])
def test_who_is_stopped_has_the_stalls(whose: str, tmp_path: Path) -> None:
    """SIGSTOP for 600 ms: its tokens come all at once afterwards, in both cases."""
    with served() as (server, url):
        client = probe(url, tmp_path / "run")
        stopped = {"client": client, "server": server}[whose]
        stopped.send_signal(signal.SIGSTOP)
        time.sleep(HELD)
        stopped.send_signal(signal.SIGCONT)
        found = finish(client, tmp_path / "run")

    assert found.stalls == 4
    assert share(found, whose) > 0.9, found


def test_a_busy_client_has_its_own_stalls(tmp_path: Path) -> None:
    """A loop that computes for 600 ms between two looks at its sockets blames nobody else."""
    workload = Workload.model_validate({"max-concurrency": 4, "output-tokens": 100, "prompt-size": "50B"})

    async def main(url: str) -> None:
        async def compute() -> None:
            await asyncio.sleep(1)
            time.sleep(HELD)

        await warm_up()
        busy = asyncio.create_task(compute())
        options = DriveOptions(seed=1, start=now() + 20_000_000, length=None, requests=4, fault_free=0)
        await drive(Target(f"{url}/v1/chat/completions"), workload, options, tmp_path, asyncio.Event())
        await busy

    with served() as (_, url):
        event_loop.run(main(url))
    (phase,) = analyse(tmp_path).phases
    found = phase.stall_attribution

    assert found.stalls == 4
    assert share(found, "client") > 0.9, found
    assert found.confidence == "likely"
    assert found.reason.startswith("the client itself did not look at its sockets for up to 6")


def test_a_burst_on_a_clean_connection_was_held_back(tmp_path: Path) -> None:
    """Something in between keeps the text of each stream once for 600 ms; no packet was lost or out of order."""
    with served() as (_, url), relayed(url, lambda size: size > 9000) as between:
        found = finish(probe(between, tmp_path / "run"), tmp_path / "run")

    assert found.stalls == 4
    assert share(found, "between") > 0.9, found
