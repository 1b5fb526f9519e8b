"""Markdown: what a pull request shows, and nothing in it is obeyed."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hostile_text import HOSTILE
from made_runs import Made, plan
from markdown_it import MarkdownIt

from chaoskit.report.formats import write
from chaoskit.report.formats.source import Source, load
from chaoskit.report.markdown_text import block, bounded, code, prose, table

PAGE = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OURS = {"details", "summary", "sub", "br"}


def tags(text: str) -> set[str]:
    """The elements of the page, raw HTML included."""
    return set(re.findall(r"<([a-zA-Z][\w-]*)", PAGE.render(text)))


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_a_text_is_only_text(text: str) -> None:
    """As prose, as code, in a cell and in a block no text makes an element, a cell, a mention, a link or a formula."""
    for made in (prose(text), code(text)):
        assert tags(f"x {made} y") <= {"p", "code"}
        assert "\n" not in made
        assert len(made) < 20_000
        page = PAGE.render(table(["a", "b"], [[made, "end"]]))
        assert page.count("<td") == 2
        assert re.search(r"<td[^>]*>end</td>", page)
    assert tags(block(text)) == {"pre", "code"}
    shown = prose(text).replace("&#8203;", "\u200b")
    assert not re.search(r"[@#!%~]\w|GH-\d|://|www\.|(?<!\\)\$", shown, re.IGNORECASE)


@pytest.mark.parametrize("text", ["ttft_p95 < 800 ms", "a*b_c", "1 & 2 &lt; 3", "50 %", "[x](y)", "- item", "a\\|b"])
def test_a_harmless_text_is_shown_as_it_is(text: str) -> None:
    """Readers see what was written."""
    page = PAGE.render(f"x {prose(text)}")

    assert page.strip() == f"<p>x {text.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')}</p>"


def test_a_summary_is_bounded() -> None:
    """What does not fit is named, and nothing after it is taken."""
    text = bounded([("first", "a" * 100), ("second", "b" * 1000), ("third", "c")], most=500)

    assert text == f"{'a' * 100}\n\nLeft out, because a summary may have 1 MiB: second, third.\n"


def test_a_hostile_run(hostile: Source) -> None:
    """Ten reports stay below 1 MiB, with no element that is not ours."""
    file = io.BytesIO()

    write("markdown", [hostile] * 10, file)

    said = file.getvalue().decode()
    assert len(file.getvalue()) < 1 << 20
    known = {"h2", "p", "strong", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre"}
    assert tags(said) <= known | OURS


def test_what_a_pull_request_shows(tmp_path: Path) -> None:
    """Headline, objectives, baseline against fault, and how to repeat it."""
    run = (
        Made(plan(["ttft_p50 < 1ms during wifi", "ttft_p99 < 1s"]))
        .phases()
        .many(0, 30_000, 100)
        .write(tmp_path / "run")
    )
    (run / "experiment.yaml").write_text("name: made-by-hand\n")
    file = io.BytesIO()

    write("markdown", [load(run)], file)

    said = file.getvalue().decode()
    assert said.startswith("## ❌ BROKEN made-by-hand\n\n**ttft\\_p50 &lt; 1ms during wifi is broken: 100 ms")
    assert "| ❌ broken | `ttft_p50 < 1ms during wifi` | 100 ms |" in said
    assert "|  | `baseline` | `wifi` | `recovery` |" in said
    assert "| TTFT p50 | 100 ms | 100 ms (" in said
    assert f"```sh\nchaoskit run {run}/experiment.yaml\n```\n\n```yaml\nname: made-by-hand\n```" in said
