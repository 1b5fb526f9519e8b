"""Tests the translation of kernel errors, and the fake kernel, without a real one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import links, sysctls
from chaoskit.kernel.errors import translate_errors
from chaoskit.kernel.fake import FakeKernel, PowerCut
from chaoskit.kernel.features import FEATURES, detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Ifb, Knob, Netem, Sysctl

SHAPED = Knob("qdisc", "router", "to-client")


def said(error: Exception, knob: Knob) -> str:
    with pytest.raises(RefusedError) as caught, translate_errors(knob, "set"):
        raise error
    assert caught.value.__cause__ is error
    return str(caught.value)


def test_a_missing_feature_is_recognised_by_errno() -> None:
    """ENOENT or EOPNOTSUPP name the missing module, with the kernel's message and what to type."""
    unknown = NetlinkError(errno.ENOENT, "Specified qdisc kind is unknown")

    assert said(unknown, SHAPED) == (
        "netem is not in this kernel (Specified qdisc kind is unknown): sudo modprobe -a sch_netem, or --substrate uml"
    )
    for kind in ("veth", "ifb", "clsact", "filter", "qdisc"):
        for code in (errno.ENOENT, errno.EOPNOTSUPP):
            assert "modprobe" in said(NetlinkError(code), Knob(kind, "", "eth0"))


def test_missing_privileges_are_recognised_by_errno() -> None:
    """EPERM and EACCES say how to get the privilege, from netlink and from /proc alike."""
    for error in (NetlinkError(errno.EPERM), PermissionError(errno.EACCES, "Permission denied")):
        words = said(error, Knob("sysctl", "", "net.core.rmem_max"))

        assert words.startswith("sysctl net.core.rmem_max cannot be set")
        assert words.endswith("run as root, or --substrate uml")


def test_other_errors_keep_the_kernels_message() -> None:
    """Every other error names the knob, the kernel's message, and the command that shows the state."""
    words = said(NetlinkError(errno.EINVAL, "mtu less than device minimum"), Knob("link", "router", "eth0"))

    assert words == (
        "link eth0 in router cannot be set: the kernel says 'mtu less than device minimum'; "
        "to see what is there: ip -d link"
    )


def test_sysctls_stay_within_a_network_namespace() -> None:
    """Global parameters, and paths outside /proc/sys/net, are refused."""
    for name in ("kernel.panic", "vm.swappiness", "net.//.//.//.etc/passwd", "net.//.kernel.panic"):
        with pytest.raises(RefusedError, match="network namespace"):
            sysctls.read(-1, name)
        with pytest.raises(RefusedError, match="network namespace"):
            sysctls.write(-1, name, Sysctl("1"))


def test_normalized_settings_are_what_reads_back() -> None:
    """Fields of a sysctl are separated by one space; a seed is kept only by kernels that support it."""
    old, new = LinuxKernel(Facts()), LinuxKernel(Facts(features=frozenset({"netem-seed"})))

    assert old.holds(Sysctl("4096\t131072  6291456\n")) == Sysctl("4096 131072 6291456")
    assert old.holds(Netem(seed=3)) == Netem()
    assert new.holds(Netem(seed=3)) == Netem(seed=3)
    assert old.holds(Ifb()) == Ifb()
    assert old.holds(None) is None


def test_feature_detection_covers_every_feature() -> None:
    """With any privileges and kernel, each feature is available or has a reason why not."""
    here = Path("/proc/self/ns/net").readlink()

    facts = detect_features()

    assert facts.kernel == os.uname().release
    assert facts.features | facts.missing.keys() == set(FEATURES)
    assert not facts.features & facts.missing.keys()
    assert all(facts.missing.values())
    assert Path("/proc/self/ns/net").readlink() == here


def test_feature_detection_does_not_import_pyroute2() -> None:
    """The caller does not pay for the import."""
    program = (
        "import sys; from chaoskit.kernel.features import detect_features; "
        "detect_features(); print('pyroute2' in sys.modules)"
    )

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert printed.stdout == "False\n"


def test_a_kernel_without_power_stays_off() -> None:
    """After a power cut every call of the fake raises, and earlier writes are kept."""
    for when, left in (("lose_power_before", {}), ("lose_power_after", {SHAPED: Netem()})):
        kernel = FakeKernel(**{when: 1})  # type: ignore[arg-type]
        with pytest.raises(PowerCut):
            kernel.write(SHAPED, Netem())

        assert kernel.settings == left
        for call in (kernel.read, kernel.counters):
            with pytest.raises(PowerCut):
                call(SHAPED)


class VanishingLink:
    """A netlink socket of a namespace whose only link disappears between two requests."""

    def link(self, verb: str, **words: object) -> list[dict[str, int]]:
        """It is still there when asked for, and gone when it is to be deleted."""
        if verb == "get":
            return [{"index": 7}]
        raise NetlinkError(errno.ENODEV, "No such device")


def test_a_link_that_disappears_meanwhile_counts_as_removed() -> None:
    """Removing a veth pair that disappears with its namespace meanwhile is no error."""
    links.remove(VanishingLink(), "chaos-out")
