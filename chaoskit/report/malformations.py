"""Shows the malformations that `chaoskit serve --script` and an experiment's server can have."""

from __future__ import annotations

from rich.console import Console

from chaoskit.report.styles import styled
from chaoskit.server.malformations import GROUPS


def render(screen: Console) -> None:
    """Each group with its names, one line each."""
    width = 28  # all but the longest names
    for group, entries in GROUPS.items():
        screen.print(styled(f"{group}:"))
        for each in entries:
            apis = f" ({', '.join(each.apis)})" if 0 < len(each.apis) < 3 else ""
            screen.print(styled(f"  {each.name:<{width}}  {each.sentence.replace('`', '')}{apis}"))
