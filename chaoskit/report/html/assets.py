"""Reads the scripts and styles of a page, and writes the policy that allows these alone.

Content Security Policy, level 3: a script or a style in the page runs only if its SHA-256 stands in the policy.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from markupsafe import Markup

FOLDER = Path(__file__).parent
UPLOT_VERSION = "1.6.32"
UPLOT_PACKAGE = (
    "https://registry.npmjs.org/uplot/-/uplot-1.6.32.tgz",
    "sha512-KIMVnG68zvu5XXUbC4LQEPnhwOxBuLyW1AHtpm6IKTXImkbLgkMy+jabjLgSLMasNuGGzQm/ep3tOkyTxpiQIw==",
)
"""Where uPlot is from, and the integrity that npm records of that package."""
LICENCE = FOLDER / "vendor" / "uPlot.LICENSE"
"""It asks to be a part of each copy."""
SCRIPTS = (
    "vendor/uPlot.iife.min.js",
    "scripts/unpack.js",
    "scripts/words.js",
    "scripts/theme.js",
    "scripts/view.js",
    "scripts/run.js",
    "scripts/raster.js",
    "scripts/timeline.js",
    "scripts/timeline_input.js",
    "scripts/charts.js",
    "scripts/page.js",
)
"""In the order in which they need one another."""
STYLES = ("vendor/uPlot.min.css", "templates/page.css")


@cache
def text_of(name: str) -> Markup:
    """A file of this package as it stands in a page."""
    return Markup((FOLDER / name).read_text("utf-8"))


@cache
def policy() -> str:
    """The Content-Security-Policy of a page."""
    return _policy(f"script-src {_hashes(SCRIPTS)}", f"style-src {_hashes(STYLES)}")


@cache
def policy_of_pictures() -> str:
    """That of a page without scripts, whose pictures are in it."""
    return _policy("img-src data:", f"style-src {_hashes(STYLES)}")


def _policy(*sources: str) -> str:
    return "; ".join(("default-src 'none'", *sources, "base-uri 'none'", "form-action 'none'"))


def _hashes(names: tuple[str, ...]) -> str:
    digests = (hashlib.sha256(text_of(name).encode()).digest() for name in names)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
