"""Loads an experiment with the values that a suite sets, and tells mistakes in them at their lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import SpecError
from chaoskit.spec.load import Document, Location
from chaoskit.spec.matrix import Variants, load_variants
from chaoskit.spec.overrides import written


def load_with_values(document: Document, where: Location, file: Path, values: Mapping[str, Any]) -> Variants:
    """The experiments of a file with these values, which stand at `where` in the suite.

    Raises SpecError: a line for each mistake, of the file itself at its own place, all others at the values.
    """
    givers = {key: document.place((*where, key)) for key in values}
    try:
        return load_variants(file, values, givers)
    except SpecError as error:
        if not values:
            raise
        placed = tuple(f"{giver}: " for giver in givers.values())
        own = _own_mistakes(file)
        lines = str(error).removesuffix(f" (with {written(values)} set)").splitlines()
        told = [
            each if each in own else f"{each} (set in {file})"
            for each in lines
            if each in own or each.startswith(placed)
        ]
        others = [each for each in lines if each not in own and not each.startswith(placed)]
        wrong = (f"{file} is wrong with these values: {_without_line(each, file)}" for each in others)
        raise SpecError("\n".join([*told, *(str(document.error_at(each, where)) for each in wrong)])) from None


def _own_mistakes(file: Path) -> list[str]:
    """Those of the file without the values."""
    try:
        load_variants(file)
    except SpecError as error:
        return str(error).splitlines()
    return []


def _without_line(line: str, file: Path) -> str:
    """A mistake without the place in the file, which does not have it."""
    told = line.removeprefix(f"{file}:").strip()
    number, _, rest = told.partition(": ")
    return rest if number.isdecimal() else told
