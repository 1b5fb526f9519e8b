"""The matrix of a file: one experiment over several values, every combination an experiment of its own.

    matrix:
      workload.prompt-size: [200B, 1kB, 4kB]
      faults.wifi.netem.loss: [0.1%, 1%]

Rules: a key is a dotted path of the file itself, whether something stands there or not; the places of a list are
numbers from 0; behind `sysctl` all the rest is one key. A value takes the place of what stands there before
anything is understood, so that a variant is read, checked and complained about as a file of its own. The first
key varies slowest. A mistake that the matrix made is told at its entry, one that is there without it at its own
place, and one that takes several entries at its own place with the variant that has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product, takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaoskit.errors import SpecError
from chaoskit.faults.schema import suggestion
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.load import EXPERIMENT, Document, Where, document, dotted, misreadings, text_of, written
from chaoskit.spec.matrix_axes import MATRIX, Axis, axes, name_of


@dataclass(frozen=True)
class Variant:
    """One experiment of a file, and the text that it would be as a file of its own. `values`: one for each axis."""

    name: str
    values: tuple[str, ...]
    experiment: Experiment
    text: str


@dataclass(frozen=True)
class Variants:
    """What a file asks for: all combinations of its matrix, or without one the one experiment, which has no name."""

    file: str
    text: str
    axes: tuple[str, ...]
    each: tuple[Variant, ...]

    def named(self, name: str | None) -> Variant:
        """The variant of that name; None where there is no matrix. Raises SpecError."""
        names = [variant.name for variant in self.each]
        if name is not None and not self.axes:
            raise SpecError(f"--variant: {self.file} has no matrix; take --variant away")
        if name is None and self.axes:
            raise SpecError(
                f"{self.file} has a matrix of {len(names)} variants, and this takes one: --variant {names[0]}, "
                f"for example; chaoskit plan {self.file} names them all"
            )
        for variant in self.each:
            if variant.name == (name or ""):
                return variant
        raise SpecError(f"--variant: {name!r} is no variant of {self.file}; {suggestion(str(name), names)}")


@dataclass(frozen=True)
class _Fault:
    """What is wrong where in the variant that has these places of the axes' values."""

    where: Where
    sentence: str
    variant: str
    places: tuple[int, ...]


def load_variants(path: Path) -> Variants:
    """Every experiment of this file. Raises SpecError with one line for each fault found."""
    return parse_variants(text_of(path, EXPERIMENT), str(path))


def parse_variants(text: str, name: str) -> Variants:
    """As `load_variants`, of a text that is called `name` in messages."""
    told = document(text, name, EXPERIMENT)
    if MATRIX not in told.words:
        return Variants(name, text, (), (Variant("", (), told.read_as(Experiment), text),))
    varied = axes(told)
    plain = {key: value for key, value in told.words.items() if key != MATRIX}
    found: list[Variant] = []
    faults: list[_Fault] = []
    for number, places in enumerate(product(*(range(len(axis.values)) for axis in varied)), 1):
        words, called = _substituted(plain, varied, places), name_of(varied, places, number)
        read = _read(words)
        if isinstance(read, dict):
            faults += [_Fault(where, sentence, called, places) for where, sentence in read.items()]
            continue
        labels = tuple(axis.labels[place] for axis, place in zip(varied, places, strict=True))
        found.append(Variant(called, labels, read, f"# the variant {called}\n{written(words)}"))
    if faults:
        own = _read(plain)
        raise SpecError("\n".join(_complaints(told, varied, faults, own if isinstance(own, dict) else {})))
    return Variants(name, text, tuple(axis.tail for axis in varied), tuple(found))


def _read(words: dict[str, Any]) -> Experiment | dict[Where, str]:
    """The experiment of these words, or what is wrong with them."""
    try:
        return Experiment.model_validate(words)
    except ValidationError as error:
        return misreadings(error.errors(), words)


def _substituted(plain: dict[str, Any], varied: tuple[Axis, ...], places: tuple[int, ...]) -> dict[str, Any]:
    words: Any = plain
    for axis, place in zip(varied, places, strict=True):
        words = _with(words, axis.where, axis.values[place])
    return dict(words)


def _with(part: Any, where: Where, value: Any) -> Any:
    """A copy of the words with this value at that place. What is not there is made."""
    if not where:
        return value
    step, rest = where[0], where[1:]
    if isinstance(part, list):
        return [_with(each, rest, value) if at == step else each for at, each in enumerate(part)]
    part = part or {}
    return {**part, step: _with(part.get(step), rest, value)}


def _complaints(
    told: Document, varied: tuple[Axis, ...], faults: Sequence[_Fault], own: dict[Where, str]
) -> Iterator[str]:
    """A line for each mistake, however many variants have it."""
    said: dict[tuple[Where, str], str] = {}
    for fault in faults:
        place, sentence, remark = fault.where, fault.sentence, ""
        guilty = [at for at, axis in enumerate(varied) if _concerns(axis, place, told)]
        if own.get(place) != sentence:
            if len(guilty) == 1:
                place, sentence = _entry(varied, guilty[0], fault, faults)
            else:
                remark = f" (in the variant {fault.variant})"
        said.setdefault((place, sentence), str(told.wrong(sentence + remark, place)))
    yield from said.values()


def _concerns(axis: Axis, where: Where, told: Document) -> bool:
    """Whether this place is above or below what is varied, or beside it in words that the matrix alone made."""
    common = tuple(step for step, _ in takewhile(lambda pair: pair[0] == pair[1], zip(where, axis.where, strict=False)))
    return common in (where, axis.where) or not told.has(common)


def _entry(varied: tuple[Axis, ...], guilty: int, fault: _Fault, faults: Sequence[_Fault]) -> tuple[Where, str]:
    """The value of the matrix that is at fault, or its key when each of its values is, and what is wrong."""
    axis = varied[guilty]
    same = {each.places[guilty] for each in faults if (each.where, each.sentence) == (fault.where, fault.sentence)}
    is_below = fault.where[: len(axis.where)] == axis.where
    if len(same) == len(axis.values):
        sentence = fault.sentence if fault.where == axis.where else f"{dotted(fault.where)}: {fault.sentence}"
        return (MATRIX, axis.key), sentence
    value = (MATRIX, axis.key, fault.places[guilty])
    if is_below:
        return (*value, *fault.where[len(axis.where) :]), fault.sentence
    return value, f"{dotted(fault.where)}: {fault.sentence}"
