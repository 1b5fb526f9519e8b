"""Plans experiments on the two interfaces, with a server behind each, and makes a run directory for every run.

The process that is tested is the conductor, `chaoskit conduct RUNDIR`: the command `run` plans before it and analyses
after it, and changes nothing itself.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

import chaoskit.cli.app  # noqa: F401  imported once, for all forks
from chaoskit.cli.main import main
from chaoskit.conduct.planning import prepare
from chaoskit.kernel import namespaces
from chaoskit.records.directory import PLAN, create
from chaoskit.spec.load import load
from soak import interfaces

_PORT = 8000
_EXPERIMENT = """\
name: soak
question: Does anything of it stay?
stage: {{target: "http://{host}:{port}"}}
workload:
  max-concurrency: 2
  output-tokens: 20
  timeouts: {{connect: 300ms, first-token: 300ms, idle: 300ms}}
faults:
  slow:
    - {{direction: down, netem: delay 20ms 5ms loss 1%}}
    - {{direction: up, netem: delay 10ms}}
timeline: [{{baseline: 1s}}, {{slow: 1s}}]
"""


class Runs:
    """Run directories below a folder, and the servers that they ask, until `close`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, count()
        self._plans: dict[str, str] = {}
        self._servers: list[int] = []

    def directory(self, link: str) -> Path:
        """A new one, of a run on this link."""
        if link not in self._plans:
            self._servers.append(_serve(link))
            file = self._folder / f"{link}.yaml"
            self._folder.mkdir(exist_ok=True)
            file.write_text(_EXPERIMENT.format(host=interfaces.far(link), port=_PORT))
            self._plans[link] = prepare(load(file)).model_dump_json()
        return create(self._folder / str(next(self._numbers)), {PLAN: self._plans[link]})

    def close(self) -> None:
        """End the servers."""
        for server in self._servers:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)


def _serve(link: str) -> int:
    """Start the reference server behind a link; the process that is it, once it answers."""
    told, tell = os.pipe()
    server = os.fork()
    if server:
        os.close(tell)
        with open(told, "rb") as said:  # noqa: PTH123  a descriptor, not a path
            said.readline()
        return server
    try:
        place = os.open(f"/run/netns/far-{link}", os.O_RDONLY)
        namespaces.enter(place)
        os.dup2(tell, 1)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115  the greeting
        sys.argv = ["chaoskit", "serve", "--host", interfaces.far(link), "--port", str(_PORT)]
        main()
    finally:
        os.kill(os.getpid(), signal.SIGKILL)
    return server
