"""Runs a command behind a fault: in a lab, or in a namespace with one uplink.

| uplink               | run by                       | what changes on this machine meanwhile                |
|----------------------|------------------------------|-------------------------------------------------------|
| none: the lab        | root, or in a user namespace | nothing                                               |
| a veth, masqueraded  | root                         | IPv4 forwarding on uplinks that have it off, for this |
|                      |                              | command's packets alone; restored afterwards          |
| pasta                | in a user namespace          | nothing                                               |

Rules: the fault is in force before the command starts. The namespace is used by nothing else, so everything in it ends
with this process; processes that the command leaves behind are ended. Without root the command keeps its user, and
under sudo it is run as the user who called sudo, without capabilities in its namespace, so that it cannot remove the
fault.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from chaoskit import programs
from chaoskit.clock import RealClock
from chaoskit.conduct import lab_client
from chaoskit.conduct.lab_client import BuiltLab, Visit, set_all
from chaoskit.conduct.lab_setup import LabSetup
from chaoskit.conduct.lease_scope import LeaseRequest, new_lease
from chaoskit.conduct.supervisor import Supervisor, pasta_command
from chaoskit.conduct.user_command import Command, run
from chaoskit.conduct.workspace import Workspace
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import Leases, state_folder, user_name
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces, uplinks
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.netfilter import forward_policy
from chaoskit.knobs import Knob, Netem, Sysctl
from chaoskit.planning.model import Plan
from chaoskit.topology import egress_namespace
from chaoskit.topology.steering import OneDirection

_MODULES = "sch_netem ifb sch_ingress cls_matchall act_mirred"
_HERE = "/proc/self/ns/net"
_CLEARING, _POLL = 5_000_000_000, 20_000_000  # ns
Enter = Callable[[], None]


def in_lab(plan: Plan, command: Command, visit: Visit, workspace: Workspace | None = None) -> int:
    """Run the command in a lab, in this workspace. Returns its exit code. Raises RefusedError."""
    with lab(plan, workspace) as (built, drop_rights):

        def enter() -> None:
            if workspace is not None:
                workspace.enter()
            drop_rights()

        return built.run(command, enter, visit)


@contextmanager
def lab(plan: Plan, workspace: Workspace | None = None) -> Iterator[tuple[BuiltLab, Enter]]:
    """The lab, whose stage is set, and what makes a child the user again. Everything in it ends with this process."""
    with ExitStack() as stack:
        supervisor = stack.enter_context(Supervisor())
        drop_rights = _keep_user() if namespaces.can_create() else _enter_user_namespace()
        if workspace is not None:
            workspace.prepare()
        kernel = stack.enter_context(LinuxKernel(_check_features(plan.needs)))
        built = lab_client.built(kernel, LabSetup.of(plan))
        supervisor.watch_namespace(os.fstat(built.client).st_ino)
        yield built, drop_rights


def on_host_network(
    netems: dict[OneDirection, Netem],
    command: Command,
    notify: Callable[[str], None],
    workspace: Workspace | None = None,
) -> int:
    """Run the command with these faults on everything that it sends and receives. Returns its exit code.

    `notify` gets messages for the user. Raises RefusedError, and NotRestoredError.
    """
    facts = detect_features()
    if missing := facts.lacks(egress_namespace.needs(netems)):
        raise RefusedError(
            f"kernel {facts.kernel} has no {', '.join(missing)}: sudo modprobe -a {_MODULES}; or use the lab of an "
            "experiment file, which can run in a guest kernel: chaoskit exec FILE -- COMMAND"
        )
    if namespaces.can_create():
        return _through_veth(netems, command, facts, notify, workspace)
    return _through_pasta(netems, command, facts, workspace)


def _through_veth(
    netems: dict[OneDirection, Netem],
    command: Command,
    facts: Facts,
    notify: Callable[[str], None],
    workspace: Workspace | None,
) -> int:
    if closed := forward_policy.blocking_chains(egress_namespace.HOST_LINK):
        raise RefusedError(_blocked(closed))
    with Supervisor() as supervisor, LinuxKernel(facts) as kernel:
        host_link = Knob("link", "", egress_namespace.HOST_LINK)
        if kernel.read(host_link) is not None:
            raise RefusedError(
                f"another chaoskit exec is running, {egress_namespace.HOST_LINK} exists: wait for its end"
            )
        network = egress_namespace.free_network(uplinks.routed_prefixes())
        host, ours = egress_namespace.addresses(network)
        _await_cleared(kernel, Knob("masquerade", "", ours))
        resolver = _upstream_resolver(notify)
        links = [link for link in uplinks.egress_links() if not uplinks.is_forwarding(link)]
        supervisor.restore_later(replace(host_link, kind="veth"), None)
        set_all(kernel, egress_namespace.build(network, links))
        set_all(kernel, egress_namespace.shape(egress_namespace.NAMESPACE, netems))
        supervisor.hold(kernel.owner_sockets())
        _enable_forwarding(kernel, supervisor, links)
        inside = kernel.fileno(egress_namespace.NAMESPACE)
        supervisor.watch_namespace(os.fstat(inside).st_ino)
        if workspace is not None:
            workspace.prepare()

        def enter() -> None:
            namespaces.enter(inside)
            if workspace is not None:
                workspace.enter()
            if resolver is not None:
                namespaces.bind_mount(str(uplinks.RESOLV_CONF), resolver)

        return run(replace(command, environment={**command.environment, "CHAOSKIT_HOST": host}), enter)


def _await_cleared(kernel: LinuxKernel, table: Knob) -> None:
    """Wait until the supervisor of a killed exec, whose link is gone first, lets go of its nftables table."""
    clock = RealClock()
    end = clock.now() + _CLEARING
    while kernel.read(table) is not None:
        if clock.now() > end:
            raise RefusedError(
                f"the table of another chaoskit exec, for {table.name}, is still there: wait for its end; to see it: "
                "sudo nft list ruleset"
            )
        clock.sleep_until(clock.now() + _POLL)


def _blocked(closed: Iterable[forward_policy.BlockingChain]) -> str:
    """The error message. Its commands name the link, so they have no effect while there is no link of that name."""
    chains = " and ".join(
        f"chain {gate.chain} of the table {gate.family} {gate.table}" + " of legacy iptables" * gate.is_legacy
        for gate in closed
    )
    commands = " && ".join(command for gate in closed for command in _accept_commands(gate))
    return (
        f"the command's packets would be dropped, because the policy of {chains} is to drop forwarded packets: run it "
        f"without root, through pasta, or first {commands}"
    )


def _accept_commands(gate: forward_policy.BlockingChain) -> Iterator[str]:
    """Commands of the tool that created the chain."""
    is_of_iptables = (gate.family, gate.table, gate.chain) == ("ip", "filter", "FORWARD")
    tool = "iptables-legacy" if gate.is_legacy and programs.find("iptables-legacy") else "iptables"
    for end in "io":
        if is_of_iptables:
            yield f"sudo {tool} -I FORWARD -{end} {egress_namespace.HOST_LINK} -j ACCEPT"
        else:
            yield f"sudo nft insert rule {gate} {end}ifname {egress_namespace.HOST_LINK} accept"


def _enable_forwarding(kernel: LinuxKernel, supervisor: Supervisor, links: Iterable[str]) -> None:
    """Registered twice: with the supervisor, and in a lease for `chaoskit restore`, if the supervisor is killed too."""
    parameters = list(map(egress_namespace.forwarding, links))
    if not parameters:
        return
    leases = Leases(state_folder(os.environ, os.geteuid()))
    request = LeaseRequest("exec", user_name(os.environ, os.getuid()), egress_namespace.HOST_LINK, 0)
    lease = replace(new_lease(request), watchdog=supervisor.process)
    supervisor.end_lease(leases, lease.id)
    with leases.begin(lease) as folder, Journal.open(folder) as journal:
        for knob, enabled in parameters:
            supervisor.restore_later(knob, Sysctl("0"), enabled)
            apply(kernel, journal, (knob, enabled))


def _upstream_resolver(notify: Callable[[str], None]) -> str | None:
    """The resolv.conf for a namespace that cannot reach this machine's loopback; None when the existing one works."""
    if not any(map(uplinks.is_loopback, uplinks.nameservers())):
        return None
    upstreams = uplinks.nameservers(uplinks.SYSTEMD_RESOLV_CONF)
    if upstreams and not any(map(uplinks.is_loopback, upstreams)):
        return str(uplinks.SYSTEMD_RESOLV_CONF)
    notify(
        f"{uplinks.RESOLV_CONF} has a resolver on this machine's loopback, which the command cannot reach: "
        "use addresses"
    )
    return None


