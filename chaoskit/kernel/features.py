"""Detects kernel features by using them, in a forked child and a temporary namespace.

The caller's namespace is never touched, and nothing remains afterwards. pyroute2 is imported in the child alone, to
keep the caller fast.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from chaoskit import crash_report
from chaoskit.errors import EXIT_SOFTWARE, CrashError, RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces, rights

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
    "connections",
    "quota",
    "pids-cgroup",
)
_OF_LABS = frozenset({"namespaces", "veth", "pids-cgroup"})
_SEEDS_SINCE = (6, 6)  # Linux
_ROOT, _USER = "without a user namespace", "in a user namespace"


def detect_features() -> Facts:
    """Test every feature once. Needs no privileges, but finds more with them; takes a quarter of a second.

    `Facts.root` says that this process may create network namespaces, `user_namespaces` that it may do so after
    `enter_user_namespace`. In a container with NET_ADMIN alone, which may create none, nothing is tried: what a fault
    of an interface needs is `Facts.untried`. The process must have one thread. Raises RefusedError where /proc is not
    mounted.
    """
    if not Path("/proc/thread-self").exists():
        raise RefusedError("/proc is not mounted, and nothing of chaoskit works without it: mount -t proc proc /proc")
    results = _in_child(_test_everything)
    if results[_ROOT] and results[_USER] and rights.has_net_admin():
        return _untried_facts(os.uname().release, results)
    return Facts(
        kernel=os.uname().release,
        root=not results[_ROOT],
        user_namespaces=not results[_USER],
        features=frozenset(feature for feature in FEATURES if not results[feature]),
        missing={feature: results[feature] for feature in FEATURES if results[feature]},
    )


def _untried_facts(release: str, results: dict[str, str]) -> Facts:
    untried = frozenset(FEATURES) - _OF_LABS
    if tuple(map(int, re.findall(r"[0-9]+", release)[:2])) < _SEEDS_SINCE:
        untried -= {"netem-seed"}
    missing = {feature: results[feature] for feature in FEATURES if feature not in untried}
    return Facts(kernel=release, features=untried, missing=missing, untried=untried)


def _test_everything() -> dict[str, str]:
    """The error for each feature and each kind of namespace; "" when it works. The process must exit afterwards."""
    without_user_namespace = _error(namespaces.unshare)
    if without_user_namespace and (refused := _error(namespaces.enter_user_namespace)):
        return {_ROOT: without_user_namespace, _USER: refused, **dict.fromkeys(FEATURES, refused)}
    from chaoskit.kernel.feature_tests import (
        probe_features,
    )  # here, not at the top: it loads pyroute2, and this is the child

    results = probe_features()
    in_user_namespace = "" if without_user_namespace else _error(namespaces.enter_user_namespace)
    return {_ROOT: without_user_namespace, _USER: in_user_namespace, **results}


def _error(probe_features: Callable[[], None]) -> str:
    try:
        probe_features()
    except RefusedError as error:
        return str(error)
    return ""


def _in_child(test: Callable[[], dict[str, str]]) -> dict[str, str]:
    """The results of a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 0
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to both: the parent reports it
            os.close(reader)
            results = json.dumps(test()).encode()
            with suppress(BrokenPipeError):  # the parent has ended
                os.write(writer, results)
        except BaseException as error:  # noqa: BLE001  on any error: the parent's code must not run twice
            status = crash_report.print_report(error)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    _, ended = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(ended) == EXIT_SOFTWARE:
        raise CrashError("a mistake in chaoskit ended the feature detection, see above")
    if ended != 0:
        raise RefusedError(
            "the feature detection of this kernel failed: to see why, chaoskit doctor; or --substrate uml"
        )
    found: dict[str, str] = json.loads(text)
    return found
