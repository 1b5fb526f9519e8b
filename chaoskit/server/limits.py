"""How much one client, and all of them together, may take of this process.

Rules: every wait of `PUBLIC` ends and every size of it is bounded, for anybody may connect to a server that listens
on more than loopback. `LAB` has the same bounds on sizes where they harm no experiment, and no waits: there the
client is the probe, a fault may hold a connection up for as long as the experiment says, and the whole server ends
with the run.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

from chaoskit.errors import RefusedError

SECOND = 10**9  # ns
NEVER = 2**62  # ns; 146 years

_SPARE = 32  # descriptors that are not connections: the loop's, the listener, the timer, logs, what Python opens
_REFILL = 30 * SECOND  # ns in which an empty allowance is full again; nghttp2 has a burst of 1000 and 33/s for resets


@dataclass(frozen=True)
class Limits:
    """The bounds of one server. Times in ns, sizes in bytes; each default has its reason beside it."""

    handshake: int = 10 * SECOND
    """For TLS: some round trips, and a slow client's arithmetic."""
    head: int = 20 * SECOND
    """From a request's first byte to the end of its head; Apache's mod_reqtimeout has 20 s."""
    body: int = 20 * SECOND
    """For a body, and a second more for each `body_rate` bytes that came, as mod_reqtimeout has it."""
    body_rate: int = 4 * 2**10
    idle: int = 75 * SECOND
    """Without a request on a connection that is kept alive; nginx's keepalive_timeout."""
    write: int = 60 * SECOND
    """Without room for what waits to be sent: the client has stopped reading; nginx's send_timeout."""
    arrears: int = 3600 * SECOND
    """That an answer may be behind its own schedule, for a client that reads a little now and then."""
    linger: int = 5 * SECOND
    """Reading and dropping what still comes, so that the last answer is not lost to a reset; nginx's lingering."""
    connections: int = 4096
    """In all; each may hold some 100 kB. Further ones wait in the kernel's queue."""
    requests: int = 8192
    """In all, from the head to the end of the answer; each holds some kB."""
    streams: int = 1000
    """Of HTTP/2, on one connection."""
    head_size: int = 16 * 2**10
    """Of a request's line and header fields; h11's own bound, and twice what nginx takes by default."""
    body_size: int = 16 * 2**20
    """Of one body: a long conversation with an image or two."""
    memory: int = 256 * 2**20
    """Of all bodies together: those that have come and those that wait to be sent."""
    unsent: int = 1 * 2**20
    """Of what waits for one client that goes on asking without reading."""
    resets: int = 1000
    """Of HTTP/2 streams at once on one connection (CVE-2023-44487), and a thirtieth more each second, as nghttp2."""
    frames: int = 1000
    """Of HTTP/2 at once that carry nothing: PING, PRIORITY, empty DATA; SETTINGS count ten; refilled likewise."""


PUBLIC = Limits()
LAB = Limits(
    head=NEVER,
    body=NEVER,
    idle=NEVER,
    write=NEVER,
    arrears=NEVER,
    linger=30 * SECOND,
    connections=2**30,
    requests=2**30,
    memory=2**40,
    unsent=2**40,
    resets=2**30,
    frames=2**30,
)


class Budget:
    """An amount that all share: `take` what is left of it, `give` it back."""

    def __init__(self, amount: int) -> None:
        self.left = amount

    def take(self, amount: int = 1) -> bool:
        """Whether there is so much; then it is taken."""
        if amount > self.left:
            return False
        self.left -= amount
        return True

    def owe(self, amount: int = 1) -> None:
        """Take it although it may not be there; nobody else gets any until it has been given back."""
        self.left -= amount

    def give(self, amount: int = 1) -> None:
        """Give back what was taken."""
        self.left += amount


class Allowance:
    """A token bucket: `burst` at once, refilled within `_REFILL` ns."""

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._left = float(burst)
        self._at = 0

    def take(self, amount: int, now: int) -> bool:
        """Whether `amount` is still allowed at `now` (monotonic ns)."""
        if amount:
            self._left = min(self._burst, self._left + self._burst * (now - self._at) / _REFILL)
            self._at = now
            self._left -= amount
        return self._left >= 0


def raise_file_limit() -> None:
    """Allow this process as many open files as it may allow itself: a connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def connections(limits: Limits) -> int:
    """How many connections there may be: `limits.connections`, or fewer where the open-file limit is lower.

    Raises RefusedError when that leaves none.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits.connections
    if files <= _SPARE:
        raise RefusedError(f"the open-file limit is {files}, and the server needs more than {_SPARE}: ulimit -n 1024")
    return min(limits.connections, files - _SPARE)