def _through_pasta(
    netems: dict[OneDirection, Netem], command: Command, facts: Facts, workspace: Workspace | None
) -> int:
    host, inside = egress_namespace.addresses(network := egress_namespace.free_network(uplinks.routed_prefixes()))
    if not uplinks.gateways():
        raise RefusedError("this machine has no default route, so the command would have no network: ip route")
    resolver = _forwarded_resolver(host)
    with Supervisor() as supervisor:
        drop_rights = _enter_user_namespace()
        supervisor.watch_namespace(os.stat(_HERE).st_ino)  # noqa: PTH116
        supervisor.start_pasta(pasta_command(host, inside, network.prefixlen, os.getpid()))
        if workspace is not None:
            workspace.prepare()
        with LinuxKernel(facts) as kernel:
            set_all(kernel, egress_namespace.pasta_link("", uplinks.gateways().values()))
            set_all(kernel, egress_namespace.shape("", netems))

            def enter() -> None:
                if workspace is not None:
                    workspace.enter()
                if resolver is not None:
                    _mount_resolver(resolver)
                drop_rights()

            return run(replace(command, environment={**command.environment, "CHAOSKIT_HOST": host}), enter)


def _forwarded_resolver(host: str) -> str | None:
    """The text of a resolv.conf with pasta's DNS forwarding; None when no resolver is on this machine's loopback."""
    if not any(map(uplinks.is_loopback, uplinks.nameservers())):
        return None
    lines = uplinks.RESOLV_CONF.read_text(errors="replace").splitlines()
    return "\n".join([f"nameserver {host}", *(line for line in lines if not line.startswith("nameserver")), ""])


def _mount_resolver(content: str) -> None:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="chaoskit-") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            namespaces.bind_mount(str(uplinks.RESOLV_CONF), file.name)
    except OSError as error:
        raise RefusedError(f"cannot write a resolver file ({error.strerror}): export TMPDIR=DIRECTORY") from error


def _enter_user_namespace() -> Enter:
    """Become root in a new user namespace; the returned function makes a child the user again."""
    user, group = os.geteuid(), os.getegid()
    namespaces.enter_user_namespace()
    return lambda: namespaces.drop_privileges(user, group)


def _keep_user() -> Enter:
    return lambda: None


def _check_features(needs: frozenset[str]) -> Facts:
    facts = detect_features()
    if missing := facts.lacks(needs):
        answers = "; ".join(facts.missing.get(feature, feature) for feature in missing)
        raise RefusedError(f"kernel {facts.kernel} cannot do this: {answers}; chaoskit doctor")
    return facts
