"""Lists the commands in the order of the help; each has a module, which imports its work when called."""

from __future__ import annotations

from chaoskit.cli.doctor import doctor
from chaoskit.cli.explain import explain
from chaoskit.cli.gameday import gameday
from chaoskit.cli.history import history
from chaoskit.cli.init import init
from chaoskit.cli.inject import inject
from chaoskit.cli.limit import limit
from chaoskit.cli.plan import plan
from chaoskit.cli.pmtu import pmtu
from chaoskit.cli.probe import probe
from chaoskit.cli.report import report
from chaoskit.cli.restore import restore
from chaoskit.cli.run import run
from chaoskit.cli.schema import schema
from chaoskit.cli.serve import serve
from chaoskit.cli.shell import shell
from chaoskit.cli.status import status
from chaoskit.cli.sweep import sweep
from chaoskit.cli.up import up
from chaoskit.cli.validate import validate

COMMANDS = (
    init,
    run,
    sweep,
    gameday,
    limit,
    plan,
    validate,
    schema,
    report,
    history,
    probe,
    pmtu,
    serve,
    doctor,
    inject,
    status,
    restore,
    shell,
    up,
    explain,
)
"""Those whose words are all chaoskit's own; `exec` has a command in them."""
