"""Defines why a call of another host, or a request, failed."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "connect", "timeout", "reset", "closed", "truncated", "protocol", "breaker", "unresolved", "too-large", "tool"
]
"""`tool`: it answered, by MCP, that it failed."""
_RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


class CallError(Exception):
    """A call that failed. `kind` is its `error.type`: one of `Kind`, or an HTTP status."""

    def __init__(self, kind: Kind | int, detail: str) -> None:
        super().__init__(detail)
        self.kind: str = str(kind)
        self.status: int | None = kind if isinstance(kind, int) else None

    @property
    def may_be_repeated(self) -> bool:
        """Whether another attempt, or another host, may succeed."""
        return self.status is None or self.status in _RETRIED_STATUSES


class RequestError(Exception):
    """A request that is answered with an error. `kind` is the `error.type` of its workflow."""

    def __init__(self, status: int, kind: str, sentence: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind
        self.headers = headers
