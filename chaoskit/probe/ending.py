"""Tells a drive, while it runs, from when on it starts no more requests; what is open then may end."""

from __future__ import annotations

import asyncio
import contextlib
import os

from chaoskit.timer import AbsoluteTimer

_NUMBER = 32  # bytes, at the most, of a stamp


class Ending:
    """The stamp that comes through a pipe, if one does; without any it never comes."""

    def __init__(self, pipe: int) -> None:
        """`pipe` is its reading end, of this process."""
        self._pipe, self._stamp = pipe, asyncio.get_running_loop().create_future()
        os.set_blocking(pipe, False)
        asyncio.get_running_loop().add_reader(pipe, self._read)

    def is_before(self, scheduled: int) -> bool:
        """Whether a request of this moment must not be started."""
        return self._stamp.done() and scheduled >= self._stamp.result()

    async def reached(self) -> None:
        """Return at the stamp."""
        stamp = await asyncio.shield(self._stamp)
        with contextlib.closing(AbsoluteTimer()) as timer:
            await timer.until(stamp)

    def _read(self) -> None:
        """The writer writes it at once, so that it is read at once, or closes its end without a word."""
        found = os.read(self._pipe, _NUMBER)
        asyncio.get_running_loop().remove_reader(self._pipe)
        if found and not self._stamp.done():
            self._stamp.set_result(int(found))
