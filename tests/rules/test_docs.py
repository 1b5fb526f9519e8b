"""README.md and docs/ are true: what is generated is current, commands work, tables are complete."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import shipped
from pages import PAGES, TOP, Page, blocks
from warm import chaoskit

from chaoskit.cli.app import EXIT_CODES
from chaoskit.planning.compile import compile_plan
from chaoskit.records.model import Completion
from chaoskit.spec.matrix import load_variants

DOCS = TOP / "docs"
EXAMPLE = "experiments/loss-first-token.yaml"
HARMLESS = ("validate", "plan", "schema")
"""Commands that need no rights, no network and little time: they are run as they stand, with an experiment for FILE."""


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every `chaoskit ...` in a block of shell, each once."""
    lines = {
        line.removeprefix("sudo ")
        for page in PAGES
        for kind, text in blocks(page.text)
        if kind == "sh"
        for whole in text.replace("\\\n", " ").splitlines()
        for line in map(str.strip, whole.split("|"))
    }
    yield from sorted({tuple(shlex.split(line, comments=True)) for line in lines if _is_ours(line)})


def _is_ours(line: str) -> bool:
    return line.startswith("chaoskit ")


COMMANDS = list(commands())


@cache
def help_of(command: str) -> str:
    """The help text of a command; raises where there is no such command."""
    answer = chaoskit(*command.split(), "--help")
    answer.check_returncode()
    return answer.stdout


def test_what_is_generated_is_current() -> None:
    """Help texts, keys, metrics and quoted reports are those of this very code. `make reference` writes them anew."""
    words = [sys.executable, "-m", "cogapp", "--check", "--diff", "-I", str(DOCS / "site")]
    answer = subprocess.run([*words, *(str(page.path) for page in PAGES)], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_picture_is_current() -> None:
    """The picture in README.md shows what a terminal would show. `make reference` draws it anew."""
    words = [sys.executable, str(DOCS / "site" / "picture.py"), "--check"]

    assert subprocess.run(words, check=False).returncode == 0


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_exists_with_its_options(words: tuple[str, ...]) -> None:
    """Each `chaoskit ...` line names a command and options that exist."""
    own = words[: words.index("--")] if "--" in words else words
    command = " ".join(words[1:3] if words[1] == "kernel" else words[1:2])

    options = {word.partition("=")[0] for word in own if word.startswith("--")}

    assert {option for option in options if f"{option} " not in help_of(command)} == set()


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[1] in HARMLESS], ids=" ".join)
def test_commands_that_need_nothing_work(words: tuple[str, ...]) -> None:
    """What needs neither rights nor a network ends with 0 as it stands."""
    arguments = [EXAMPLE if word == "FILE" else word for word in words[1:]]
    answer = chaoskit(*arguments, cwd=TOP)

    assert answer.returncode == 0, answer.stderr


def test_every_make_target_exists() -> None:
    """Each `make TARGET` in the pages is a target of the Makefile."""
    targets = set(re.findall(r"^([\w-]+):", (TOP / "Makefile").read_text(), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"(?:`|^)make ([\w-]+)", page.text, re.MULTILINE)}

    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_experiment_in_the_pages_is_one(page: Page, tmp_path: Path) -> None:
    """Each example that has a timeline and a workload loads and compiles as it stands, in each of its variants."""
    for kind, text in blocks(page.text):
        if kind == "yaml" and "timeline:" in text:
            (tmp_path / "x.yaml").write_text(text)
            for variant in load_variants(tmp_path / "x.yaml").each:
                assert compile_plan(variant.experiment).name


def test_the_first_page_has_an_experiment() -> None:
    """README.md shows three whole experiment files: of a service lab, of AI tiers, and of a gate."""
    texts = [text for kind, text in blocks((TOP / "README.md").read_text()) if kind == "yaml" and "timeline:" in text]

    assert [text.split()[1] for text in texts] == ["nginx-read-timeout", "vpn-on-retrieval-not-model", "release-gate"]


def test_every_experiment_is_listed() -> None:
    """The table of the included experiments is complete, and names no other."""
    listed = set(re.findall(r"\]\(\.\./experiments/([\w/-]+\.yaml)\)", (DOCS / "experiment-files.md").read_text()))

    assert listed == {str(path.relative_to(TOP / "experiments")) for path in shipped.FILES}


def test_every_key_is_explained() -> None:
    """Each key of the JSON Schema has a row in the page about experiment files."""
    drawn = json.loads(chaoskit("schema").stdout)
    explained = set(re.findall(r"^\| `([\w-]+)` \|", (DOCS / "experiment-files.md").read_text(), re.MULTILINE))

    assert set(_keys(drawn)) - explained == set()


def _keys(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        properties = part.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        for below in part.values():
            yield from _keys(below)
    elif isinstance(part, list):
        for each in part:
            yield from _keys(each)


def test_every_completion_is_defined() -> None:
    """Each way in which a stream can end has a row in the page about metrics."""
    text = (DOCS / "objectives-and-metrics.md").read_text().partition("## How a stream ends")[2]
    rows = re.findall(r"^\| ((?:`\w+` ?)+)\|", text, re.MULTILINE)

    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} >= set(get_args(Completion))


def test_every_exit_code_is_explained() -> None:
    """The page about exit codes has a row for each that the program's help text names, and no other."""
    rows = re.findall(r"^\| ([\d, ]+) \|", (DOCS / "exit-codes-and-ci.md").read_text(), re.MULTILINE)

    assert set(re.findall(r"\d+", " ".join(rows))) == set(re.findall(r"\d+", EXIT_CODES))


def test_every_page_is_in_the_index() -> None:
    """README.md, the index and the site's navigation lead to every page."""
    pages = {path.name for path in DOCS.glob("*.md")} - {"index.md"}
    index = set(re.findall(r"\]\(([\w-]+\.md)\)", (DOCS / "index.md").read_text()))
    readme = set(re.findall(r"\]\(docs/([\w-]+\.md)[#)]", (TOP / "README.md").read_text()))
    site = set(re.findall(r"- ([\w-]+\.md)$", (DOCS / "site" / "mkdocs.yml").read_text(), re.MULTILINE))

    assert index == pages
    assert readme >= pages
    assert site - {"changelog.md", "map.md"} == pages | {"index.md"}


def test_every_message_in_troubleshooting_is_one_of_the_program() -> None:
    """Each quoted message is made of texts that stand in the code, in this order; `…` stands for what varies."""
    said = "\n".join(_texts())
    rows = re.findall(r"^\| `([^`]+)`", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = [part.strip() for row in rows for part in row.split("…")]

    assert len(quoted) > 30
    assert [part for part in quoted if part and part not in said] == []


def _texts() -> Iterator[str]:
    """The constant parts of every text in the package, adjacent ones joined."""
    for path in (TOP / "chaoskit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
