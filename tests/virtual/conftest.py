"""What the virtual tiers need: our own kernel, built when the cache lacks it, and a guest that answers in JSON.

They never skip: where the kernel cannot be built, every test in them fails and says what to install.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import warm
from clocks import REPEATING

from chaoskit.clock import RealClock
from chaoskit.spec.matrix import load_variants
from chaoskit.substrate import kernel_build, kernel_cache, uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

Ask = Callable[..., Any]


@dataclass(frozen=True)
class Run:
    """A run that has ended: its directory, its exit code, and what was written of it."""

    directory: Path
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def kernel() -> uml.GuestKernel:
    """Our own kernel."""
    place = kernel_cache.cache()
    built = kernel_cache.newest(place)
    return uml.find(built.path if built else kernel_build.build(place, print))


@pytest.fixture(scope="session")
def shipped(kernel: uml.GuestKernel, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Run]:
    """Run an included experiment in virtual time: once for all tests, and twice where a test looks at how it repeats.

    Of a matrix its last variant is run.
    """

    @cache
    def run(path: Path) -> Run:
        variant = load_variants(path).each[-1]
        out = tmp_path_factory.mktemp(path.stem) / "run"
        options = ["--variant", variant.name] if variant.name else []
        options += ["--verify-repeatable"] if path.stem in REPEATING else []
        words = ["run", str(path), *options, "--clock", "virtual", "--kernel", str(kernel.path), "--out", str(out)]
        done = warm.chaoskit(*words, limit=280)
        return Run(out, done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def ask(kernel: uml.GuestKernel, tmp_path: Path) -> Ask:
    """Boot a guest with these options, run a Python program in it, and give back what it wrote to `answer`."""

    def boot(program: str, *options: str, folder: str = "a") -> Any:
        place = tmp_path / folder
        place.mkdir()
        answer = place / "answer.json"
        words = (sys.executable, "-c", f"import json\n{program}\njson.dump(answer, open({str(answer)!r}, 'w'))")
        guest = uml.Uml(kernel, options=options).launch(Command(words, place, Duration.parse("60s")), RealClock())
        assert guest.finish() == 0, guest.log.read_text()
        return json.loads(answer.read_text())

    return boot
