"""The faults an author can write, each in a file of its own. A fault answers: which knobs is that?"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from chaoskit.faults.netem import NetemFault
from chaoskit.faults.sysctl import SysctlFault


def _sort(words: Any) -> str:
    """Told by the key that only this fault has; a netem when in doubt, for the sake of its error messages."""
    has_sysctl = "sysctl" in words if isinstance(words, dict) else isinstance(words, SysctlFault)
    return "a sysctl fault" if has_sysctl else "a netem fault"


Fault = Annotated[
    Annotated[NetemFault, Tag("a netem fault")] | Annotated[SysctlFault, Tag("a sysctl fault")], Discriminator(_sort)
]
