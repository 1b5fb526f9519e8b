"""Stops a drive whose first requests all fail alike, because of a wrong key, path or address.

Rules: requests count in the order of their start, so that slow ones are awaited; one that received a token, or was
complete, ends the watch; so does the first fault, because what a fault does to every request is a measurement.
A response that is too slow is a measurement, too.
"""

from __future__ import annotations

from chaoskit.probe.failure_advice import Circumstances, advice
from chaoskit.records.model import Request
from chaoskit.units import counted

IN_A_ROW = 5
"""Failures that stop a drive. Where every second request fails by chance, one drive in 32 begins with so many."""


class FailFast:
    """Told of every request that ends; `sentence` says why to stop, and is empty until then.

    `until` is the monotonic stamp of the first fault; None: there is none.
    """

    def __init__(self, asked: Circumstances, until: int | None) -> None:
        self.sentence = ""
        self._asked = asked
        self._until = until
        self._is_watching = True
        self._waiting: dict[int, Request | None] = {}  # None: asked again
        self._asked_again = 0
        self._next = 0
        self._latest: Request | None = None  # of those whose predecessors have all ended
        self._kind = ""  # of the latest
        self._count = 0  # how many of that kind in a row

    def ended(self, request: Request, any_token: bool, is_asked_again: bool = False) -> None:
        """A request has ended; `any_token`: some stream has received a token, perhaps one that is still open.

        One that `is_asked_again` in other words says nothing yet.
        """
        is_too_late = self._until is not None and request.ended >= self._until
        if any_token or request.completion == "complete" or is_too_late:
            self._is_watching = False
            self._waiting.clear()
        if not self._is_watching:
            return
        self._waiting[request.stream] = None if is_asked_again else request
        while self._next in self._waiting:
            following = self._waiting.pop(self._next)
            self._next += 1
            if following is None:
                self._asked_again += 1
                continue
            kind = _kind(following)
            self._count = self._count + 1 if kind == self._kind else 1
            self._kind, self._latest = kind, following
            if kind and self._count == IN_A_ROW:
                self._stop(f"the first {counted(self._all, 'request')} to {self._asked.url} all failed", following)
                return

    def drive_ended(self) -> None:
        """All requests have ended: fewer than `IN_A_ROW` may be all that were asked for."""
        is_all = self._is_watching and self._kind and not self._waiting and self._count == self._all
        if is_all and self._latest is not None:
            count = {1: "the only request", 2: "both requests"}.get(self._all, f"all {counted(self._all, 'request')}")
            self._stop(f"{count} to {self._asked.url} failed", self._latest)

    @property
    def _all(self) -> int:
        return self._next - self._asked_again

    def _stop(self, what: str, request: Request) -> None:
        self._is_watching = False
        detail = request.detail or request.completion
        parts = (detail if detail.endswith("...") else detail.rstrip("."), advice(self._asked, request))
        self.sentence = f"{what}: {'; '.join(filter(None, parts))}"


def _kind(request: Request) -> str:
    """Requests of the same kind fail for the same reason; "" for what says nothing about the next request."""
    if request.tokens:
        return ""
    match request.completion:
        case "http_error":
            status = request.status or 0
            return f"{status // 100}xx" if status // 100 in (3, 5) else str(status)
        case "connect_failed" | "client_error":
            return request.detail
        case "protocol_error":
            return request.detail.partition(":")[0]  # the rest quotes the server
        case "truncated" | "reset" | "error_event":
            return request.completion
        case _:
            return ""
