"""The guide for people with a service of their own: its gateway, its experiment and its output, as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from chaoskit.analysis.analyse import analyse
from chaoskit.substrate.uml import GuestKernel

PAGE = Path(__file__).parents[2] / "docs" / "your-service.md"


def blocks(kind: str) -> list[str]:
    """The blocks of this language on the page."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def run(kernel: GuestKernel, folder: Path, gateway: str) -> subprocess.CompletedProcess[str]:
    """The experiment of the page, with this gateway."""
    folder.mkdir()
    (folder / "gateway.py").write_text(gateway)
    (folder / "my-gateway.yaml").write_text(blocks("yaml")[0])
    words = ["run", "my-gateway.yaml", "--clock", "virtual", "--kernel", str(kernel.path), "--out", "run"]
    python = Path(sys.executable)
    return subprocess.run(
        [str(python), "-m", "chaoskit", *words],
        cwd=folder,
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def rounded(text: str) -> list[str]:
    """The words without what may differ by microseconds from run to run, line ends included."""
    return re.sub(r"\(spread.*?\)", "", " ".join(text.split()), flags=re.DOTALL).split()


def test_the_page_says_what_happens(kernel: GuestKernel, tmp_path: Path) -> None:
    """The experiment has twenty lines and ends as quoted; with the one line of the page all objectives are met."""
    gateway, line, *_ = blocks("python")
    (before,) = re.findall(r"^model = .*$", gateway, re.MULTILINE)
    quoted = re.search(r"<!-- my-gateway -->\n```text\n\$ .*?\n\.\.\.\n(.*?)```", PAGE.read_text(), re.DOTALL)

    untouched = run(kernel, tmp_path / "untouched", gateway)
    mended = run(kernel, tmp_path / "mended", gateway.replace(before, line.strip()))

    assert len(blocks("yaml")[0].splitlines()) <= 20
    assert quoted is not None
    assert (untouched.returncode, mended.returncode) == (1, 0), untouched.stdout + mended.stderr
    sections = [part for part in untouched.stdout.split("\n\n") if part.startswith(("Objectives", "Who ended them"))]
    last = untouched.stdout.strip().splitlines()[-1]
    assert rounded("\n".join([*sections, last])) == rounded(quoted[1])
    assert [each.verdict for each in analyse(tmp_path / "mended" / "run").objectives] == ["met", "met"]
