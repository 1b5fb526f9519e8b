"""Finds the experiments that come with the program.

They lie in `experiments/` and the folders in it: in a clone beside the package, in an installed wheel inside it. What
the programs of a service lab need, and their traces, lie beside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path

from chaoskit.errors import SpecError

_PACKAGE = Path(__file__).parents[1]
_SUITE = "gameday.yaml"
_QUESTION = re.compile(r"^question: (.+)$", re.MULTILINE)


def questions() -> dict[str, str]:
    """The question of each included experiment, by name."""
    found = {path.stem: _QUESTION.search(path.read_text()) for path in sorted(_files(), key=lambda path: path.stem)}
    return {name: match[1] for name, match in found.items() if match}


def example_lines() -> list[str]:
    """Each included experiment in a line: its name and its question."""
    known = questions()
    width = max(map(len, known), default=0)
    return [f"{name:{width}}  {question}" for name, question in known.items()]


def example(name: str) -> str:
    """The text of an included experiment. Raises SpecError that lists them all."""
    if name not in questions():
        near = get_close_matches(Path(name).stem, questions(), 1, 0.7)
        meant = f"did you mean {near[0]}? " if near else ""
        raise SpecError(
            "\n".join([f"no included experiment is named {name[:64]!r}; {meant}there are", *example_lines()])
        )
    return example_path(name).read_text()


def beside(name: str, files: Iterable[str]) -> dict[str, bytes]:
    """What files hold that lie beside an included experiment, by name."""
    return {each: (example_path(name).parent / each).read_bytes() for each in files}


def example_command(name: str) -> str:
    """What to type instead of the name of a file that is not there, for the end of a sentence."""
    return f", or write it: chaoskit init --example {name}" if name in questions() else ", or write one: chaoskit init"


def _files() -> Iterator[Path]:
    installed = _PACKAGE / "experiments"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "experiments"
    return (path for path in folder.rglob("*.yaml") if path.name != _SUITE)


def example_path(name: str) -> Path:
    """The file of an included experiment."""
    return next(path for path in _files() if path.stem == name)
