"""The malformations: named ways to answer badly, so that a client can be tested with each.

Each is an entry in one of the tables below. `chaoskit serve --list` and the reference server's page show them all.
"""

from __future__ import annotations

from chaoskit.server.deviations import Cut, ErrorEvent, Malformed, Refusal
from chaoskit.server.malformations.connections import CONNECTIONS, cut
from chaoskit.server.malformations.contents import CONTENTS
from chaoskit.server.malformations.error_responses import ERRORS, error_event, refusal
from chaoskit.server.malformations.finishes import FINISHES
from chaoskit.server.malformations.framing import FRAMING
from chaoskit.server.malformations.malformation import Malformation

GROUPS: dict[str, tuple[Malformation, ...]] = {
    "Ends": FINISHES,
    "Errors": ERRORS,
    "Contents": CONTENTS,
    "Framing and compression": FRAMING,
    "Connections": CONNECTIONS,
}
BY_NAME: dict[str, Malformation] = {each.name: each for group in GROUPS.values() for each in group}
NONE = Malformation("", "As the API has it.")


def of_deviation(deviation: Malformed | Refusal | ErrorEvent | Cut) -> Malformation:
    """What a script's deviation does to a response."""
    match deviation:
        case Malformed(name):
            return BY_NAME[name]
        case Refusal(status, retry_after):
            return refusal(status, retry_after)
        case ErrorEvent(after):
            return error_event(after)
        case Cut(after, by):
            return cut(after, by)
