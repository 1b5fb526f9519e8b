"""Shows the progress of a probe on standard error: one line that is redrawn, or a line at times.

Rules: it runs beside the streams that are measured, so it draws one line, without a library.
"""

from __future__ import annotations

from types import TracebackType

from chaoskit.analysis.formatting import format_value, whole_seconds
from chaoskit.probe.target import DriveProgress
from chaoskit.report.live import PLAIN_INTERVAL
from chaoskit.terminal import Progress

_MS = 10**6
_ENOUGH = 3  # streams that must have ended before the remaining time is estimated


class ProbeProgress:
    """A context manager; `show` is told the progress of a drive of so many requests twice a second."""

    def __init__(self, requests: int) -> None:
        self._requests = requests
        self._line = Progress()
        self._begun: int | None = None
        self._shown = 0

    def __enter__(self) -> ProbeProgress:
        self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.__exit__(kind, error, trace)

    def show(self, progress: DriveProgress) -> None:
        """On a terminal at once; elsewhere one line every ten seconds."""
        if self._begun is None:
            self._begun = self._shown = progress.at
        if not self._line.is_live and progress.at - self._shown < PLAIN_INTERVAL:
            return
        self._shown = progress.at
        self._line.show(line(progress, self._requests, progress.at - self._begun))


def line(progress: DriveProgress, requests: int, elapsed: int) -> str:
    """The progress in words, `elapsed` ns after the beginning."""
    interrupted = f", {progress.interrupted} interrupted" if progress.interrupted else ""
    parts = [f"{progress.ended} of {requests} ended, {progress.open} open{interrupted}"]
    if progress.last_ttft is not None:
        parts.append(f"TTFT {format_value(progress.last_ttft / _MS, 'ms')}")
    left = requests - progress.ended
    if progress.ended >= _ENOUGH and left:
        parts.append(f"about {whole_seconds(elapsed * left // progress.ended)} to go")
    return "  ".join(parts)
