"""Tags the wheel: any Python, and every x86-64 Linux with the GNU C library 2.34 or later."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Tag(BuildHookInterface):  # type: ignore[type-arg,misc]  # hatchling has no type for its configuration
    """Called by hatchling before it packs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Set the tag (packaging.python.org, "Platform compatibility tags")."""
        del version
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-manylinux_2_34_x86_64"
