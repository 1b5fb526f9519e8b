"""Tells how many segments the reference server's kernel sent again in a time, by its own counts.

The server notes them with each token that it writes (`ServedResponse.sent_again`). A segment that the client had
received already, and reported as a duplicate (DSACK, RFC 2883), had not been lost. What was overtaken by a round trip
or more is sent again as well, and the client may throw away the late one (PAWS, RFC 7323). So on a path that changes
the order, as the kernel noticed more often than it had to send again what was missing, the count alone proves no loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from chaoskit.records.host_records import HostSocket
from chaoskit.records.model import ServedResponse

_SECOND = 1_000_000_000  # ns for which a sender may wait, once it has taken a changed order for a loss
_FEW_DUPLICATES = 0.3  # of what was sent again: tail loss probes are duplicates sometimes


class _Change(NamedTuple):
    """By how much the counts grew in a time."""

    since: int
    until: int
    again: int
    duplicates: int
    reordered: int


class Counted(NamedTuple):
    """How many segments were sent again in a time, and how many of these were no duplicates; None: not known.

    `is_ordered`: the path kept the order then, as far as it seems. `is_sure`: nothing hints at the contrary, and of all
    that was sent again few were duplicates.
    """

    again: int | None
    lost: int = 0
    is_ordered: bool = True
    is_sure: bool = True


@dataclass(frozen=True)
class SentAgain:
    """Of one response: how the counts of its connection changed, known until `until`, ns."""

    changes: tuple[_Change, ...]
    until: int

    def during(self, begin: int, end: int, round_trip: int) -> Counted:
        """What was sent again in a time. Not known where the counts end before, and there was nothing until then.

        Duplicates are reported a round trip later.
        """
        again = sum(each.again for each in self._within(begin, end))
        reported = sum(each.duplicates for each in self._within(begin + round_trip, end + 2 * round_trip))
        recent = self._within(begin - _SECOND, end + 2 * round_trip)
        missing = sum(each.again - each.duplicates for each in recent)
        reordered = sum(each.reordered for each in recent)
        is_ordered = not reordered or reordered < missing
        duplicates = sum(each.duplicates for each in self.changes)
        is_sure = not reordered and duplicates <= _FEW_DUPLICATES * sum(each.again for each in self.changes)
        is_known = again or self.until >= end
        return Counted(again if is_known else None, max(0, again - reported), is_ordered, is_sure)

    def _within(self, begin: int, end: int) -> list[_Change]:
        return [each for each in self.changes if each.until > begin and each.since < end]


def sent_again(served: ServedResponse, looks: Iterable[HostSocket] = ()) -> SentAgain:
    """What a response's record tells, and looks at the server's socket after it, in order of time."""
    counts, until = [(0, 0, 0, 0, 0), *served.sent_again], served.ended
    for each in looks:
        if each.at > until and "total_retrans" in each.fields:
            _, _, again, duplicates, reordered = counts[-1]
            counts.append((until, each.at, max(again, each.fields["total_retrans"]), duplicates, reordered))
            until = each.at
    changes = (
        _Change(since, at, again - before[2], duplicates - before[3], reordered - before[4])
        for before, (since, at, again, duplicates, reordered) in pairwise(counts)
    )
    return SentAgain(tuple(changes), until)
