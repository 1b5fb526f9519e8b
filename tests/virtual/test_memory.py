"""Memory that was made resident."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[..., Any]
ROOT = Path(__file__).parents[2]
PROGRAM = f"""
import mmap, os, resource, sys
sys.path.insert(0, {str(ROOT)!r})
from chaoskit.kernel.page_prefault import lock_memory

def faults():
    new = mmap.mmap(-1, 1000 * mmap.PAGESIZE, mmap.MAP_PRIVATE)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for at in range(0, len(new), mmap.PAGESIZE):
        new[at] = old[at] = 1
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

old = mmap.mmap(-1, 1000 * mmap.PAGESIZE, mmap.MAP_PRIVATE)
lock_memory()
child = os.fork()
found = faults()
if child == 0:
    os._exit(min(found, 255))
answer = [found, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])]
"""


def test_resident_memory_is_there_before_it_is_touched(ask: Ask) -> None:
    """After `lock_memory` neither old nor new memory takes page faults, in the parent and in its forked child."""
    in_parent, in_child = ask(PROGRAM)

    assert in_parent < 50
    assert in_child < 50
