"""Makes Ctrl-C raise KeyboardInterrupt within `interruptible`, except where Python would lose it.

Before `interruptible` it is kept until then, and after it there is nothing left to interrupt. Within an import it is
raised when the import has ended, because modules catch or convert exceptions of their imports. In a finalizer, and in
some calls from C, Python prints and drops exceptions: it is raised afterwards, too. This module imports only what is
built into Python: until it has done its work, a Ctrl-C gets Python's own traceback.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as of typing, which takes 5 ms to import
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
    from typing import NoReturn
else:
    import _signal as signal  # without the enumerations of the module signal, which take 5 ms, too

_RETRY = 0.01  # s
_FINALIZERS = ("__del__", "_remove", "remove")  # `remove`: of weakref's dictionaries
_WEAK = ("weakref.py", "_weakrefset.py")
_kept: list[int] = []  # the signals that came before `interruptible`


def handle() -> None:
    """Handle SIGINT this way from now on, unless it is ignored, as by nohup."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)
        sys.unraisablehook = _dropped


def interruptible(work: Callable[[], int]) -> int:
    """Return what `work` returns. A Ctrl-C that came before, or comes meanwhile, raises KeyboardInterrupt."""
    if _kept:
        _kept.clear()
        raise KeyboardInterrupt
    return work()


def ignore() -> None:
    """Ignore SIGINT: everything is done, and the process is about to end."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def end(code: int) -> NoReturn:
    """End the process now, without the finalizers of what was interrupted, which would complain about it."""
    os._exit(code)


def _interrupt(sign: int, frame: FrameType | None) -> None:
    match _place(frame):
        case "interruptible":
            raise KeyboardInterrupt
        case "fragile":
            _retry()
        case _:
            _kept.append(sign)


def _retry() -> None:
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, _RETRY)


def _dropped(dropped: sys.UnraisableHookArgs) -> None:
    if issubclass(dropped.exc_type, KeyboardInterrupt):
        _retry()
    else:
        sys.__unraisablehook__(dropped)


def _place(frame: FrameType | None) -> str:
    """Where this is: "fragile" within an import or a finalizer, "interruptible", or "" outside of both."""
    while frame is not None:
        code = frame.f_code
        if code is interruptible.__code__:
            return "interruptible"
        if code.co_filename.startswith("<frozen importlib"):
            return "fragile"
        if code.co_name in _FINALIZERS and (code.co_name == "__del__" or code.co_filename.endswith(_WEAK)):
            return "fragile"
        frame = frame.f_back
    return ""
