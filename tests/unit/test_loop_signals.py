"""Signals that reach a process whose event loop is being closed."""

from __future__ import annotations

import subprocess
import sys

ENDING = """
import asyncio, asyncio.selector_events as selector_events, signal
from chaoskit import loop_signals

received = []
close = selector_events.BaseSelectorEventLoop.close

def closing(loop):  # as when a signal comes just then
    close(loop)
    signal.raise_signal(signal.SIGINT)

async def work():
    with loop_signals.handled((signal.SIGINT, signal.SIGTERM), received.append):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.01)
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(0.01)

selector_events.BaseSelectorEventLoop.close = closing
asyncio.run(work())
print(received, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_only_those_before_the_end_of_the_work_are_received() -> None:
    """Those that come later, even while the loop closes, have no effect and are printed by nobody."""
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[<Signals.SIGTERM: 15>] True\n"
