"""The attributes of spans are named and described in one place."""

from __future__ import annotations

import re

from chaoskit.records import span_names


def test_every_attribute_stands_in_the_table_once() -> None:
    """The docstring's table has a row for each constant; `error.type` is a field of the record itself."""
    described = re.findall(r"^\| `([a-z_.]+)`", span_names.__doc__ or "", re.MULTILINE)
    named = [value for name, value in vars(span_names).items() if name.isupper()]

    assert sorted(described) == sorted(set(named) - {span_names.ERROR_TYPE})
    assert len(named) == len(set(named))
