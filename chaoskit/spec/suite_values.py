"""Loads an experiment with the values that a suite sets, and tells mistakes in them at their lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    try:
        return load_variants(file, values)
    except SpecError as error:
        if not values:
            raise
        own = _own_mistakes(file)
        lines = str(error).removesuffix(f" (with {written(values)} set)").splitlines()
        others = [each for each in lines if each not in own]
        told = [each for each in lines if each in own] + [*_at_values(document, where, file, values, others)]
        raise SpecError("\n".join(told)) from None


def _own_mistakes(file: Path) -> list[str]:
    """Those of the file without the values."""
    try:
        load_variants(file)
    except SpecError as error:
        return str(error).splitlines()
    return []


def _at_values(
    document: Document, where: Location, file: Path, values: Mapping[str, Any], lines: list[str]
) -> Iterator[str]:
    for line in lines:
        told = line.removeprefix(f"{file}:").strip()
        number, _, rest = told.partition(": ")
        told = rest if number.isdecimal() else told
        path, _, sentence = told.removeprefix("cannot set ").partition(": ")
        key = next((each for each in values if _is_alike(path, each)), None)
        if key is None:
            yield str(document.error_at(f"{file} is wrong with these values: {told}", where))
        else:
            inner = f"{path}: {sentence}" if path != key else sentence
            yield str(document.error_at(f"{inner} (set in {file})", (*where, key)))


def _is_alike(path: str, key: str) -> bool:
    """Whether one is the other, or below it."""
    return path == key or path.startswith(f"{key}.") or key.startswith(f"{path}.")
