"""Checks the types of the tests with mypy, folder by folder, for some have modules of one name.

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
TOGETHER = ("tests", "tests/rules", "tests/guest", "tests/kernel", "tests/virtual", "tests/bench")


def groups() -> list[list[str]]:
    """The files of each run: a folder, or a package of helpers."""
    folders = [TOP / folder for folder in TOGETHER] + sorted(
        path for path in (TOP / "tests/unit").iterdir() if path.is_dir()
    )
    found = [[str(path.relative_to(TOP)) for path in sorted(folder.glob("*.py"))] for folder in folders]
    packages = [["-p", "soak"], ["-p", "fuzz"]]
    return [files for files in found if files] + [sorted(map(str, (TOP / "tests/unit").glob("*.py")))] + packages


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
