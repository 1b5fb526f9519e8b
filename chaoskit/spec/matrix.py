"""Expands the matrix of a file: every combination of its values becomes one experiment, a variant.

    matrix:
      workload.prompt-size: [200B, 1kB, 4kB]
      faults.wifi.netem.loss: [0.1%, 1%]

Rules: a key is a dotted path of the file, present or not; list indices count from 0; everything after `sysctl` is one
key. Values are substituted before validation, so that a variant is checked like a file of its own. The first key varies
slowest. Errors are reported at the entry of the matrix that causes them; errors that exist without the matrix, at
their own location; errors that need several entries, at their own location with the name of the variant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product, takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chaoskit.errors import SpecError
from chaoskit.faults.schema import FROM_FILE, suggestion
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.key_lines import MATRIX
from chaoskit.spec.known_keys import places
from chaoskit.spec.load import (
    EXPERIMENT,
    Document,
    Location,
    describe_errors,
    dotted_path,
    is_suite,
    parse_document,
    read_text,
    to_yaml,
)
from chaoskit.spec.matrix_axes import MAX_VARIANTS, Axis, axes, variant_name
from chaoskit.spec.named_files import beside, missing_files
from chaoskit.spec.overrides import heading, naming, options_of, overridden, refuse_replaced, varying, with_value
from chaoskit.spec.stage import InterfaceStage


@dataclass(frozen=True)
class Variant:
    """One experiment of a file, and its text as a file of its own. `values`: a name for that of each axis.

    `settings` are the same values, by the paths of the axes.
    """

    name: str
    values: tuple[str, ...]
    settings: Mapping[str, Any]
    experiment: Experiment
    text: str


@dataclass(frozen=True)
class Variants:
    """The experiments of a file: all combinations of its matrix; without a matrix a single one, with an empty name."""

    file: str
    text: str
    axes: tuple[str, ...]
    each: tuple[Variant, ...]

    def named(self, name: str | None) -> Variant:
        """The variant of that name; None for a file without a matrix. Raises SpecError."""
        names = [variant.name for variant in self.each]
        if name is not None and not self.axes:
            raise SpecError(f"--variant: {self.file} has no matrix; remove --variant")
        if name is None and self.axes:
            raise SpecError(
                f"{self.file} has a matrix of {len(names)} variants, and one is expected: --variant {names[0]}, "
                f"for example; chaoskit plan {self.file} lists them all"
            )
        for variant in self.each:
            if variant.name == (name or ""):
                return variant
        raise SpecError(f"--variant: {name!r} is no variant of {self.file}; {suggestion(str(name), names)}")


@dataclass(frozen=True)
class _VariantError:
    """One error of a variant. `places`: the indices of the variant's values in the axes."""

    where: Location
    sentence: str
    variant: str
    places: tuple[int, ...]


def load_variants(
    path: Path, overrides: Mapping[str, Any] | None = None, givers: Mapping[str, str] | None = None
) -> Variants:
    """Every experiment of this file, with other values at some dotted paths of it, and in messages what gave them.

    Raises SpecError with one line for each error found.
    """
    return parse_variants(read_text(path, EXPERIMENT), str(path), overrides, givers)


def parse_variants(
    text: str, name: str, overrides: Mapping[str, Any] | None = None, givers: Mapping[str, str] | None = None
) -> Variants:
    """As `load_variants`, for a text that messages call `name`."""
    document = _document(text, name)
    if not overrides:
        return _read(document, text, MAX_VARIANTS)
    document = overridden(document, overrides, givers)
    with naming(overrides, document):
        return _read(document, f"{heading(overrides)}{to_yaml(document.words)}", MAX_VARIANTS)


def vary(
    text: str, name: str, overrides: Mapping[str, Any], variations: Mapping[str, Sequence[Any]], most: int
) -> Variants:
    """As `parse_variants`, with values of further axes, for at most so many variants."""
    document = overridden(_document(text, name), overrides)
    refuse_replaced(document, options_of("--set", overrides), options_of("--vary", variations))
    document = varying(document, variations)
    with naming({**overrides, **{key: [*each] for key, each in variations.items()}}, document):
        return _read(document, text, most)


def _document(text: str, name: str) -> Document:
    document = parse_document(text, name, EXPERIMENT)
    if is_suite(document.words):
        raise SpecError(f"{name} is a suite of experiments: chaoskit gameday {name}")
    return document


def _read(document: Document, text: str, most: int) -> Variants:
    with document.every_error():
        if MATRIX not in document.words:
            only = Variant("", (), {}, document.read_experiment(), text)
            return Variants(document.tree.name, text, (), (only,))
        return _expanded(document, text, most)


