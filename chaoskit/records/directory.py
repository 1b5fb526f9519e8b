"""A run's own folder: made new, never written into twice."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chaoskit.errors import RefusedError


def create(run: Path, files: dict[str, str]) -> Path:
    """Make the folder with these first files in it. Returns its absolute path.

    Raises RefusedError when it holds something already or cannot be written.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        if any(run.iterdir()):
            raise RefusedError(f"{run} is not empty, and a run is never written over; give another --out")
        for name, text in files.items():
            (run / name).write_text(text)
    except OSError as error:
        raise RefusedError(f"cannot write the run directory {run}: {error.strerror}; give another --out") from error
    return run.resolve()


def conclude(run: Path, how: str, detail: str) -> None:
    """Write down how a run went, as its last word; on a full disk say it on stderr instead."""
    try:
        (run / "outcome.json").write_text(json.dumps({"how": how, "detail": detail}) + "\n")
    except OSError as error:
        print(f"chaoskit: {how}, and could not write that down: {error.strerror}", file=sys.stderr)
