"""Shared fixtures of the kernel tier, which needs a kernel with every feature: run it with make test-kernel."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from edge_lab import build
from lab import SHAPED, are_usable

from chaoskit.engine.apply_restore import apply, restore
from chaoskit.engine.journal import Journal
from chaoskit.facts import Facts
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Link, Namespace, Sysctl, Veth


@pytest.fixture(scope="session")
def facts() -> Facts:
    """The features of this kernel."""
    return detect_features()


@pytest.fixture(scope="session", autouse=True)
def _loopback(facts: Facts) -> None:
    """Sets the loopback up, which is down after boot."""
    with LinuxKernel(facts) as door:
        door.write(Knob("link", "", "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))


@pytest.fixture
def kernel(facts: Facts) -> Iterator[LinuxKernel]:
    """A kernel with two namespaces, `here` and `there`, and a link `cable` between them that is up and carries no
    traffic of its own."""
    with LinuxKernel(facts) as door:
        for place in ("here", "there"):
            door.write(Knob("namespace", "", place), Namespace())
            door.write(Knob("sysctl", place, "net.ipv6.conf.default.addr_gen_mode"), Sysctl("1"))
        door.write(Knob("veth", "here", "cable"), Veth("there", "cable", "02:00:00:00:00:01", "02:00:00:00:00:02"))
        for place in ("here", "there"):
            door.write(Knob("link", place, "cable"), Link(up=True, mtu=1500, gso_max_segs=1))
        yield door


@pytest.fixture(scope="module")
def edge(facts: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LinuxKernel]:
    """The edge lab with every qdisc that a fault can use, built and removed by the engine."""
    with LinuxKernel(facts) as door, Journal.at(tmp_path_factory.mktemp("run")) as journal:
        for change in build(SHAPED):
            apply(door, journal, change)
        are_usable(door, "client", "server")
        yield door
        assert restore(door, journal) == []
