"""Reads the timers of a service lab's hosts, and adds them to its plan with what is said of them."""

from __future__ import annotations

from pathlib import Path

from chaoskit.conduct.config_files import ConfigFiles
from chaoskit.planning.model import Plan
from chaoskit.planning.timer_check import check_timers, hosts_of
from chaoskit.spec.key_lines import KeyLines


def with_timers(plan: Plan, lines: KeyLines) -> Plan:
    """The plan with the timers of its hosts; one without hosts as it is. A file that cannot be read is a warning.

    `lines`: where the keys of the experiment stand.
    """
    if not plan.hosts:
        return plan
    folder = Path(plan.folder)
    hosts = hosts_of(plan)
    roots = {host.name: None if host.spec.rootfs is None else folder / host.spec.rootfs for host in hosts}
    files = {name: ConfigFiles(folder, root) for name, root in roots.items()}
    found = check_timers(hosts, plan.target, plan.workload, plan.objectives, files, lines)
    return plan.model_copy(
        update={
            "timers": found.rows,
            "warnings": (*plan.warnings, *found.warnings),
            "advice": (*plan.advice, *found.advice),
        }
    )
