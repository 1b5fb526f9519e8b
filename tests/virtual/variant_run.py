"""Runs one variant of an experiment that others look at."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import other_python
import warm

from chaoskit.substrate.uml import GuestKernel


def conduct(file: Path, variant: str, kernel: GuestKernel, out: Path, path: str) -> Path:
    """Run a variant in virtual time, with this search path. Returns its directory."""
    done = warm.chaoskit(*_words(file, variant, kernel, out), environment={"PATH": path}, limit=280)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return out


def conduct_elsewhere(file: Path, variant: str, kernel: GuestKernel, out: Path, path: str, python: Path) -> Path:
    """The same by another Python, and in another environment."""
    words = [str(python), "-m", "chaoskit", *_words(file, variant, kernel, out)]
    environment = os.environ | other_python.ENVIRONMENT | {"PATH": f"{path}:/nowhere"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return out


def _words(file: Path, variant: str, kernel: GuestKernel, out: Path) -> list[str]:
    words = ["run", str(file), "--clock", "virtual", "--kernel", str(kernel.path), "--out", str(out)]
    return [*words, "--variant", variant] if variant else words
