"""Names the substrates and clocks that options choose from."""

from __future__ import annotations

from enum import StrEnum


class SubstrateName(StrEnum):
    """The substrates, and the choice between them."""

    AUTO = "auto"
    HERE = "here"
    UML = "uml"


class ClockName(StrEnum):
    """The clocks, and the choice between them."""

    AUTO = "auto"
    REAL = "real"
    VIRTUAL = "virtual"
