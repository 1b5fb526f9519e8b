"""The experiment files that come with the program, without its suite."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "experiments"
SUITE = FOLDER / "gameday.yaml"
FILES = [path for path in sorted(FOLDER.rglob("*.yaml")) if path != SUITE]
