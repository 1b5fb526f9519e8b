"""Colours and lines of plots, and how their text is made harmless.

The colours are Okabe and Ito's, which people with any colour vision tell apart (https://jfly.uni-koeln.de/color/); no
difference is told by colour alone: phases have dashes and markers of their own, causes of stalls a letter.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from chaoskit.analysis.result import Cause
from chaoskit.terminal import printable

PHASES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("solid", "dashed", "dashdot", "dotted", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = ("o", "x", "^", "s", "v", "D")
CAUSES: dict[Cause, str] = {
    "network": "#D55E00",
    "server": "#0072B2",
    "between": "#CC79A7",
    "client": "#009E73",
    "unknown": "#4D4D4D",
}
FAULT = "#F0E442"
FONT = "DejaVu Sans"
TOKEN = "#8C8C8C"
SETTINGS: dict[str, Any] = {
    "font.family": FONT,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "chaoskit",  # the same run gives the same file
    "text.usetex": False,
    "text.parse_math": False,
}


def plain(text: str) -> str:
    """The text with escapes for what a reader could not see, or the font has no picture of."""
    known = _drawn()
    return "".join(sign if ord(sign) in known else sign.encode("unicode_escape").decode() for sign in printable(text))


@cache
def _drawn() -> frozenset[int]:
    """The characters of matplotlib's own font."""
    return frozenset(FT2Font(findfont(FONT)).get_charmap())
