"""Lists what a machine can do, as found by trying; `untried` is the exception.

| feature        | needed by                                            |
|----------------|------------------------------------------------------|
| `namespaces`   | every lab                                            |
| `veth`         | every lab                                            |
| `netem`        | every netem fault                                    |
| `netem-seed`   | repeatable loss (kernel 6.6); without it: a warning  |
| `ifb`          | a fault on ingress, or on part of a link's traffic   |
| `clsact`       | the same: filters are attached to it                 |
| `matchall`     | a fault on all ingress traffic (with mirred)         |
| `flower`       | a fault on part of a link's traffic (with mirred)    |
| `u32`          | the same where flower is missing (with mirred)       |
| `drop`         | ICMP "too big" messages that are dropped (gact)      |
| `police`       | dropping packets above a size                        |
| `clamp`        | MSS clamping (nftables, inet)                        |
| `connections`  | cut and idle-timeout (nftables: sets, reject)        |
| `quota`        | cut after a size (nftables: quota)                   |
| `pids-cgroup`  | limiting the processes of a host (cgroup2)           |
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """`missing` has the kernel's error for each feature that it lacks.

    `untried` are features that could not be tried, because no namespace can be made for it: they are taken as there,
    and the kernel says at the first change what it lacks.
    """

    kernel: str = ""
    root: bool = False
    user_namespaces: bool = False
    features: frozenset[str] = field(default_factory=frozenset)
    missing: dict[str, str] = field(default_factory=dict)
    untried: frozenset[str] = frozenset()

    def lacks(self, needs: frozenset[str]) -> list[str]:
        """Which of `needs` this machine does not have, sorted."""
        return sorted(needs - self.features)


@dataclass(frozen=True)
class ClientLimits:
    """What a machine allows a client: open files, local ports, bytes of free memory.

    A port of a connection that the client closed is free again after `time_wait` seconds.
    """

    files: int
    ports: int
    memory: int
    time_wait: int
