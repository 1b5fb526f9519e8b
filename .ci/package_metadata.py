"""Gives the package the text of README.md and the project's URLs, with links that lead somewhere from an index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PAGES = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md"}
_COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\((?!https?:|#)([^)\s]+)\)")
_PICTURE = re.compile(r'<img\b[^>]*?\bsrc="(?!https?:)([^"]+)"[^>]*>\n*')
_CODE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


class Metadata(MetadataHookInterface):
    """Called by hatchling."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add what pyproject.toml calls dynamic."""
        repository, version = self.config.get("repository", ""), metadata["version"]
        text = (Path(self.root) / "README.md").read_text()
        metadata["readme"] = {"content-type": "text/markdown", "text": readme(text, repository, version)}
        metadata["urls"] = urls(repository, version)


def readme(text: str, repository: str, version: str) -> str:
    """README.md for an index: each link and picture of the repository has its address; without one, links are text."""
    files = f"{repository}/blob/v{version}/" if repository else ""
    raw = f"{repository}/raw/v{version}/" if repository else ""
    parts = _CODE.split(_COMMENT.sub("", text))
    return "".join(part if part.startswith("```") else _with_addresses(part, files, raw) for part in parts)


def urls(repository: str, version: str) -> dict[str, str]:
    """The project's URLs, by their names in an index."""
    if not repository:
        return {}
    pages = {name: f"{repository}/blob/v{version}/{path}" for name, path in PAGES.items()}
    return {"Source": repository, "Issues": f"{repository}/issues"} | pages


def _with_addresses(text: str, files: str, raw: str) -> str:
    text = _PICTURE.sub(lambda match: match[0].replace(match[1], raw + match[1]) if raw else "", text)
    return _LINK.sub(lambda match: f"[{match[1]}]({files}{match[2]})" if files else match[1], text)
