"""What this machine can do, found out by doing it: in a forked child, in a namespace made for the purpose.

The caller's own namespace is never touched, and nothing is left of what was tried. pyroute2 is loaded in
the child alone, because a caller that only wants to know should not pay for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from chaoskit import crash_report
from chaoskit.errors import EXIT_SOFTWARE, CrashError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces

FEATURES = (
    "namespaces",
    "veth",
    "netem",
    "netem-seed",
    "ifb",
    "clsact",
    "matchall",
    "flower",
    "u32",
    "drop",
    "police",
    "clamp",
)
_ROOT, _USER = "as we are", "in a user namespace"


def survey() -> Facts:
    """Try everything once. Needs no rights, but finds more with them; takes a quarter of a second.

    `Facts.root` says that we may make network namespaces as we are, `user_namespaces` that we may after
    `enter_user_namespace`. The process must have one thread.
    """
    answers = _ask(_try_everything)
    return Facts(
        kernel=os.uname().release,
        root=not answers[_ROOT],
        user_namespaces=not answers[_USER],
        features=frozenset(feature for feature in FEATURES if not answers[feature]),
        missing={feature: answers[feature] for feature in FEATURES if answers[feature]},
    )


def _try_everything() -> dict[str, str]:
    """For each feature and each way in what the kernel answered; "" is a yes. This process is spent after it."""
    as_we_are = _refusal(namespaces.leave)
    if as_we_are and (refused := _refusal(namespaces.enter_user_namespace)):
        return {_ROOT: as_we_are, _USER: refused, **dict.fromkeys(FEATURES, refused)}
    from chaoskit.kernel.feature_tests import (
        attempt,
    )  # here, not at the top: it loads pyroute2, and this is the child

    answers = attempt()
    in_user_namespace = "" if as_we_are else _refusal(namespaces.enter_user_namespace)
    return {_ROOT: as_we_are, _USER: in_user_namespace, **answers}


def _refusal(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except RefusedError as error:
        return str(error)
    return ""


def _ask(question: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The answers of a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 0
        try:
            os.close(reader)
            os.write(writer, json.dumps(question()).encode())
        except BaseException as error:  # noqa: BLE001  whatever happened: none of the parent's business may run twice
            status = crash_report.print_report(error)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, ended = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(ended) == EXIT_SOFTWARE:
        raise CrashError("a mistake in chaoskit ended the survey of this kernel, see above")
    if ended != 0:
        raise RefusedError("the survey of this kernel broke off: to see why, chaoskit doctor; or --substrate uml")
    answers: dict[str, str] = json.loads(text)
    return answers
