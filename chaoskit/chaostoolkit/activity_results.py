"""Runs a command for an activity, and gives back its result as JSON of the journal."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaoslib.exceptions import ActivityFailed

from chaoskit import child_command
from chaoskit.child_command import Ended
from chaoskit.errors import VERDICTS, RefusedError

if TYPE_CHECKING:
    from chaoskit.analysis.result import ObjectiveResult, Result

Summary = dict[str, Any]
_LATENCIES = ("ttft", "itl", "e2el", "max_gap")


def command(*words: str, given: str = "", secrets: Mapping[str, str] | None = None) -> Ended:
    """Run `chaoskit WORDS`; secrets are variables of its environment. Raises ActivityFailed if it cannot be started."""
    try:
        return child_command.run(*words, given=given, variables=secrets)
    except RefusedError as error:
        raise ActivityFailed(str(error)) from None


def succeeding(*words: str, given: str = "") -> Ended:
    """The same for a command that has to end with 0. Raises ActivityFailed with its sentence."""
    ended = command(*words, given=given)
    if ended.code:
        raise ActivityFailed(ended.sentence)
    return ended


def words_of(options: Mapping[str, Any]) -> Iterator[str]:
    """Options of a command from keys and values: a list repeats its option, True is one without a value.

    Keys may have the dashes of the command line.
    """
    for name, value in options.items():
        option = f"--{name.strip('-').replace('_', '-')}"
        for each in value if isinstance(value, list | tuple) else [value]:
            if each is True:
                yield option
            elif each is not None and each is not False:
                yield from (option, each if isinstance(each, str) else json.dumps(each))


def options_of(given: object) -> dict[str, Any]:
    """The argument `options`. Raises ActivityFailed where it has no names."""
    if not isinstance(given, dict | None):
        raise ActivityFailed(f"options: found {given!r}, expected names with values, such as {{seed: 7}}")
    return given or {}


@contextmanager
def run_directory(out: str) -> Iterator[Path]:
    """A new run directory: `out`, or one that is deleted at the end."""
    if out:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        yield Path(folder) / "run"


def summary(run: Path, ended: Ended, is_kept: bool) -> Summary:
    """What a journal keeps of a run. Raises ActivityFailed for one that did not go as it should."""
    from chaoskit.analysis.analyse import analyse
    from chaoskit.errors import ChaoskitError

    if ended.code not in VERDICTS:
        raise ActivityFailed(ended.sentence)
    try:
        return _summary(analyse(run), is_kept)
    except ChaoskitError as error:
        raise ActivityFailed(str(error)) from None


def _summary(result: Result, is_kept: bool) -> Summary:
    overall = json.loads(result.overall.model_dump_json())
    others = [each for workload in result.workloads for each in workload.objectives]
    return {
        "name": result.name,
        "verdict": result.outcome.verdict,
        "reason": result.outcome.reason,
        "exit_code": result.exit_code,
        "run": result.run if is_kept else None,
        "started": result.overall.started,
        "complete": result.overall.complete,
        "interrupted": result.overall.interrupted,
        "objectives": _objectives([*result.objectives, *others]),
        **{name: {key: value for key, value in overall[name].items() if key.endswith("_ms")} for name in _LATENCIES},
    }


def _objectives(found: Sequence[ObjectiveResult]) -> list[Summary]:
    dumped = [json.loads(each.model_dump_json()) for each in found]
    kept = ("text", "verdict", "reason", "observed", "unit", "bound")
    return [{key: each[key] for key in kept} for each in dumped]
