"""Runs one variant of an experiment that others look at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from chaoskit.substrate.uml import GuestKernel


def conduct(
    file: Path, variant: str, kernel: GuestKernel, out: Path, *, python: str = sys.executable, **environment: str
) -> Path:
    """Run a variant in virtual time. Returns its directory."""
    words = ["run", str(file), "--clock", "virtual", "--kernel", str(kernel.path), "--out", str(out)]
    words += ["--variant", variant] if variant else []
    done = subprocess.run(
        [python, "-m", "chaoskit", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return out
