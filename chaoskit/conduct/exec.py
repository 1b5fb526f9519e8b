"""A command behind a fault: in a lab, or in a namespace with one way out.

| way out              | who                          | what of this machine is changed meanwhile            |
|----------------------|------------------------------|------------------------------------------------------|
| none: the lab        | root, or in a user namespace | nothing                                              |
| a cable, masqueraded | root                         | links that forward no IPv4 do, for it alone; then    |
|                      |                              | put back                                             |
| pasta                | in a user namespace          | nothing                                              |

Rules: the fault is in force before the command begins. The namespace is ours alone, so all in it goes with us; whoever
of the command's own is left when it ends is ended. Without root the command is the user that it was, and under sudo
the user who called it, with no right over its namespace, so that it cannot take the fault away.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from chaoskit import programs
from chaoskit.clock import RealClock
from chaoskit.conduct import lab_server
from chaoskit.conduct.lease_scope import LeaseRequest, draw_up
from chaoskit.conduct.supervisor import Supervisor, pasta_line
from chaoskit.conduct.user_command import Command, run
from chaoskit.engine.apply_restore import apply
from chaoskit.engine.describe import show
from chaoskit.engine.journal import Journal
from chaoskit.engine.lease import Leases, state_folder, user
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel import namespaces, uplinks
from chaoskit.kernel.features import detect_features
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.kernel.netfilter import forward_policy
from chaoskit.knobs import Change, Knob, Netem, Sysctl
from chaoskit.plan.model import Plan
from chaoskit.topology import egress_namespace
from chaoskit.topology.steering import OneDirection

_MODULES = "sch_netem ifb sch_ingress cls_matchall act_mirred"
_HERE = "/proc/self/ns/net"
Enter = Callable[[], None]


def in_lab(plan: Plan, command: Command) -> int:
    """Run the command as the client of a visit's lab. Returns its exit code. Raises RefusedError."""
    with ExitStack() as stack:
        door = stack.enter_context(Supervisor())
        be_yourself = _nobody_else() if namespaces.can_create() else _root_of_our_own()
        kernel = stack.enter_context(LinuxKernel(_able(plan.needs)))
        _set(kernel, ((change.knob, change.setting) for change in plan.stage))
        _set(kernel, ((change.knob, change.setting) for change in plan.phases[0].changes))
        door.watch(os.fstat(kernel.fileno("client")).st_ino)
        stack.callback(lab_server.start(plan, kernel).stop, RealClock())
        client = kernel.fileno("client")

        def enter() -> None:
            namespaces.enter(client)
            be_yourself()

        told = {**command.environment, **addresses(plan.target), **trust(lab_server.root(plan))}
        return run(replace(command, environment=told), enter)


def addresses(target: str) -> dict[str, str]:
    """What tells clients where the lab's server is, in the variables that they look at. Its keys are as good as any."""
    return {
        "CHAOSKIT_TARGET": target,
        "OPENAI_BASE_URL": f"{target}/v1",
        "OPENAI_API_BASE": f"{target}/v1",
        "OPENAI_API_KEY": "chaoskit",
        "ANTHROPIC_BASE_URL": target,
        "ANTHROPIC_API_KEY": "chaoskit",
        "OLLAMA_HOST": target,
    }


def trust(root: Path | None) -> dict[str, str]:
    """What tells clients whom to trust: OpenSSL's variable, and those of clients that look elsewhere."""
    variables = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
    return {} if root is None else dict.fromkeys(variables, str(root))


def outside(netems: dict[OneDirection, Netem], command: Command, say: Callable[[str], None]) -> int:
    """Run the command with these faults on all that it sends and receives. Returns its exit code.

    `say` is told what the user should know. Raises RefusedError, and NotRestoredError.
    """
    facts = detect_features()
    if lacking := facts.lacks(egress_namespace.needs(netems)):
        raise RefusedError(
            f"this kernel, {facts.kernel}, has no {', '.join(lacking)}: sudo modprobe -a {_MODULES}; or, in the lab of "
            "an experiment file, for which a guest kernel is enough: chaoskit exec FILE -- COMMAND"
        )
    if namespaces.can_create():
        return _by_cable(netems, command, facts, say)
    return _by_pasta(netems, command, facts)


def _by_cable(netems: dict[OneDirection, Netem], command: Command, facts: Facts, say: Callable[[str], None]) -> int:
    if closed := forward_policy.blocking_chains(egress_namespace.HOST_LINK):
        raise RefusedError(_told(closed))
    with Supervisor() as door, LinuxKernel(facts) as kernel:
        host_link = Knob("link", "", egress_namespace.HOST_LINK)
        if kernel.read(host_link) is not None:
            raise RefusedError(
                f"another chaoskit exec is under way, see {egress_namespace.HOST_LINK}: wait for its end"
            )
        network = egress_namespace.free_network(uplinks.routed_prefixes())
        host, _ = egress_namespace.addresses(network)
        names = _own_upstreams(say)
        links = [link for link in uplinks.egress_links() if not uplinks.is_forwarding(link)]
        door.owe(replace(host_link, kind="veth"), None)
        _set(kernel, egress_namespace.build(network, links))
        _set(kernel, egress_namespace.shape(egress_namespace.NAMESPACE, netems))
        door.hold(kernel.lifelines())
        _open_passages(kernel, door, links)
        inside = kernel.fileno(egress_namespace.NAMESPACE)
        door.watch(os.fstat(inside).st_ino)

        def enter() -> None:
            namespaces.enter(inside)
            if names is not None:
                namespaces.bind_mount(str(uplinks.RESOLV_CONF), names)

        return run(replace(command, environment={**command.environment, "CHAOSKIT_HOST": host}), enter)


