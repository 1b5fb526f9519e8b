"""A control of Chaos Toolkit that fails an experiment with its actions, and ends all of its faults.

Chaos Toolkit goes on after an action that failed, and its exit code is 0: with this control it stops, with 1. It plays
no rollbacks after Ctrl-C, nor by default after a failed hypothesis: with this control the leases of `actions.inject`
end with the experiment, before they end by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaoslib.exceptions import ActivityFailed, InterruptExecution

from chaoskit.chaostoolkit.actions import restore, verdicts
from chaoskit.chaostoolkit.activity_results import options_of
from chaoskit.terminal import complain

_OURS = "chaoskit.chaostoolkit."


def before_experiment_control(context: dict[str, Any], **_: object) -> None:
    """Stop the experiment before its first activity where an argument of `run_experiment` makes no sense."""
    probes = context.get("steady-state-hypothesis", {}).get("probes", [])
    for each in (*probes, *context.get("method", []), *context.get("rollbacks", [])):
        provider = each.get("provider", {})
        if str(provider.get("module", "")).startswith(_OURS):
            try:
                verdicts(provider.get("arguments", {}).get("expect"))
                options_of(provider.get("arguments", {}).get("options"))
            except ActivityFailed as error:
                raise InterruptExecution(f"{each.get('name')}: {error}") from None


def after_activity_control(context: dict[str, Any], state: dict[str, Any], experiment: dict[str, Any]) -> None:
    """Stop the method at an activity of chaoskit that failed. Rollbacks go on, all of them."""
    if context in experiment.get("method", []):
        _stop_at_failed([state])


def after_method_control(context: dict[str, Any], state: Sequence[dict[str, Any]]) -> None:
    """The same for activities in the background, at their end."""
    del context
    _stop_at_failed(state)


def after_rollback_control(context: dict[str, Any], state: Sequence[dict[str, Any]]) -> None:
    """Fail the experiment when something was not restored."""
    del context
    _stop_at_failed(state)


def after_experiment_control(**_: object) -> None:
    """End all faults that the experiment began and has not restored."""
    _restore()


def cleanup_control() -> None:
    """The same when the experiment was interrupted."""
    _restore()


def _stop_at_failed(runs: Sequence[dict[str, Any]] | None) -> None:
    for run in runs or ():
        activity = run["activity"]
        if run.get("status") == "failed" and activity["provider"].get("module", "").startswith(_OURS):
            raise InterruptExecution(f"{activity['name']!r} failed, and with it this experiment")


def _restore() -> None:
    try:
        restore()
    except ActivityFailed as error:  # Chaos Toolkit would tell nobody
        complain(str(error))
