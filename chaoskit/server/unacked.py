"""Whose answer does not get through: connections whose bytes are sent again and again, and never acknowledged.

An answer may have been handed to the kernel long before its client has it, so this looks at connections and not
at answers. Rules: a look costs a connection one short question; a second retransmission in a row is written down,
each time that more have followed, and how it ended; the order is that of the streams, so that runs repeat.
"""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.server.connection import Connection

_WORTH_NOTING = 2  # timeouts in a row; single ones are everyday loss


def look_for_unacked(connections: Iterable[Connection]) -> None:
    """Write down the worse ones, and once more those that got better."""
    asked = {one.asked: one for one in connections if one.asked is not None}
    for _, connection in sorted(asked.items()):
        count = connection.retransmissions()
        if count >= _WORTH_NOTING:
            if count > connection.noted:
                connection.note_unacked(count)
        elif connection.noted:
            connection.note_unacked(0)
