"""Defines the keys of a suite file: experiments that are run together, and what is expected of each.

    name: weekly
    experiments:
      - experiments/release-gate.yaml
      - {file: experiments/loss-*.yaml, expect: broken, owner: transport}
    budget: 30m

The keys are the names of the fields in kebab-case. `suite_load.py` reads a file and finds its experiments.
"""

from __future__ import annotations

import shlex
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from chaoskit.faults.schema import SpecModel, bounded, short_form
from chaoskit.spec.diagnostics import brief
from chaoskit.spec.experiment import LONGEST
from chaoskit.units import Duration

Expectation = Literal["met", "broken"]
Failure = Literal["broken", "undecided", "error", "not-run"]
Event = Literal["end", "change"]
NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"
_MINUTE = 60 * 10**9
_Time = Annotated[Duration, bounded(Duration(10**9), LONGEST, "a suite would seem to hang")]


def _command(words: Any) -> Any:
    """A list of words is short for `run`."""
    if isinstance(words, str):
        given = [[*shlex.split(words)]] if _is_shell_words(words) else ["[COMMAND, WORD]"]
        raise ValueError(f"found {words[:60]!r}, expected a command as a list of its words: {_flow(given[0])}")
    return {"run": words} if isinstance(words, list) else words


def _commands(words: Any) -> Any:
    """One sentence for the words of a single command, or for command lines, where a list of commands is expected."""
    texts = [words] if isinstance(words, str) else words
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
        return words
    if not all(map(_is_shell_words, texts)):
        raise ValueError(f"found {brief(words)}, expected a list of commands: [[COMMAND, WORD]]")
    is_lines = isinstance(words, str) or len(shlex.split(texts[0])) > 1
    given = [_flow(shlex.split(each)) for each in texts] if is_lines else [_flow(texts)]
    raise ValueError(f"found {brief(words)}, expected a list of commands; write [{', '.join(given)[:200]}]")


def _is_shell_words(words: str) -> bool:
    try:
        return bool(shlex.split(words))
    except ValueError:
        return False


def _flow(words: list[str] | str) -> str:
    return words if isinstance(words, str) else f"[{', '.join(words)[:60]}]"


_Words = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, max_length=1000)]


class SuiteCommand(SpecModel):
    """A command of the suite: its words, no shell; it runs in the suite file's folder."""

    run: _Words = Field(description="The program and its arguments, as a list. There is no shell: `[sh, -c, ...]`.")
    timeout: _Time = Field(Duration(_MINUTE), description="It is killed, and has failed, after this time.")


WrittenCommand = Annotated[SuiteCommand, BeforeValidator(_command, json_schema_input_type=SuiteCommand | list[str])]
_Commands = Annotated[tuple[WrittenCommand, ...], Field(max_length=100), BeforeValidator(_commands)]


class Notification(SuiteCommand):
    """A command that gets the summary as JSON on its standard input."""

    timeout: _Time = Field(Duration(_MINUTE // 2), description="It is killed after this time.")
    on: Annotated[tuple[Event, ...], Field(min_length=1)] = Field(
        ("end",), description="`end`: once, with the whole summary; `change`: when the exit code so far changes."
    )


WrittenNotification = Annotated[
    Notification, BeforeValidator(_command, json_schema_input_type=Notification | list[str])
]


class Abort(SpecModel):
    """What ends a suite early. What runs then is finished; the rest is not run."""

    broken: Annotated[int, Field(ge=1)] | None = Field(
        None, description="So many runs that did not end as expected: broken, or met where `broken` is expected."
    )
    errors: Annotated[int, Field(ge=1)] | None = Field(None, description="So many runs that ended with an error.")
    unless: WrittenCommand | None = Field(None, description="A command that must succeed before each run.")


class Entry(SpecModel):
    """One experiment file, or several by a pattern, and what is expected of each."""

    file: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="An experiment file, relative to this one, or a pattern: `experiments/*.yaml`, `**/*.yaml`."
    )
    name: Annotated[str, Field(pattern=NAME)] | None = Field(
        None, description="The name of the run, and of its directory. Default: that of the experiment."
    )
    variants: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)] | None = Field(
        None, description="Variants of its matrix, each as a run of its own. Default: the matrix as one run."
    )
    set_: Annotated[dict[str, Any], Field(max_length=100)] = Field(
        default_factory=dict, description="Values of the file that are replaced, by their dotted paths."
    )
    owner: Annotated[str, Field(max_length=200)] | None = Field(None, description="Who is told when it fails.")
    hypothesis: Annotated[str, Field(max_length=1000)] | None = Field(
        None, description="What should hold, in a sentence. Without it reports have the question of the experiment."
    )
    expect: Expectation = Field(
        "met", description="`broken`: it shows a known weakness, and fails when it is suddenly met."
    )
    until_decided: _Time | None = Field(
        None, description="Repeat its timeline until every objective is decided, for this time at most."
    )
    before: _Commands = Field((), description="Commands before the run. When one fails it is not run.")
    after: _Commands = Field((), description="Commands after it, whatever its end. One that fails is an error.")


WrittenEntry = Annotated[Entry, BeforeValidator(short_form("file"), json_schema_input_type=Entry | str)]


class Suite(SpecModel):
    """A suite of experiments."""

    name: Annotated[str, Field(pattern=NAME)] = Field(description="Lower-case letters, digits and `-`.")
    owner: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="Who is told when an experiment without an owner fails."
    )
    experiments: Annotated[tuple[WrittenEntry, ...], Field(min_length=1, max_length=1000)] = Field(
        description="The experiments, in order."
    )
    order: Literal["as-written", "shuffled"] = Field(
        "as-written", description="`shuffled`: in an order that the seed draws."
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="The order of a shuffled suite follows from it.")
    budget: _Time | None = Field(
        None, description="The longest time of all. What does not fit any more is not run, and named."
    )
    abort: Abort = Field(Abort(), description="What ends the suite early.")
    before: _Commands = Field((), description="Commands before the first run. When one fails nothing is run.")
    after: _Commands = Field((), description="Commands at the end, whatever it is. One that fails is an error.")
    fail_on: Annotated[tuple[Failure, ...], Field(min_length=1)] = Field(
        ("broken", "undecided", "error", "not-run"),
        description="What makes the exit code other than 0. What was not restored always does.",
    )
    notify: WrittenNotification | None = Field(None, description="A command that gets the summary as JSON.")

    @property
    def commands(self) -> tuple[SuiteCommand, ...]:
        """All commands that it may start."""
        entries = (each for entry in self.experiments for each in (*entry.before, *entry.after))
        others = (each for each in (self.abort.unless, self.notify) if each is not None)
        return (*self.before, *self.after, *entries, *others)
