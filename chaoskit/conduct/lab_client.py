"""Runs a command in a lab, as its client or on a host, in this kernel or in the kernel of a guest.

A guest ends with its command, so it needs no supervisor and no user namespace, and what its kernel can do was found out
before it was chosen.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from chaoskit.clock import Clock, RealClock
from chaoskit.conduct import lab_visit
from chaoskit.conduct.hosts.host_programs import Hosts
from chaoskit.conduct.hosts.states import HostsKernel
from chaoskit.conduct.lab_hosts import hosts_of, root
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.user_command import Command, run
from chaoskit.conduct.workspace import Workspace
from chaoskit.engine.describe import show
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Change, Process
from chaoskit.terminal import complain

_TERM_TIMEOUT, _POLL = 10**9, 10_000_000  # ns


@dataclass(frozen=True)
class BuiltLab:
    """A lab whose stage is set; `client` is the descriptor of the client's namespace. Nothing runs in it."""

    setup: LabSetup
    kernel: LinuxKernel
    client: int

    @contextmanager
    def standing(self, run: Path) -> Iterator[Hosts]:
        """Its hosts, which are ready, behind the faults, until the end of the body. Their logs go to `run`.

        Raises RefusedError.
        """
        clock = RealClock()
        with hosts_of(self.setup, self.kernel, run, clock, has_records=False) as hosts:
            hosts.start()
            knobs = HostsKernel(self.kernel, clock)
            knobs.hosts = hosts
            begin = clock.now()
            set_all(knobs, self.setup.phase)
            for after, knob in self.setup.ends:
                hosts.plan(begin + after, partial(knobs.write, knob, Process()))
            yield hosts

    def run(self, command: Command, enter: Callable[[], None], visit: Visit) -> int:
        """Run a command at a place of it, beside its hosts; the child calls `enter`. Returns its exit code."""
        with self.standing(visit.run) as hosts, tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
            files = lab_visit.name_files(Path(folder), self.setup.etc_hosts)
            network = self.kernel.fileno(visit.place)
            told = lab_visit.environment(hosts, visit.place, command.environment)
            if visit.place not in {program.name for program in self.setup.programs}:
                told |= addresses(self.setup.target) | trust(root(self.setup.target))
            entrance = lab_visit.entrance(hosts, visit.place, network, files, enter)

            def look() -> None:
                for sentence in hosts.deaths():
                    complain(sentence)

            visit.begin()
            code = run(replace(command, environment=told), entrance.enter, entrance.through, look)
            look()
            return code


@dataclass(frozen=True)
class Visit:
    """Where in a lab a command runs, the folder for the hosts' logs, and what is called when it begins."""

    place: str
    run: Path
    begin: Callable[[], None] = lambda: None


def built(kernel: LinuxKernel, setup: LabSetup) -> BuiltLab:
    """Build a lab. Raises RefusedError."""
    set_all(kernel, setup.stage)
    return BuiltLab(setup, kernel, kernel.fileno("client"))


def in_guest(setup: LabSetup, command: Command, workspace: Workspace, visit: Visit) -> int:
    """Run a command in a guest, as root there, and end what it leaves running. Returns its exit code.

    The stage of a fresh kernel is not read back, which takes as long as setting it; the faults are.
    """
    workspace.prepare()
    with LinuxKernel(Facts(features=frozenset({"netem-seed"}))) as kernel:
        for knob, setting in setup.stage:
            kernel.write(knob, setting)
        lab = BuiltLab(setup, kernel, kernel.fileno("client"))
        code = lab.run(command, workspace.enter, visit)
    _end_others(RealClock())
    return code


def addresses(target: str) -> dict[str, str]:
    """The variables in which clients look for a server's address and key. The lab's server accepts any key."""
    url = urlsplit(target)
    origin = f"{url.scheme}://{url.netloc}"
    base = origin + url.path.partition("/v1")[0].rstrip("/")
    return {
        "CHAOSKIT_TARGET": target,
        "OPENAI_BASE_URL": f"{base}/v1",
        "OPENAI_API_BASE": f"{base}/v1",
        "OPENAI_API_KEY": "chaoskit",
        "ANTHROPIC_BASE_URL": base,
        "ANTHROPIC_API_KEY": "chaoskit",
        "OLLAMA_HOST": origin,
    }


def trust(root: Path | None) -> dict[str, str]:
    """The variables in which clients look for root certificates: OpenSSL's, and those of clients with their own."""
    variables = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return {} if root is None else dict.fromkeys(variables, str(root))


def set_all(kernel: LinuxKernel | HostsKernel, changes: Iterable[Change]) -> None:
    """Without a journal: all of it is removed with its namespace."""
    for knob, setting in changes:
        if setting is None:
            continue
        kernel.write(knob, setting)
        got = kernel.read(knob)
        if got not in (
            kernel.holds(setting),
            LinuxKernel(Facts()).holds(setting),
        ):  # with the seed of netem, or without
            raise RefusedError(f"{knob} was set to {show(setting)} and reads back {show(got)}: chaoskit doctor")


def _end_others(clock: Clock) -> None:
    """End all processes but this one and the first: SIGTERM, and SIGKILL to those that have not ended in a second."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(-1, sign)
        deadline = clock.now() + _TERM_TIMEOUT
        while _others() and clock.now() < deadline:
            clock.sleep_until(clock.now() + _POLL)


def _others() -> bool:
    """Whether there are more processes; kernel threads and zombies have no program."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) not in (1, os.getpid()) and (process / "exe").readlink():
                return True
    return False
