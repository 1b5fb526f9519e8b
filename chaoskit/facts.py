"""What a machine can do, found out by trying and never by guessing from a version.

| feature        | what needs it                                        |
|----------------|------------------------------------------------------|
| `namespaces`   | every lab                                            |
| `veth`         | every lab                                            |
| `netem`        | every netem fault                                    |
| `netem-seed`   | repeatable loss (kernel 6.6); without it: a warning  |
| `ifb`          | a fault on what a link receives, or on some of it    |
| `clsact`       | the same: where filters hang                         |
| `matchall`     | a fault on all that a link receives (with mirred)    |
| `flower`       | a fault on some traffic of a link (with mirred)      |
| `u32`          | the same where there is no flower (with mirred)      |
| `drop`         | a signal of a path's MTU that is lost (gact)         |
| `police`       | the loss of packets above a size                     |
| `clamp`        | handshakes made to ask for less (nftables, inet)     |
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """`missing` says for each absent feature what the kernel answered."""

    kernel: str = ""
    root: bool = False
    user_namespaces: bool = False
    features: frozenset[str] = field(default_factory=frozenset)
    missing: dict[str, str] = field(default_factory=dict)

    def lacks(self, needs: frozenset[str]) -> list[str]:
        """Which of `needs` this machine does not have, sorted."""
        return sorted(needs - self.features)
