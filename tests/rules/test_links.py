"""Links in the pages lead somewhere, on a code host and in the site alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import PAGES, TOP, Page, host_slug, site_slug

LINKED = [*PAGES, Page(TOP / "chaoskit" / "README.md"), Page(TOP / "CHANGELOG.md")]


def dead(page: Page, top: Path = TOP) -> list[str]:
    """The relative links of a page that lead nowhere, or out of the repository."""
    relative = (link for link in page.links if "://" not in link and not link.startswith("mailto:"))
    return [link for link in relative if _is_dead(page, link, top)]


def _is_dead(page: Page, link: str, top: Path) -> bool:
    path, _, anchor = link.partition("#")
    target = page.path if not path else page.path.parent / path
    if path.startswith("/") or not target.exists() or not target.resolve().is_relative_to(top):
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in Page(target).anchors)


@pytest.mark.parametrize("page", LINKED, ids=str)
def test_every_link_leads_somewhere(page: Page) -> None:
    """Each relative link names a file of the repository, and its anchor a heading of that file."""
    assert dead(page) == []


@pytest.mark.parametrize("page", PAGES[1:], ids=str)
def test_anchors_are_the_same_everywhere(page: Page) -> None:
    """A code host and the site give each heading the same anchor, and no two headings of a page share one."""
    slugs = [host_slug(heading) for heading in page.headings]

    assert slugs == [site_slug(heading) for heading in page.headings]
    assert len(slugs) == len(set(slugs))


@pytest.mark.parametrize(
    ("link", "is_dead"),
    [
        ("[a](there.md)", False),
        ("[a](there.md#second-part)", False),
        ("[a](#first)", False),
        ('<img src="there.md">', False),
        ("`[a](nowhere.md)` is code", False),
        ("[a](https://example.com/x)", False),
        ("[a](nowhere.md)", True),
        ("[a](there.md#third)", True),
        ("[a](#second-part)", True),
        ("![a](nowhere.svg)", True),
        ('<img width="1" src="nowhere.svg">', True),
        ("[a](/there.md)", True),
        ("[a](../../../../../../../../etc/hostname)", True),
    ],
)
def test_each_kind_of_dead_link_is_found(tmp_path: Path, link: str, is_dead: bool) -> None:
    """The rule sees every one of these."""
    (tmp_path / "there.md").write_text("# There\n\n## Second *part*\n\n```text\n# third\n```\n")
    (tmp_path / "page.md").write_text(f"# First\n\n{link}\n")

    assert bool(dead(Page(tmp_path / "page.md"), tmp_path)) is is_dead
