"""Tests `chaoskit init`, in a clone and as installed from a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import warm

from chaoskit.spec.examples import example_lines

TOP = Path(__file__).parents[3]


def call(cwd: Path, *words: str, program: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in this folder: the clone's, or an installed program."""
    if not program:
        return warm.chaoskit(*words, cwd=cwd)
    return subprocess.run(
        [*program, *words], cwd=cwd, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The program as installed from its wheel, in a venv that sees this one's libraries and not the clone."""
    place = tmp_path_factory.mktemp("installed")
    words = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(place)]
    subprocess.run(words, cwd=TOP, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    python = place / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check"]
    install = ["install", "--no-index", "--no-deps", "--no-build-isolation", str(wheel)]
    subprocess.run([*pip, *install], check=True, capture_output=True)
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return (str(place / "venv" / "bin" / "chaoskit"),)


def test_a_new_file_can_be_run_at_once(tmp_path: Path) -> None:
    """`init` writes a gate, says what to type next, and what it says works."""
    answer = call(tmp_path, "init")

    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert lines[0] == "release-gate.yaml is written. Next:"
    assert lines[-1] == "  chaoskit run release-gate.yaml"
    for line in lines[1:-1]:
        assert call(tmp_path, *line.partition("#")[0].split()[1:]).returncode == 0


def test_an_endpoint_gate_asks_for_root(tmp_path: Path) -> None:
    """For an endpoint the next command is with sudo, which keeps the variable of the key; root needs no sudo."""
    answer = call(tmp_path, "init", "mine", "--endpoint", "http://127.0.0.1:8000", "--model", "m", "--api-key-env", "K")

    sudo = "sudo --preserve-env=K " if os.geteuid() else ""
    assert answer.stdout.splitlines()[3] == f"  {sudo}chaoskit run mine.yaml"
    assert "  target: http://127.0.0.1:8000\n  model: m\n  key-env: K\n" in (tmp_path / "mine.yaml").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--lab", "--endpoint", "http://127.0.0.1:8000"), "--lab and --endpoint exclude each other"),
        (("--endpoint", "http://127.0.0.1:8000", "--example", "vpn-presets"), "--endpoint and --example exclude"),
        (("--model", "m"), "--model, --api-key-env and --protocol are of an endpoint: give its URL"),
        (("--endpoint", "http://127.0.0.1/v1?api_key=x"), "environment variable with --api-key-env\n"),
        (("--example", "nothing"), "there are\n  asymmetric-vpn "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_answered_and_write_nothing(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    """Options that contradict each other, or name nothing, get a sentence and exit code 2."""
    answer = call(tmp_path, "init", *words)

    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_installed_chaoskit_brings_its_experiments(installed: tuple[str, ...], tmp_path: Path) -> None:
    """From the wheel alone `init` lists the same experiments, copies them byte for byte, and writes both gates."""
    listed = call(tmp_path, "init", "--list", program=installed)
    copied = call(tmp_path, "init", "--example", "loss-first-token", program=installed)
    gates = [call(tmp_path, "init", *words, program=installed) for words in ((), ("--endpoint", "http://127.0.0.1:1"))]
    checked = call(tmp_path, "validate", *sorted(path.name for path in tmp_path.iterdir()), program=installed)

    assert listed.stdout.splitlines() == example_lines()
    assert copied.returncode == 0, copied.stderr
    original = TOP / "experiments" / "loss-first-token.yaml"
    assert (tmp_path / "loss-first-token.yaml").read_bytes() == original.read_bytes()
    assert [gate.returncode for gate in gates] == [0, 0]
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": ok, ") == 3
