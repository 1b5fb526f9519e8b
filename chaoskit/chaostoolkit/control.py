"""A control of Chaos Toolkit that ends every fault of its run, where its rollbacks are not played.

Chaos Toolkit plays no rollbacks after Ctrl-C, nor by default after a failed hypothesis. With this control the leases of
`actions.inject` end with the experiment, before they end by themselves.
"""

from __future__ import annotations

from chaoslib.exceptions import ActivityFailed

from chaoskit.chaostoolkit.actions import restore
from chaoskit.terminal import complain


def after_experiment_control(**_: object) -> None:
    """End all faults that the experiment began and has not restored."""
    _restore()


def cleanup_control() -> None:
    """The same when the experiment was interrupted."""
    _restore()


def _restore() -> None:
    try:
        restore()
    except ActivityFailed as error:  # Chaos Toolkit would tell nobody
        complain(str(error))
