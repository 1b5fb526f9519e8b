"""The faults an author can write, each in a file of its own. A fault answers: which knobs is that?"""

from __future__ import annotations

from chaoskit.faults.netem import NetemFault
from chaoskit.faults.sysctl import SysctlFault

Fault = NetemFault | SysctlFault
