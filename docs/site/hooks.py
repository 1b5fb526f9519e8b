"""Adds to the site what the pages link to outside docs/: the experiments, the changelog and the map of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

TOP = Path(__file__).parents[2]
PLACES = {"CHANGELOG.md": "changelog.md", "chaoskit/README.md": "map.md"} | {
    str(path.relative_to(TOP)): str(path.relative_to(TOP)) for path in (TOP / "experiments").rglob("*.yaml")
}
"""Files of the repository, and where they are in the site."""


def on_files(files: Files, config: Any) -> Files:
    """Add them."""
    for path, place in PLACES.items():
        files.append(File.generated(config, place, abs_src_path=str(TOP / path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to them lead to their place in the site; a link to anything else outside stays, and is an error."""
    return re.sub(r"\]\(\.\./([^)#]+)", lambda link: "](" + PLACES.get(link[1], f"../{link[1]}"), markdown)
