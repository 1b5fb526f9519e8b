"""Gives tests a function that builds a lab behind a fault, and tells its address on this machine.

A lab is `chaoskit up` in a process of its own: in this kernel if it can, else in a guest. It ends with the test, and
when pytest dies.
"""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaoskit import child_command
from chaoskit.child_command import Ended
from chaoskit.errors import RefusedError
from chaoskit.pytest_plugin.session import Session
from chaoskit.pytest_plugin.shared_runs import NoResult

_PATIENCE = 300  # s, until a lab stands, on a busy machine


@dataclass(frozen=True)
class Lab:
    """A lab that stands. `url` is its target's; `ports` are addresses of this machine by `HOST:PORT` of the lab.

    `environment` has the variables in which clients look for their server, such as OPENAI_BASE_URL.
    """

    url: str | None
    ports: dict[str, str]
    environment: dict[str, str]


BuildLab = Callable[..., Lab]


def builder(request: pytest.FixtureRequest) -> Iterator[BuildLab]:
    """The function for a test. All its labs end with the test."""
    session, children = Session.of(request.config), list[subprocess.Popen[bytes]]()

    def build(
        path: str | Path, fault: str | Sequence[str] = (), *, variant: str | None = None, publish: Sequence[str] = ()
    ) -> Lab:
        __tracebackhide__ = True
        words = ["up", str(request.config.rootpath / path), "--json"]
        for option, values in (("--fault", [fault] if isinstance(fault, str) else fault), ("--publish", publish)):
            words += [word for value in values for word in (option, value)]
        words += ["--variant", variant] if variant else []
        try:
            child = child_command.start(*words, *session.kernel_options)
        except RefusedError as error:
            raise NoResult(str(error), error.exit_code) from None
        try:
            lab = _standing(child)
        except BaseException:
            child_command.stop(child)
            raise
        children.append(child)
        return lab

    yield build
    gone = [child for child in children if child.poll() is not None]
    for child in reversed(children):
        child_command.stop(child)
    if gone:
        pytest.fail(f"a lab ended before its test: exit code {gone[0].returncode}", pytrace=False)


def _standing(child: subprocess.Popen[bytes]) -> Lab:
    """What it says when it stands. Raises NoResult if it ends before."""
    __tracebackhide__ = True
    assert child.stdout is not None, "it has pipes"
    readable, _, _ = select.select([child.stdout], (), (), _PATIENCE)
    line = child.stdout.readline() if readable else b""
    with suppress(ValueError):
        return Lab(*(json.loads(line)[name] for name in ("target", "ports", "environment")))
    if not readable:
        raise NoResult(f"the lab did not stand after {_PATIENCE} s", RefusedError.exit_code)
    _, err = child.communicate()
    ended = Ended(child.returncode, "", err.decode(errors="replace"))
    raise NoResult(ended.sentence, ended.code)
