"""The pages for users, and the parts of Markdown that tests look at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

TOP = Path(__file__).parents[2]
_FENCE = re.compile(r"^(```+)(\w*)[^\n]*\n(.*?)^\1\s*$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.*?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r'<(?:img|a)\b[^>]*?\b(?:src|href)="([^"]+)"')


@dataclass(frozen=True)
class Page:
    """A file of Markdown."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(TOP))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text()

    @property
    def prose(self) -> str:
        """Without code blocks, code spans and comments."""
        plain = _COMMENT.sub("", _FENCE.sub("", self.text))
        return re.sub(r"`[^`\n]*`", "``", plain)

    @property
    def links(self) -> list[str]:
        """Where links and pictures lead."""
        return _LINK.findall(self.prose) + _IMAGE.findall(self.prose)

    @cached_property
    def headings(self) -> list[str]:
        """Their text, in order."""
        return _HEADING.findall(_COMMENT.sub("", _FENCE.sub("", self.text)))

    @property
    def anchors(self) -> set[str]:
        """What `#...` may name: as code hosts make it of a heading, a number behind it where it stands there again."""
        found: dict[str, int] = {}
        for heading in self.headings:
            name = host_slug(heading)
            found[name] = found.get(name, -1) + 1
        return {
            name if not number else f"{name}-{number}" for name, last in found.items() for number in range(last + 1)
        }


def blocks(text: str) -> list[tuple[str, str]]:
    """Language and text of each code block."""
    return [(kind, body) for _, kind, body in _FENCE.findall(text)]


def host_slug(heading: str) -> str:
    """The anchor that a code host gives a heading."""
    return re.sub(r"[^\w\- ]", "", _shown(heading).lower()).replace(" ", "-")


def site_slug(heading: str) -> str:
    """The anchor that Python-Markdown gives it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", _shown(heading)).strip().lower())


def _shown(heading: str) -> str:
    """Without marks."""
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")


PAGES = [Page(TOP / "README.md"), *(Page(path) for path in sorted((TOP / "docs").glob("*.md")))]
