"""Reads the result that a run has written beside its records."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from chaoskit.analysis.result import Result
from chaoskit.errors import SpecError
from chaoskit.folder import display_path
from chaoskit.records.untrusted_files import damage_error, parse_json, read_document

NAME = "result.json"


def read_result(run: Path) -> Result:
    """The result in this run directory, as `analyse` has made it. Raises SpecError: it is missing, or damaged."""
    file = run / NAME
    text = read_document(file)
    if text is None:
        raise SpecError(f"{file} is missing: the run had no result")
    try:
        found = Result.model_validate(parse_json(text))
    except ValidationError as error:
        raise damage_error(file, str(error.errors()[0]["msg"])) from None
    return found.model_copy(update={"run": str(display_path(run)), "headline": ""})
