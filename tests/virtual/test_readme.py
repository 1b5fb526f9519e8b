"""README.md's commands for an endpoint, as they stand there, in a guest where that endpoint exists."""

from __future__ import annotations

import json
import sys

import pytest
import readme_world
from pages import TOP, blocks

from chaoskit.clock import RealClock
from chaoskit.substrate import uml
from chaoskit.substrate.running import Command
from chaoskit.units import Duration

LINES = [
    line.split("  #")[0]
    for kind, text in blocks((TOP / "README.md").read_text())
    if kind == "sh"
    for line in text.replace("\\\n", " ").splitlines()
    if (readme_world.NAME in line or "my_client.py" in line) and not line.startswith("chaoskit init")
]
CLOSING = {
    "probe": (0, "MET"),
    "exec": (0, "events"),
    "inject": (0, "packets"),
}
"""The exit code of each command, and a word of its last lines."""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """What came of each line."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "lines.json").write_text(json.dumps(LINES))
    words = (sys.executable, readme_world.__file__, str(folder))
    guest = uml.Uml(uml.find(), options=uml.virtual_time(1)).launch(
        Command(words, folder, Duration.parse("100s")), RealClock()
    )
    assert guest.finish() == 0, guest.log.read_text()
    found = json.loads((folder / "answer.json").read_text())
    return {line: (code, said) for line, (code, said) in zip(LINES, found, strict=True)}


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_the_first_page_does_what_the_page_says(line: str, answers: dict[str, tuple[int, str]]) -> None:
    """It ends with 0, and with what a reader waits for."""
    command = line.removeprefix("sudo ").split()[1]
    code, said = answers[line]

    assert (code, CLOSING[command][1] in said) == (CLOSING[command][0], True), said


def test_every_kind_of_line_is_there() -> None:
    """The page shows all three."""
    assert {line.removeprefix("sudo ").split()[1] for line in LINES} == CLOSING.keys()
