"""Shared helpers of the kernel tier."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from edge_lab import qdiscs
from soak.state import several, sysctls

import chaoskit.kernel.feature_tests  # noqa: F401  nobody may not be able to read it later
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Address, Knob, Link, Neighbour, Sysctl

SHAPED = frozenset(qdiscs("client-router", "both") + qdiscs("router-server", "both"))
CABLE = Knob("qdisc", "here", "cable")
_IP = ("address", "route show table all", "-6 route show table all", "neighbour")
_HAS_STATE = re.compile(r"state UP|(lo|chaos-\S+|\S*ifb\S*):.* state UNKNOWN")  # some have none to be in
_LOCAL = 0x80000000  # RTF_LOCAL, linux/ipv6_route.h
_TENTATIVE = 0x40  # IFA_F_TENTATIVE, linux/if_addr.h
_AGE = re.compile(r"\b(REACHABLE|STALE|DELAY|PROBE)\b")  # what the kernel thinks of a neighbour changes by itself


def run(*argv: str) -> str:
    """The output of a command; it must succeed."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def wait_for(condition: Callable[[], bool]) -> None:
    """Polls until the condition holds; at most half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.02)


def links() -> str:
    """What ip tells of this namespace's links, when the kernel has caught up: a link with a carrier that came or went a
    moment ago it calls up or down only when it finds time to look, up to a second later; so it is with the route of an
    address."""
    wait_for(_is_settled)
    return run("ip", "-d", "link")


def _is_settled() -> bool:
    has_carrier, addresses = False, 0
    for line in run("ip", "address").splitlines():
        if line[0] != " ":
            has_carrier = "LOWER_UP" in line
            if has_carrier and not _HAS_STATE.search(line):
                return False
        addresses += has_carrier and "inet6" in line
    return addresses == sum(bool(int(line.split()[8], 16) & _LOCAL) for line in _net("ipv6_route"))


def _net(name: str) -> list[str]:
    return Path("/proc/thread-self/net", name).read_text().splitlines()


def quickest(measure: Callable[[], int], below: int, tries: int = 100) -> int:
    """The shortest of some measurements in ns, the last of which is the first `below`: one that was held up by a busy
    machine is made again."""
    taken: list[int] = []
    while len(taken) < tries and (not taken or taken[-1] >= below):
        taken.append(measure())
    return min(taken)


def give_addresses(kernel: LinuxKernel) -> None:
    """Both ends of the cable: 10.0.0.1 and fd00::1 `here`, 10.0.0.2 and fd00::2 `there`, and their loopbacks up."""
    for place, number in (("here", 1), ("there", 2)):
        kernel.write(Knob("link", place, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
        kernel.write(Knob("sysctl", place, "net.ipv6.conf.cable.accept_dad"), Sysctl("0"))
        for address in (f"10.0.0.{number}/24", f"fd00::{number}/64"):
            kernel.write(Knob("address", place, f"cable {address}"), Address())
        for other in (f"10.0.0.{3 - number}", f"fd00::{3 - number}"):
            kernel.write(Knob("neighbour", place, f"cable {other}"), Neighbour(f"02:00:00:00:00:0{3 - number}"))
    are_usable(kernel, "here", "there")


def are_usable(kernel: LinuxKernel, *places: str) -> None:
    """Wait until programs can use the IPv6 addresses there, which the kernel decides a moment after they came."""
    for place in places:
        with kernel.inside(place):
            wait_for(lambda: not any(map(_is_tentative, _net("if_inet6"))))


def _is_tentative(line: str) -> bool:
    return bool(int(line.split()[4], 16) & _TENTATIVE)


def state(kernel: LinuxKernel, place: str) -> str:
    """All that iproute2 and /proc tell about a namespace."""
    with kernel.inside(place):
        told = [links(), *several("ip", _IP), run("tc", "-d", "qdisc"), *sysctls()]
    return _AGE.sub("LEARNED", "\n".join(told))


def as_nobody(work: Callable[[], None]) -> int:
    """The exit code of a forked child without rights: 0 when `work` did not raise."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: else /proc/self stays root's
            work()
            code = 0
        except BaseException:  # noqa: BLE001  the child must not go on as a second test run
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
