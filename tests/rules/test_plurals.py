"""A number and its noun agree: `1 stream`, `2 streams`, by `units.counted` and `units.plural`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sources import FILES, name_of, trees

from chaoskit.units import counted

NOUNS = (
    *("streams", "requests", "tokens", "stalls", "packets", "handshakes", "connections", "segments", "filters"),
    *("rules", "changes", "phases", "objectives", "variants", "warnings", "errors", "records", "samples", "leases"),
)
AFTER_A_NUMBER = re.compile(rf"^ (?:{'|'.join(NOUNS)})\b(?!/)")
NEVER_ONE = {
    ("probe/fail_fast.py", "self._next"): "one request alone has a sentence of its own",
    ("spec/matrix.py", "len(names)"): "a matrix has several",
    ("spec/matrix_axes.py", "total"): "more than 500",
    ("planning/compile.py", "limit"): "at least 1000",
    ("report/console.py", "ratio"): "far from 1",
    ("kernel/tc/filters.py", "left"): "one filter alone has a sentence of its own",
    ("kernel/tc/foreign_filters.py", "hook"): "no number",
}
"""Where a number cannot be 1, and why."""


def numbers_before_plurals(tree: ast.Module) -> Iterator[str]:
    """What stands in braces before a plural noun in the texts of this file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                match value, text:
                    case ast.FormattedValue(value=number), ast.Constant(value=str(words)):
                        yield from [ast.unparse(number)] if AFTER_A_NUMBER.match(words) else []


def test_no_number_stands_before_a_fixed_plural() -> None:
    """No text has `{number} streams`, which is wrong for 1, nor `(s)`."""
    found = {(name_of(path), each) for path, tree in trees() for each in numbers_before_plurals(tree)}

    assert found - set(NEVER_ONE) == set(), "write counted(number, noun) of chaoskit.units"
    assert [name_of(path) for path in FILES if re.search(r" [a-z]+\(s\)", path.read_text())] == []


def test_one_has_no_s() -> None:
    """The helper itself."""
    assert [counted(number, "stream") for number in (0, 1, 2)] == ["0 streams", "1 stream", "2 streams"]
