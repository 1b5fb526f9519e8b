"""What this machine can do, found out by doing it: in a forked child, in a namespace made for the purpose.

The caller's own namespace is never touched, and nothing is left of what was tried. pyroute2 is loaded in
the child alone, because a caller that only wants to know should not pay for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces

Answers = dict[str, str]
"""For each feature what the kernel answered; "" is a yes."""

FEATURES = ("namespaces", "veth", "netem", "netem-seed", "ifb", "redirect")


def survey() -> Facts:
    """Try everything once. Takes about a tenth of a second; needs no rights, but finds more with them.

    `Facts.root` says that we may make network namespaces as we are, `user_namespaces` that an unprivileged
    process may after `enter_user_namespace`. The process must have one thread.
    """
    root = _ask(_as_we_are)["namespaces"]
    user = _ask(_in_user_namespace)["namespaces"]
    answers = _ask(_try_all if root == "" else _try_all_in_user_namespace)
    return Facts(
        kernel=os.uname().release,
        root=root == "",
        user_namespaces=user == "",
        features=frozenset(feature for feature in FEATURES if answers[feature] == ""),
        missing={feature: answers[feature] for feature in FEATURES if answers[feature] != ""},
    )


def _as_we_are() -> Answers:
    namespaces.leave()
    return {"namespaces": ""}


def _in_user_namespace() -> Answers:
    namespaces.enter_user_namespace()
    return {"namespaces": ""}


def _try_all() -> Answers:
    namespaces.leave()
    return _trials()


def _try_all_in_user_namespace() -> Answers:
    namespaces.enter_user_namespace()
    return _trials()


def _trials() -> Answers:
    from chaoskit.kernel.trials import (
        attempt,
    )  # here, not at the top: it loads pyroute2, and this is the child

    return {"namespaces": "", **attempt()}


def _ask(question: Callable[[], Answers]) -> Answers:
    """The answers of a forked child. One that is refused answers every question with the refusal."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            try:
                answers = question()
            except RefusedError as error:
                answers = dict.fromkeys(FEATURES, str(error))
            os.write(writer, json.dumps(answers).encode())
            status = 0
        finally:
            os._exit(status)  # whatever happened: none of the parent's business may run twice
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, ended = os.waitpid(child, 0)
    if ended != 0:
        raise RefusedError(
            "the survey of this kernel broke off: run chaoskit doctor as root, or --substrate uml"
        )
    told: Answers = json.loads(text)
    return told
