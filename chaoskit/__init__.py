"""Transport chaos testing for token streams. The map of this package is README.md beside this file."""

from __future__ import annotations

__version__ = "0.1.0"


def discover(discover_system: bool = True) -> object:
    """What Chaos Toolkit's loader asks of an extension: see `chaoskit.chaostoolkit`."""
    from chaoskit import chaostoolkit

    return chaostoolkit.discover(discover_system)
