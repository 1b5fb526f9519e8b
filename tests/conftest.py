"""Every tier is the same whoever started it.

No proxy stands between a test and its own server, nobody's colours and columns are in what a command says, and no
signal is ignored because a nohup or a shell's `&` ignored it. Thousands of collected tests are not looked through for
garbage again and again.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable

LOOKS = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
FORMER: dict[signal.Signals, Callable[..., object] | signal.Handlers] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGQUIT: signal.SIG_DFL,
    signal.SIGHUP: signal.SIG_DFL,
}

for name in [name for name in os.environ if name in LOOKS or name.lower().endswith("_proxy")]:
    del os.environ[name]
for sign, handler in FORMER.items():
    if signal.getsignal(sign) is signal.SIG_IGN:
        signal.signal(sign, handler)


def pytest_collection_finish() -> None:
    """What was collected stays to the end."""
    gc.collect()
    gc.freeze()
