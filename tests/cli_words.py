"""Says a command line as a user does, and knows the phrases of libraries that must never be seen there."""

from __future__ import annotations

import re
import subprocess

import warm

LIBRARY_PHRASES = re.compile(
    r"No such option|No such command|Missing (?:argument|option|parameter|command)|Invalid value|Got unexpected"
    r"|requires an argument|does not take a value|is not one of|not in the range|is not a valid|Possible options"
    r"|Try '|Error:|Traceback|Field required|Input should|should have at|String should|Value error|Extra inputs"
    r"|Unable to|unable to parse|validation error|pydantic|Assertion failed"
)
"""Of click and typer, of pydantic, and of Python."""
MEASURED = (0, 5)
"""How a probe without objectives ends: with 5 where the machine had no time for it, and its numbers decide nothing."""


def chaoskit(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it, with nothing on its standard input."""
    return warm.chaoskit(*words, environment=environment)
