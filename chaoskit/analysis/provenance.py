"""Defines what a run was made with: `provenance.json` of a run directory, and a part of its result.

Rules: the file has the date of the start; the result of a run in virtual time has not, so that the same run has the
same result, byte for byte.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from chaoskit.errors import SpecError
from chaoskit.records.directory import PROVENANCE
from chaoskit.records.untrusted_files import read_document


class Provenance(BaseModel):
    """What a run was made with. A repository is the one that holds the experiment file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    started: str | None
    """Date and time of the start with the offset from UTC; null in the result of a run in virtual time."""
    time_zone: str
    """The time zone of the machine, as it calls it."""
    chaoskit: str
    """The version of chaoskit that made the records."""
    chaoskit_commit: str | None
    """The git commit of chaoskit where it is a checkout."""
    python: str
    """The version of Python."""
    kernel: str
    """The release of the machine's kernel; that of a guest is `kernel` of the result."""
    libraries: dict[str, str]
    """The versions of the libraries, by name."""
    file: str | None
    """The experiment file, as it was given."""
    sha256: str | None
    """The SHA-256 of the experiment file."""
    commit: str | None
    """The git commit of the repository, as HEAD names it."""
    is_modified: bool | None
    """Whether the file is not what that repository's index has: changed, or never added."""


def load_provenance(run: Path) -> tuple[Provenance | None, tuple[str, ...]]:
    """What the run was made with, and a warning if that cannot be read. A run of an older chaoskit has none."""
    try:
        text = read_document(run / PROVENANCE)
        return (None if text is None else Provenance.model_validate_json(text)), ()
    except (SpecError, ValidationError):
        return None, (f"what the run was made with is unknown: {PROVENANCE} cannot be read",)
