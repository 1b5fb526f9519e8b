"""Makes Ctrl-C raise KeyboardInterrupt, but never where Python would lose it or half an import would remain.

Within an import it is raised when the import has ended, because modules catch or convert exceptions of their imports.
In a finalizer Python prints and drops exceptions: there, too, it is raised afterwards.
"""

import signal
import sys
from types import FrameType

_RETRY = 0.01  # s
_FINALIZERS = ("__del__", "_remove", "remove")  # `remove`: of weakref's dictionaries
_WEAK = ("weakref.py", "_weakrefset.py")


def handle() -> None:
    """Handle SIGINT this way from now on, unless it is ignored, as by nohup."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def ignore() -> None:
    """Ignore SIGINT: everything is done, and the process is about to end."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(_sign: int, frame: FrameType | None) -> None:
    if _is_fragile(frame):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _RETRY)
        return
    raise KeyboardInterrupt


def _is_fragile(frame: FrameType | None) -> bool:
    """Whether this is within an import or a finalizer."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith("<frozen importlib"):
            return True
        if code.co_name in _FINALIZERS and (code.co_name == "__del__" or code.co_filename.endswith(_WEAK)):
            return True
        frame = frame.f_back
    return sys.is_finalizing()
