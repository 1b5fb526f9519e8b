"""Modules are called what a stranger would guess, and say in one sentence what they do."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import PurePosixPath

from modules import modules
from sources import FILES, name_of

MODULES = dict(modules())
SHARED = {
    "exec": "`chaoskit exec`: its command line, its options, its plan, its run here and in a guest",
    "matrix": "the `matrix` of a file: how it is read, combined and shown",
    "actions": "those of tc, those of a chain of hops, and those of Chaos Toolkit, whose extensions call them so",
    "probes": "of an experiment, of path-MTU discovery, and of Chaos Toolkit, whose extensions call them so",
    "injection": "`chaoskit inject`: its options, its plan, how it is shown",
}
"""Stems that stand in more than two packages, each with the reason."""
LONGEST = 100  # characters of a first sentence
METAPHORS = r"\b(whoever|of ours|for ever|as it is told|knows of it|doorkeeper|lookout|outing|paying for the dead)\b"


def test_a_stem_stands_in_two_packages_at_most() -> None:
    """The name of a module tells by itself, or with one other package's, what is inside."""
    packages = defaultdict(set)
    for name in MODULES:
        path = PurePosixPath(name)
        packages[path.name].add(str(path.parent))

    shared = {stem for stem, homes in packages.items() if len(homes) > 2}

    assert shared == set(SHARED)


def test_a_docstring_begins_with_one_sentence() -> None:
    """Its first sentence says what the module does, on one line of at most a hundred characters."""
    shape = re.compile(rf"(?=.{{1,{LONGEST}}}$)[A-Z`].*[.?:]")

    assert {name: sentence for name, sentence in MODULES.items() if not shape.fullmatch(sentence)} == {}


def test_packages_are_three_deep_at_most() -> None:
    """chaoskit/analysis/network/path_mtu.py is as deep as it gets."""
    assert max(len(PurePosixPath(name).parts) for name in MODULES) <= 3


def test_no_private_language() -> None:
    """No module uses words that were once the project's own private language."""
    found = {name_of(path): re.findall(METAPHORS, path.read_text(), re.IGNORECASE) for path in FILES}

    assert {name: words for name, words in found.items() if words} == {}
