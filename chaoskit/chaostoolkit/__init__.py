"""The extension of Chaos Toolkit: actions, probes, tolerances and a control.

Rules: every activity is a command of chaoskit in a process of its own, so that a namespace that it enters is not Chaos
Toolkit's; what fails is an ActivityFailed with one sentence; what activities return is JSON, for the journal.
"""

from __future__ import annotations

from chaoslib.discovery.discover import discover_actions, discover_probes, initialize_discovery_result
from chaoslib.types import Discovery

from chaoskit import __version__


def discover(discover_system: bool = True) -> Discovery:
    """What `chaos discover chaoskit` shows. Nothing of this machine is looked at."""
    del discover_system
    found = initialize_discovery_result("chaoskit", __version__, "network")
    found["activities"] += discover_actions("chaoskit.chaostoolkit.actions")
    found["activities"] += discover_probes("chaoskit.chaostoolkit.probes")
    return found
