"""What a ring captures is what a link carried: every packet once, its headers, in both directions, with its time."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest
from lab import wait_for

from chaoskit.analysis.segments.capture_file import read_capture
from chaoskit.analysis.segments.captured_connections import Segments, load_capture
from chaoskit.clock import RealClock, now
from chaoskit.conduct.capture_process import CapturePoint, CaptureProcess
from chaoskit.evidence.packet_capture import CaptureFile
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.packet_ring import PacketRing, link_names
from chaoskit.records.pcapng import CAPTURE, capture_name

HERE, SERVED = "127.0.0.1", "127.0.0.2"
SECRET = b"sk-a-key-that-no-file-may-hold"
CHILD = """
import sys, time
from contextlib import nullcontext
from pathlib import Path
from chaoskit.clock import RealClock
from chaoskit.conduct.capture_process import CapturePoint, CaptureProcess
points = [CapturePoint([("127.0.0.2", int(sys.argv[2]))], nullcontext, name) for name in ("", "router")]
with CaptureProcess(Path(sys.argv[1]), points, RealClock()):
    print("ready", flush=True)
    time.sleep(60)
"""


def talk(port: int, tokens: int = 50, pause: float = 0.002, address: str = SERVED) -> int:
    """A connection on which a server sends some tokens, one by one. Returns the client's port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        socket.create_server((address, port), family=family) as listener,
        socket.create_connection((address, port)) as client,
    ):
        client.sendall(SECRET)
        served, _ = listener.accept()
        with served:
            served.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            served.recv(100)
            for _ in range(tokens):
                served.sendall(b"data: " + SECRET)
                client.recv(1000)
                time.sleep(pause)
        return int(client.getsockname()[1])


def captured(folder: Path, port: int, does: Callable[[], int], address: str = SERVED) -> Segments:
    """The connection that `does` makes and returns the port of, while it is captured."""
    with CaptureProcess(folder, [CapturePoint([(address, port)], nullcontext)], RealClock()) as capture:
        assert capture.missing == {}
        own = does()
        capture.check()
    found = load_capture(folder / CAPTURE, [own])
    assert found is not None
    assert (found.dropped, found.is_torn, found.left_out) == (0, False, 0)
    (connection,) = found.by_port[own]
    return connection


def test_each_packet_is_captured_once(tmp_path: Path) -> None:
    """On the loopback link too, which each packet passes twice; stamps are those of the moment."""
    begin = now()
    found = captured(tmp_path, 7001, lambda: talk(7001))

    assert found.delivered[-1] - found.seq[0] == 50 * (len(SECRET) + 6) + 1
    assert (found.down.length > 0).sum() == 50
    assert len(set(found.down.number.tolist())) == len(found.down.at)
    assert begin < found.begin < found.down.at[-1] < now()
    assert found.round_trip is not None
    assert (found.clock.doubt, found.ids.doubt) == ("", "")
    assert found.clock.tick == 1_000_000


def test_packets_of_ipv6_are_captured(tmp_path: Path) -> None:
    """The same, with a flow label and no identification."""
    found = captured(tmp_path, 7002, lambda: talk(7002, address="::1"), "::1")

    assert found.delivered[-1] - found.seq[0] == 50 * (len(SECRET) + 6) + 1
    assert "IPv6" in found.ids.doubt
    assert found.label_changes.tolist() == [0] * len(found.down.at)


def test_nothing_that_a_connection_carries_is_written(tmp_path: Path) -> None:
    """Neither of the target's connections, nor any packet of another one."""
    with CaptureProcess(tmp_path, [CapturePoint([(SERVED, 7003)], nullcontext)], RealClock()):
        talk(7003)
        other = talk(7004)
        elsewhere = talk(7003, address="127.0.0.3")

    raw = (tmp_path / CAPTURE).read_bytes()
    found = load_capture(tmp_path / CAPTURE, [other, elsewhere])
    assert SECRET[:6] not in raw
    assert found is not None
    assert (found.packets > 100, found.by_port) == (True, {})


def passed_on(ring: PacketRing, file: CaptureFile) -> bool:
    """Writes what the ring has; whether it had anything."""
    blocks = list(ring.read())
    for block in blocks:
        file.add(block)
    return bool(blocks)


