"""Defines the time and size limits of the server, for one client and for all together.

Rules: `PUBLIC` bounds every wait and every size, because anybody may connect to a server that listens on more than
loopback. `LAB` has the same sizes where they do not affect experiments, and no timeouts: there the client is the probe,
a fault may delay a connection for as long as the experiment says, and the server ends with the run.
"""

from __future__ import annotations

import resource
from dataclasses import dataclass

from chaoskit.errors import RefusedError

SECOND = 10**9  # ns
NEVER = 2**62  # ns; 146 years

_RESERVED = 32  # descriptors for other purposes: loop, listener, timer, logs, Python
_REFILL_TIME = 30 * SECOND  # ns in which an empty bucket is full again; nghttp2 has a burst of 1000 and 33/s for resets


@dataclass(frozen=True)
class Limits:
    """The bounds of one server. Times in ns, sizes in bytes; each default has its reason beside it."""

    handshake: int = 10 * SECOND
    """For TLS: some round trips, and the computation of a slow client."""
    head: int = 20 * SECOND
    """From a request's first byte to the end of its head; Apache's mod_reqtimeout has 20 s."""
    body: int = 20 * SECOND
    """For a body, plus one second for each `body_rate` bytes received, as in mod_reqtimeout."""
    body_rate: int = 4 * 2**10
    idle: int = 75 * SECOND
    """Without a request on a persistent connection; nginx's keepalive_timeout."""
    write: int = 60 * SECOND
    """With a full send buffer: the client has stopped reading; nginx's send_timeout."""
    lag: int = 3600 * SECOND
    """That a response may be behind its schedule, for a client that reads very slowly."""
    linger: int = 5 * SECOND
    """For discarding input, so that the last response is not lost to RST; nginx's lingering_timeout."""
    connections: int = 4096
    """In total; each may use some 100 kB. Further ones wait in the accept queue."""
    requests: int = 8192
    """In total, from the head to the end of the response; each uses some kB."""
    streams: int = 1000
    """HTTP/2 streams on one connection."""
    head_size: int = 16 * 2**10
    """Of a request line and header fields; h11's default, and twice the default of nginx."""
    body_size: int = 16 * 2**20
    """Of one body: a long conversation with an image or two."""
    memory: int = 256 * 2**20
    """Of all bodies together: those received and those that wait to be sent."""
    unsent: int = 1 * 2**20
    """Of data pending for one client that sends requests without reading responses."""
    resets: int = 1000
    """RST_STREAM in a burst on one connection (CVE-2023-44487), refilled by 1/30 each second, as in nghttp2."""
    frames: int = 1000
    """HTTP/2 frames without data in a burst: PING, PRIORITY, empty DATA; SETTINGS count as ten; refilled likewise."""


PUBLIC = Limits()
LAB = Limits(
    head=NEVER,
    body=NEVER,
    idle=NEVER,
    write=NEVER,
    lag=NEVER,
    linger=30 * SECOND,
    connections=2**30,
    requests=2**30,
    memory=2**40,
    unsent=2**40,
    resets=2**30,
    frames=2**30,
)


class Budget:
    """A shared amount, of which users `acquire` and `release` parts."""

    def __init__(self, amount: int) -> None:
        self.left = amount

    def acquire(self, amount: int = 1) -> bool:
        """Take `amount`; False, and nothing taken, if there is less."""
        if amount > self.left:
            return False
        self.left -= amount
        return True

    def overdraw(self, amount: int = 1) -> None:
        """Take it even if there is less; until it is released, nobody else gets any."""
        self.left -= amount

    def release(self, amount: int = 1) -> None:
        """Return what was taken."""
        self.left += amount


class TokenBucket:
    """A token bucket: `burst` at once, refilled within `_REFILL_TIME` ns."""

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._left = float(burst)
        self._at = 0

    def take(self, amount: int, now: int) -> bool:
        """Take `amount` tokens at `now` (monotonic ns); False when the bucket is overdrawn."""
        if amount:
            self._left = min(self._burst, self._left + self._burst * (now - self._at) / _REFILL_TIME)
            self._at = now
            self._left -= amount
        return self._left >= 0


def raise_file_limit() -> None:
    """Raise the open-file limit of this process to its hard limit: each connection needs a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def max_connections(limits: Limits) -> int:
    """The maximum number of connections: `limits.connections`, or fewer if the open-file limit is lower.

    Raises RefusedError when that leaves none.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits.connections
    if files <= _RESERVED:
        raise RefusedError(
            f"the open-file limit is {files}, and the server needs more than {_RESERVED}: ulimit -n 1024"
        )
    return min(limits.connections, files - _RESERVED)
