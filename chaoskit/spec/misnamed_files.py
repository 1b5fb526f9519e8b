"""Says what was meant by a path that is no experiment file: a run, a folder, a URL, a near name."""

from __future__ import annotations

from difflib import get_close_matches
from itertools import islice
from os.path import lexists
from pathlib import Path

from chaoskit.spec.examples import example_command

_SUFFIXES = (".yaml", ".yml")
_MOST = 10_000  # entries of a folder that are looked at


def meant_instead(path: Path) -> str:
    """What to type instead of this path."""
    if str(path).startswith(("http:/", "https:/")):
        return "a URL is measured by chaoskit probe URL"
    if path.is_dir():
        if any(lexists(path / name) for name in ("plan.json", "probe.json")):
            return f"that is the directory of a run: chaoskit report {path}"
        found = [str(path / name) for name in _experiments(path)]
        return f"give a file in it, such as {found[0]}" if found else "give the path of an experiment file"
    names = _experiments(path.parent)
    near = [name for name in names if name == f"{path.name}.yaml"] or get_close_matches(path.name, names, 1, 0.7)
    if near:
        return f"did you mean {path.parent / near[0]}?"
    return f"give the path of an experiment file{example_command(path.stem)}"


def _experiments(folder: Path) -> list[str]:
    """The names of the YAML files in it."""
    try:
        return sorted(each.name for each in islice(folder.iterdir(), _MOST) if each.suffix in _SUFFIXES)
    except OSError:
        return []