def _expanded(document: Document, text: str, most: int) -> Variants:
    """Every combination of the values of the file's matrix."""
    name = document.tree.name
    plain = {key: value for key, value in document.words.items() if key != MATRIX}
    matrix = _axes(document, plain, most)
    found: list[Variant] = []
    errors: list[_VariantError] = []
    for number, chosen in enumerate(product(*(range(len(axis.values)) for axis in matrix)), 1):
        words, variant = _substituted(plain, matrix, chosen), variant_name(matrix, chosen, number)
        read = _parse(words, name)
        if isinstance(read, dict):
            errors += [_VariantError(where, sentence, variant, chosen) for where, sentence in read.items()]
            continue
        shown = tuple(axis.shown(place) for axis, place in zip(matrix, chosen, strict=True))
        read = read.with_lines(document.key_lines)
        settings = {axis.key: axis.values[place] for axis, place in zip(matrix, chosen, strict=True)}
        found.append(Variant(variant, shown, settings, read, f"# the variant {variant}\n{to_yaml(words)}"))
    if errors:
        own = _parse(plain, name)
        raise SpecError("\n".join(_error_lines(document, matrix, errors, own if isinstance(own, dict) else {})))
    _require_one_namespace(document, found)
    return Variants(name, text, tuple(axis.tail for axis in matrix), tuple(found))


def _axes(document: Document, plain: dict[str, Any], most: int) -> tuple[Axis, ...]:
    """The axes. Raises SpecError for those with an error, and for what is wrong without them; they may add keys."""
    try:
        return axes(document, most)
    except SpecError as error:
        own = _parse(plain, document.tree.name)
        present = own.items() if isinstance(own, dict) else ()
        others = [str(document.error_at(sentence, where)) for where, sentence in present if document.has(where)]
        raise SpecError("\n".join([str(error), *others])) from None


def _require_one_namespace(document: Document, variants: Sequence[Variant]) -> None:
    """Raises SpecError where variants choose different network namespaces: a command enters one for good."""
    stages = (variant.experiment.stage for variant in variants)
    chosen = {stage.namespace_option if isinstance(stage, InterfaceStage) else "" for stage in stages}
    if len(chosen) > 1:
        sentence = "the variants are in different network namespaces; write a file for each, or one namespace for all"
        raise SpecError(str(document.error_at(sentence, (MATRIX,))))


def _parse(words: dict[str, Any], name: str) -> Experiment | dict[Location, str]:
    """The experiment with these keys and values, with whole paths, or their errors."""
    try:
        experiment = beside(Experiment.model_validate(words, context=FROM_FILE), name)
    except ValidationError as error:
        return describe_errors(error.errors(), words, known=places(Experiment))
    return dict[Location, str](missing_files(experiment)) or experiment


def _substituted(plain: dict[str, Any], matrix: tuple[Axis, ...], places: tuple[int, ...]) -> dict[str, Any]:
    words: Any = plain
    for axis, place in zip(matrix, places, strict=True):
        words = with_value(words, axis.where, axis.values[place])
    return dict(words)


def _error_lines(
    document: Document, matrix: tuple[Axis, ...], errors: Sequence[_VariantError], own: dict[Location, str]
) -> Iterator[str]:
    """A line for each error, however many variants have it."""
    said: dict[tuple[Location, str], str] = {}
    for error in errors:
        place, sentence, remark = error.where, error.sentence, ""
        causes = [at for at, axis in enumerate(matrix) if _concerns(axis, place, document)]
        if own.get(place) != sentence:
            if len(causes) == 1:
                place, sentence = _entry(matrix, causes[0], error, errors)
            else:
                remark = f" (in the variant {error.variant})"
        said.setdefault((place, sentence), str(document.error_at(sentence + remark, place)))
    yield from said.values()


def _concerns(axis: Axis, where: Location, document: Document) -> bool:
    """Whether this location is above or below the axis, or next to it in a part that only the matrix creates."""
    common = tuple(step for step, _ in takewhile(lambda pair: pair[0] == pair[1], zip(where, axis.where, strict=False)))
    return common in (where, axis.where) or not document.has(common)


def _entry(
    matrix: tuple[Axis, ...], cause: int, error: _VariantError, errors: Sequence[_VariantError]
) -> tuple[Location, str]:
    """The value of the matrix that causes the error, or its key if all its values do, and the sentence."""
    axis = matrix[cause]
    same = {each.places[cause] for each in errors if (each.where, each.sentence) == (error.where, error.sentence)}
    is_below = error.where[: len(axis.where)] == axis.where
    if len(same) == len(axis.values):
        sentence = error.sentence if error.where == axis.where else f"{dotted_path(error.where)}: {error.sentence}"
        return (MATRIX, axis.key), sentence
    value = (MATRIX, axis.key, error.places[cause])
    if is_below:
        return (*value, *error.where[len(axis.where) :]), error.sentence
    return value, f"{dotted_path(error.where)}: {error.sentence}"