def test_a_ring_that_is_not_emptied_counts_what_it_drops(tmp_path: Path) -> None:
    """Until somebody reads; what is dropped is in the file."""
    ring = PacketRing([(SERVED, 7005)], 1)
    try:
        for _ in range(12):
            talk(7005, 100, 0)
        file = CaptureFile(tmp_path / CAPTURE, RealClock(), link_names())
        wait_for(lambda: passed_on(ring, file))
        file.count(*ring.statistics(), is_last=True)
        file.close()
    finally:
        ring.close()

    found = read_capture(tmp_path / CAPTURE)
    assert found is not None
    assert found.dropped > 0
    assert found.received == len(found.at) + found.dropped


def test_a_full_file_counts_what_it_lacks(tmp_path: Path) -> None:
    """It ends with its statistics, and every packet in it is whole."""
    ring = PacketRing([(SERVED, 7006)], 4)
    file = CaptureFile(tmp_path / CAPTURE, RealClock(), link_names(), largest=3000)
    try:
        for _ in range(5):
            talk(7006, 20, 0.02)
            passed_on(ring, file)
        file.count(*ring.statistics(), is_last=True)
    finally:
        ring.close()
        file.close()

    found = read_capture(tmp_path / CAPTURE)
    assert found is not None
    assert (found.is_torn, found.dropped > 0) == (False, True)
    assert (tmp_path / CAPTURE).stat().st_size < 3200


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_conductor(tmp_path: Path, sign: signal.Signals) -> None:
    """And what it had written until then can be read."""
    words = (sys.executable, "-c", CHILD, str(tmp_path), "7007")
    child = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    own = talk(7007, 20)

    def deliveries() -> int:
        """Those in the file that has the fewest: each ring is emptied by itself."""
        files = [load_capture(tmp_path / capture_name(point), [own]) for point in ("", "router")]
        return min(len(each.by_port[own][0].deliveries) if each and own in each.by_port else 0 for each in files)

    wait_for(lambda: deliveries() >= 20)
    (worker,) = [pid for pid, (parent, _) in processes().items() if parent == child.pid]

    os.kill(child.pid, sign)
    child.wait(10)
    child.stdout.close()

    wait_for(lambda: processes().get(worker, (0, "Z"))[1] == "Z")
    assert deliveries() >= 20


def processes() -> dict[int, tuple[int, str]]:
    """The parent and the state of every process; others may end meanwhile."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, parent, *_ = (place / "stat").read_text().rpartition(")")[2].split()
            found[int(place.name)] = (int(parent), state)
    return found


def test_where_packets_cannot_be_captured_it_is_told(kernel: LinuxKernel, tmp_path: Path) -> None:
    """A reason, and no file; a run goes on without."""
    fork = os.fork()
    if fork == 0:
        import ctypes

        ctypes.CDLL(None).prctl(24, 13, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_NET_RAW
        words = (
            "import sys; from pathlib import Path; from contextlib import nullcontext; "
            "from chaoskit.clock import RealClock; from chaoskit.conduct.capture_process import *\n"
            "points = [CapturePoint([('127.0.0.2', 1)], nullcontext, name) for name in ('', 'router')]\n"
            f"with CaptureProcess(Path({str(tmp_path)!r}), points, RealClock()) as capture:\n"
            "  missing = [name for name, reason in capture.missing.items() if 'CAP_NET_RAW' in reason]\n"
            "  sys.exit(0 if missing == ['', 'router'] else 1)"
        )
        os.execv(sys.executable, (sys.executable, "-c", words))
    _, status = os.waitpid(fork, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert list(tmp_path.iterdir()) == []


def test_threads_of_other_namespaces_are_not_seen(kernel: LinuxKernel, tmp_path: Path) -> None:
    """The capture is the client's namespace's: another one's same addresses are no part of it."""
    ready = threading.Event()

    def elsewhere() -> None:
        with kernel.inside("there"):
            subprocess.run(("ip", "link", "set", "lo", "up"), check=False)
            talk(7008)
        ready.set()

    with CaptureProcess(tmp_path, [CapturePoint([(SERVED, 7008)], lambda: kernel.inside("here"))], RealClock()):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)

    found = read_capture(tmp_path / CAPTURE)
    assert found is not None
    assert len(found.at) == 0
