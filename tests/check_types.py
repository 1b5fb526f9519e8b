"""Checks the types of the tests with mypy, as many folders at once as have no two modules of one name.

python tests/check_types.py
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[1]
HELPERS = (
    "tests",
    "tests/rules",
    "tests/unit/probe",
    "tests/unit/server",
    "tests/unit/tiers",
    "tests/unit/timeouts",
    "tests/kernel",
    "tests/virtual",
)
"""Where the modules lie that tests import by their name, as in pyproject.toml."""
FOLDERS = ("tests", "tests/rules", "tests/guest", "tests/kernel", "tests/virtual", "tests/bench", "tests/unit")


def groups() -> list[list[str]]:
    """The files of each run: some folders, or a package of helpers."""
    folders = [TOP / folder for folder in FOLDERS] + sorted(
        path for path in (TOP / "tests/unit").rglob("*") if any(path.glob("*.py"))
    )
    found: list[dict[str, str]] = []  # the files of a run by their names
    for folder in folders:
        files = {path.name: str(path.relative_to(TOP)) for path in sorted(folder.glob("*.py"))}
        for run in found:
            if not files.keys() & run.keys():
                run |= files
                break
        else:
            found.append(files)
    return [[*files.values()] for files in found] + [["-p", "soak"], ["-p", "fuzz"]]


def main() -> int:
    """Run mypy for each group, print what it finds. Returns 1 when it finds anything."""
    path = os.pathsep.join(str(TOP / folder) for folder in HELPERS)
    failed = False
    for files in groups():
        command = [sys.executable, "-m", "mypy", "--no-error-summary", *files]
        failed |= subprocess.run(command, cwd=TOP, env={**os.environ, "MYPYPATH": path}, check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
