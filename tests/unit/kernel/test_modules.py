"""Tests which module files are loaded, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import RefusedError
from chaoskit.kernel.modules import load, load_order

DEPENDENCIES = """\
kernel/net/sched/sch_netem.ko:
kernel/net/ipv6/ipv6.ko.xz: kernel/lib/crc-ccitt.ko
kernel/net/tunnel-six.ko: kernel/net/ipv6/ipv6.ko.xz kernel/lib/crc-ccitt.ko
kernel/lib/crc-ccitt.ko:
"""


def test_dependencies_come_first_and_once() -> None:
    """modules.dep lists the nearest dependency first, so it is followed from the end."""
    order = load_order(["tunnel_six", "ipv6", "sch_netem"], DEPENDENCIES, frozenset())

    assert order == [
        "kernel/lib/crc-ccitt.ko",
        "kernel/net/ipv6/ipv6.ko.xz",
        "kernel/net/tunnel-six.ko",
        "kernel/net/sched/sch_netem.ko",
    ]


def test_built_in_modules_are_not_loaded() -> None:
    """A name in modules.builtin needs no file."""
    assert load_order(["veth", "sch_netem"], DEPENDENCIES, frozenset({"veth"})) == ["kernel/net/sched/sch_netem.ko"]


def test_an_unknown_module_is_refused() -> None:
    """A name that the tree does not have is refused by name."""
    with pytest.raises(RefusedError, match="veth"):
        load_order(["veth"], DEPENDENCIES, frozenset())


def test_a_directory_without_modules_dep_is_refused(tmp_path: Path) -> None:
    """Without modules.dep the message names the file."""
    with pytest.raises(RefusedError, match=r"modules\.dep"):
        load(["veth"], tmp_path)


def test_a_file_that_the_kernel_refuses_is_named(tmp_path: Path) -> None:
    """For any error of the kernel, the message names the file."""
    (tmp_path / "modules.dep").write_text("hello.ko:\n")
    (tmp_path / "modules.builtin").write_text("")
    (tmp_path / "hello.ko").write_bytes(b"no module at all")

    with pytest.raises(RefusedError, match=r"does not load .*hello\.ko"):
        load(["hello"], tmp_path)
