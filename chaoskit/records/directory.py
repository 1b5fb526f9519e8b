"""A run's own folder: made new, never written into twice."""

from __future__ import annotations

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
