"""Carries out a composite action of GitHub's as far as a machine without GitHub can.

Steps with `run` are executed by bash as a runner does it, with the files behind GITHUB_OUTPUT, GITHUB_PATH and
GITHUB_STEP_SUMMARY; steps with `uses` are recorded with what they would get. Of expressions there is what our action
uses: names, strings, `always()`, `==`, `!=`, `&&`, `||`.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_HOLE = re.compile(r"\$\{\{ *(.*?) *\}\}")
_PRINTED_COMMAND = re.compile(r"\s*::([\w-]+)( .*?)?::(.*)")


@dataclass
class Job:
    """What one use of the action did to its job."""

    exit_code: int = 0
    log: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    summary: str = ""

    @property
    def obeyed(self) -> list[str]:
        """The workflow commands in the log that a runner obeys: none while they are stopped."""
        token, found = "", []
        for line in self.log.splitlines():
            match = _PRINTED_COMMAND.fullmatch(line)
            if match is None:
                continue
            if token:
                token = "" if match[1] == token else token
            elif match[1] == "stop-commands":
                token = match[3]
            else:
                found.append(line)
        return found


def carry_out(action: Path, inputs: dict[str, str], place: Path, workspace: Path, path: str) -> Job:
    """Use the action in this folder: `place` is the runner's own, `workspace` that of the job, `path` its PATH."""
    told = yaml.safe_load((action / "action.yml").read_text())
    unknown = inputs.keys() - told["inputs"]
    assert not unknown, f"no inputs of the action: {unknown}"
    files = {name: place / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    names = {f"inputs.{name}": str(each["default"]) for name, each in told["inputs"].items()}
    names |= {f"inputs.{name}": value for name, value in inputs.items()}
    environment = {
        "HOME": os.environ["HOME"],
        "GITHUB_ACTION_PATH": str(action),
        "GITHUB_JOB": "chaos",
        "GITHUB_WORKSPACE": str(workspace),
        "RUNNER_TEMP": str(place),
        **{name: str(file) for name, file in files.items()},
    }
    job = Job()
    for step in told["runs"]["steps"]:
        if not _is_true(step.get("if", "success()"), names, has_failed=job.exit_code != 0):
            continue
        if "uses" in step:
            name = step["uses"].partition("@")[0]
            job.used[name] = {key: _filled(str(value), names) for key, value in step["with"].items()}
            continue
        for file in files.values():
            file.touch()
        files["GITHUB_OUTPUT"].write_text("")
        given = {key: _filled(value, names) for key, value in step.get("env", {}).items()}
        added = ":".join([*reversed(files["GITHUB_PATH"].read_text().split()), path])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=workspace / _filled(step.get("working-directory", "."), names),
            env=environment | {"PATH": added} | given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=280,
            check=False,
        )
        job.log += done.stdout
        job.exit_code = job.exit_code or done.returncode
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            key, _, value = line.partition("=")
            names[f"steps.{step['id']}.outputs.{key}"] = value
    job.summary = files["GITHUB_STEP_SUMMARY"].read_text()
    job.outputs = {name: _filled(each["value"], names) for name, each in told["outputs"].items()}
    return job


def _filled(text: str, names: dict[str, str]) -> str:
    return _HOLE.sub(lambda hole: _value(hole[1], names), text)


def _value(word: str, names: dict[str, str]) -> str:
    """A string or a name; an output that no step wrote is empty, and an unknown input is a mistake of the action."""
    if word.startswith("'"):
        return word[1:-1]
    assert word in names or word.startswith("steps."), f"{word} is not known here"
    return names.get(word, "")


def _is_true(condition: str, names: dict[str, str], has_failed: bool) -> bool:
    """A condition, to which a runner adds success() where it names no status."""
    status: dict[str, bool] = {"always()": True, "success()": not has_failed, "failure()": has_failed}
    alternatives = [part.split(" && ") for part in condition.split(" || ")]
    found = any(all(_holds(each.strip(), names, status) for each in part) for part in alternatives)
    return found and (any(word in condition for word in status) or not has_failed)


def _holds(test: str, names: dict[str, Any], status: dict[str, bool]) -> bool:
    if test in status:
        return status[test]
    left, sign, right = test.split()
    return (_value(left, names) == _value(right, names)) is (sign == "==")
