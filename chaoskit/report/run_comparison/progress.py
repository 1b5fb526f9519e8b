"""Shows the progress of reading runs on standard error: a line that is redrawn, or a line at times."""

from __future__ import annotations

from types import TracebackType

from chaoskit.analysis.formatting import whole_seconds
from chaoskit.clock import now
from chaoskit.report.live import PLAIN_INTERVAL
from chaoskit.terminal import Progress

_SECOND = 10**9


class ReadingProgress:
    """A context manager; `tell` is told what is read now, and how many bytes of how many are done."""

    def __init__(self, is_quiet: bool) -> None:
        self._line = None if is_quiet else Progress()
        self._begun = self._shown = now()

    def __enter__(self) -> ReadingProgress:
        if self._line is not None:
            self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.__exit__(kind, error, trace)

    def tell(self, what: str, done: int, total: int) -> None:
        """On a terminal at once; elsewhere a line every ten seconds, and none for what takes less."""
        if self._line is None or (not self._line.is_live and now() - self._shown < PLAIN_INTERVAL):
            return
        self._shown = now()
        self._line.show(line(what, done, total, now() - self._begun))


def line(what: str, done: int, total: int, elapsed: int) -> str:
    """The progress in words, `elapsed` ns after the beginning."""
    if not what:
        return "comparing"
    left = f"  about {whole_seconds(elapsed * (total - done) // done)} to go" if done and elapsed > _SECOND else ""
    part = f"  {100 * done // total} %" if total else ""
    return f"reading {what}{part}{left}"
