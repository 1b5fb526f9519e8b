"""What is packed fits what it is packed for: the kernel's package this chaoskit, and every kernel its tag."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from chaoskit.substrate import kernel_cache, kernel_package

TOP = Path(__file__).parents[2]
GENERATIONS = {"357eeccc02cd": 1}
"""Each recipe that was ever released, and the one of this tree, with its number."""


def test_a_kernel_of_another_configuration_has_another_number() -> None:
    """A change of `uml.config` or `uml.patch` counts `GENERATION` up, so that pip brings the kernel that fits."""
    assert GENERATIONS.get(kernel_cache.recipe()) == kernel_cache.GENERATION
    assert len(set(GENERATIONS.values())) == len(GENERATIONS)


def test_the_extra_brings_the_kernel_that_fits() -> None:
    """`chaoskit[kernel]` asks for the package of this number, of any version of Linux, where it can run."""
    told = tomllib.loads((TOP / "pyproject.toml").read_text())
    (asked,) = map(Requirement, told["project"]["optional-dependencies"]["kernel"])
    number = kernel_cache.GENERATION

    assert asked.name == kernel_package.PACKAGE
    assert asked.specifier.contains(f"{number}.6.12.117.1")
    assert not asked.specifier.contains(f"{number + 1}.6.12.117.1")
    assert asked.marker is not None
    assert asked.marker.evaluate({"platform_machine": "x86_64", "sys_platform": "linux"})
    assert not asked.marker.evaluate({"platform_machine": "aarch64", "sys_platform": "linux"})
    assert not asked.marker.evaluate({"platform_machine": "x86_64", "sys_platform": "darwin"})
