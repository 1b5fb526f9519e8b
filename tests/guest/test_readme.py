"""README.md from top to bottom in a fresh clone: its commands and its file as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from pages import TOP, blocks

README = (TOP / "README.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE))


class Ended(NamedTuple):
    """A command that ended, and everything it printed."""

    code: int
    said: str


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone, without anything installed, in which the page's installation and `make demo` have run; all but
    what a package manager does, and the kernel is built already. What the demo printed is in `demo.txt`."""
    place = tmp_path_factory.mktemp("fresh") / "chaoskit"
    subprocess.run(["git", "clone", "--quiet", str(TOP), str(place)], check=True)
    lines = shell("Install")
    assert any("pip install --require-hashes" in line for line in lines)
    elsewhere = ("git clone", "sudo apt-get", "cd vagrant", "pipx", "uv ", "pip ")
    for line in [line for line in lines if not line.startswith(elsewhere)]:
        ended = typed(place, line)
        assert ended.code == 0, f"{line}\n{ended.said}"
    ended = typed(place, "make demo")
    (place / "demo.txt").write_text(ended.said)
    assert ended.code == 0, ended.said
    return place


def typed(place: Path, line: str) -> Ended:
    """What a person sees who types this line there, with the program in PATH."""
    ended = subprocess.run(
        ["bash", "-c", line],
        cwd=place,
        env=os.environ | {"PATH": f"{place / '.venv' / 'bin'}:{os.environ['PATH']}", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout)


def shell(section: str) -> list[str]:
    """The shell lines of a section, continued lines joined, comments removed."""
    texts = [text for kind, text in blocks(SECTIONS[section]) if kind == "sh"]
    lines = "".join(texts).replace("\\\n", " ").splitlines()
    return [line.partition("  #")[0].strip() for line in lines if line.strip()]


@pytest.mark.timeout(900)  # what it installs comes from elsewhere
def test_the_demo_ends_with_the_verdict_that_the_page_shows(clone: Path) -> None:
    """In virtual time to the last digit."""
    shown = next(text for kind, text in blocks(README) if kind == "text" and "BROKEN" in text)
    said = [line.split() for line in (clone / "demo.txt").read_text().splitlines()]

    assert [line for line in shown.splitlines() if line.split() not in said] == []


def test_the_experiment_of_the_page_gets_the_verdict_that_it_asks_for(clone: Path) -> None:
    """It is the included gate: valid without a warning, planned, run to a verdict by the page's command for a pipeline,
    reported again with the same exit code, explained."""
    (text,) = (text for kind, text in blocks(SECTIONS["Your experiment file"]) if kind == "yaml")
    (clone / "mine.yaml").write_text(text)
    lines = [line for line in shell("Your experiment file") if re.search("FILE|RUNDIR", line)]
    validate, plan, run, report, explain = lines
    (gate,) = shell("Your CI")

    assert yaml.safe_load(text) == yaml.safe_load((clone / "experiments" / "release-gate.yaml").read_text())
    assert typed(clone, validate.replace("FILE", "mine.yaml")) == (0, "mine.yaml: ok, release-gate\n")
    assert typed(clone, plan.replace("FILE", "mine.yaml")).code == 0
    assert gate.startswith(run.replace("FILE", "experiments/release-gate.yaml "))
    ran = typed(clone, gate)
    assert ran.code == 0, ran.said
    assert "\nMET" in ran.said
    (rundir,) = re.findall(r"^records +(\S+)$", ran.said, re.MULTILINE)
    again = typed(clone, report.replace("RUNDIR", rundir))
    assert again.code == 0
    assert again.said.strip() in ran.said
    assert typed(clone, explain.replace("RUNDIR", rundir)).code == 0


def test_what_init_writes_is_valid(clone: Path) -> None:
    """A file for a lab, which is the included gate, and one for an endpoint."""
    lab, endpoint, *_ = (line for line in shell("Your experiment file") if line.startswith("chaoskit init"))

    for line in (lab, endpoint):
        ended = typed(clone, line)
        assert ended.code == 0, ended.said
        written = ended.said.split(" is written")[0]
        checked = typed(clone, f"chaoskit validate {written}")
        assert checked.code == 0
        assert "streams" not in checked.said