def _told(closed: Iterable[forward_policy.BlockingChain]) -> str:
    """What to type opens the gates by name, and stays without effect while there is no link of that name."""
    whose = " and ".join(
        f"chain {gate.chain} of the table {gate.family} {gate.table}" + " of legacy iptables" * gate.is_legacy
        for gate in closed
    )
    commands = " && ".join(command for gate in closed for command in _openings(gate))
    return (
        f"nothing of the command's would get out, for {whose} drops by policy what passes through this machine: run it "
        f"without root, through pasta, or first {commands}"
    )


def _openings(gate: forward_policy.BlockingChain) -> Iterator[str]:
    """Commands, by the tool that made the chain."""
    is_of_iptables = (gate.family, gate.table, gate.chain) == ("ip", "filter", "FORWARD")
    tool = "iptables-legacy" if gate.is_legacy and programs.find("iptables-legacy") else "iptables"
    for way in "io":
        if is_of_iptables:
            yield f"sudo {tool} -I FORWARD -{way} {egress_namespace.HOST_LINK} -j ACCEPT"
        else:
            yield f"sudo nft insert rule {gate} {way}ifname {egress_namespace.HOST_LINK} accept"


def _open_passages(kernel: LinuxKernel, door: Supervisor, links: Iterable[str]) -> None:
    """Written down twice: for the doorkeeper, and for `chaoskit restore`, should somebody kill that too."""
    passages = list(map(egress_namespace.forwarding, links))
    if not passages:
        return
    leases = Leases(state_folder(os.environ, os.geteuid()))
    order = LeaseRequest("exec", user(os.environ, os.getuid()), egress_namespace.HOST_LINK, 0)
    lease = replace(draw_up(order), guard=door.process)
    door.remember(leases, lease.id)
    with leases.begin(lease) as folder, Journal.open(folder) as journal:
        for knob, on in passages:
            door.owe(knob, Sysctl("0"), on)
            apply(kernel, journal, (knob, on))


def _own_upstreams(say: Callable[[str], None]) -> str | None:
    """The resolver file for a namespace that cannot reach this machine's loopback; None when its own will do."""
    if not any(map(uplinks.is_loopback, uplinks.nameservers())):
        return None
    upstreams = uplinks.nameservers(uplinks.SYSTEMD_RESOLV_CONF)
    if upstreams and not any(map(uplinks.is_loopback, upstreams)):
        return str(uplinks.SYSTEMD_RESOLV_CONF)
    say(
        f"{uplinks.RESOLV_CONF} names a resolver on this machine's loopback, which the command cannot reach: "
        "use addresses"
    )
    return None


def _by_pasta(netems: dict[OneDirection, Netem], command: Command, facts: Facts) -> int:
    host, inside = egress_namespace.addresses(network := egress_namespace.free_network(uplinks.routed_prefixes()))
    if not uplinks.gateways():
        raise RefusedError("this machine has no default route, so there is no way out to put a fault on: ip route")
    names = _forwarded_names(host)
    with Supervisor() as door:
        be_yourself = _root_of_our_own()
        door.watch(os.stat(_HERE).st_ino)  # noqa: PTH116
        door.connect(pasta_line(host, inside, network.prefixlen, os.getpid()))
        with LinuxKernel(facts) as kernel:
            _set(kernel, egress_namespace.pasta_link("", uplinks.gateways().values()))
            _set(kernel, egress_namespace.shape("", netems))

            def enter() -> None:
                if names is not None:
                    _cover(names)
                be_yourself()

            return run(replace(command, environment={**command.environment, "CHAOSKIT_HOST": host}), enter)


def _forwarded_names(host: str) -> str | None:
    """The resolver file for a namespace that cannot reach a resolver on this machine's loopback; None when it can."""
    if not any(map(uplinks.is_loopback, uplinks.nameservers())):
        return None
    lines = uplinks.RESOLV_CONF.read_text(errors="replace").splitlines()
    return "\n".join([f"nameserver {host}", *(line for line in lines if not line.startswith("nameserver")), ""])


def _cover(names: str) -> None:
    try:
        with tempfile.NamedTemporaryFile("w", prefix="chaoskit-") as file:
            file.write(names)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            namespaces.bind_mount(str(uplinks.RESOLV_CONF), file.name)
    except OSError as error:
        raise RefusedError(f"no room for a resolver file ({error.strerror}): export TMPDIR=DIRECTORY") from error


def _root_of_our_own() -> Enter:
    """Become root in namespaces of our own; what it gives makes a child the user again."""
    user, group = os.geteuid(), os.getegid()
    namespaces.enter_user_namespace()
    return lambda: namespaces.drop_privileges(user, group)


def _nobody_else() -> Enter:
    return lambda: None


def _able(needs: frozenset[str]) -> Facts:
    facts = detect_features()
    if lacking := facts.lacks(needs):
        answers = "; ".join(facts.missing.get(feature, feature) for feature in lacking)
        raise RefusedError(f"kernel {facts.kernel} cannot do this: {answers}; chaoskit doctor")
    return facts


def _set(kernel: LinuxKernel, changes: Iterable[Change]) -> None:
    """Without a journal: all of it goes with its namespace."""
    for knob, setting in changes:
        if setting is None:
            continue
        kernel.write(knob, setting)
        if (got := kernel.read(knob)) != kernel.holds(setting):
            raise RefusedError(f"{knob} was asked to hold {show(setting)} and holds {show(got)}: chaoskit doctor")
