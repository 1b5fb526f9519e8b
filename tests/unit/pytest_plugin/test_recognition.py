"""A YAML file is an experiment by its keys, which are looked at without loading it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaoskit.pytest_plugin.recognition import KEYS, SUITE_KEYS, is_experiment, is_named, is_suite
from chaoskit.spec.experiment import Experiment
from chaoskit.spec.suite import Suite

TOP = Path(__file__).parents[3]
SHIPPED = sorted((TOP / "experiments").rglob("*.y*ml"))


def test_the_keys_are_those_of_an_experiment() -> None:
    """The plugin knows each key of an experiment and of a suite, and no other."""
    assert {field.alias for field in Experiment.model_fields.values()} == KEYS
    assert {field.alias for field in Suite.model_fields.values()} == SUITE_KEYS


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_included_experiments_are_recognised(path: Path) -> None:
    """Every included experiment is recognised, and neither a suite nor a configuration of a proxy."""
    assert is_experiment(path) == (path.suffix == ".yaml" and path.name != "gameday.yaml")
    assert is_suite(path) == (path.name == "gameday.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: app\nservices:\n  web: {image: nginx}\n",  # Docker Compose
        "name: build\non: push\njobs: {}\n",  # GitHub Actions
        "stages: [build]\nbuild:\n  stage: build\n",  # GitLab
        "name: env\ndependencies: [python]\n",  # conda
        "- name: play\n  stage: x\n  workload: y\n",
        "static_resources: {}\nstage: x\nworkload: y\n",
        "interface: eth0\nup: delay 10ms\nfor: 60s\n",  # an injection
        "\x00\xff\nname: x\nstage: y\nworkload: z\n",
        "name",
    ],
)
def test_other_files_are_not(tmp_path: Path, text: str) -> None:
    """Files of other programs are not experiments, whatever they begin with."""
    path = tmp_path / "some.yaml"
    path.write_text(text, errors="surrogateescape", encoding="latin-1")

    assert not is_experiment(path)


@pytest.mark.parametrize("begin", ["", "---\n", "# a comment\n\n---\n", "\ufeff", "%YAML 1.1\n---\n", "  # one\r\n"])
def test_what_stands_before_the_first_key_does_not_matter(tmp_path: Path, begin: str) -> None:
    """Comments, empty lines, directives and a byte order mark may stand before an experiment; a key may be misspelt."""
    path = tmp_path / "some.yaml"
    path.write_text(f"{begin}name: x\nquestion: y\nworklod: z\nstage: {{lab: edge}}\n", newline="")

    assert is_experiment(path)


def test_a_pipe_or_a_missing_file_does_not_hold_up(tmp_path: Path) -> None:
    """A named pipe, a folder and a file that is not there are no experiments, and are not waited for."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()

    assert not any(is_experiment(tmp_path / name) for name in ("pipe.yaml", "folder.yaml", "none.yaml"))


@pytest.mark.parametrize(
    ("pattern", "is_expected"),
    [("*.yaml", True), ("chaos/*.yaml", True), ("wifi.yaml", True), ("*.yml", False), ("other/*.yaml", False)],
)
def test_patterns_are_for_names_or_paths(tmp_path: Path, pattern: str, is_expected: bool) -> None:
    """A pattern is for the name of a file, and one with a slash for its path below the root."""
    assert is_named(tmp_path / "chaos" / "wifi.yaml", [pattern], tmp_path) == is_expected
