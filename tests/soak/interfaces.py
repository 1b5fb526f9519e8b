"""Creates two interfaces, one bare and one with qdiscs and filters of other programs, and a namespace behind each.

| link    | on it                                                                                          |
|---------|------------------------------------------------------------------------------------------------|
| `bare`  | nothing but what the kernel puts there                                                         |
| `lived` | htb with classes and a netem below one of them; a clsact with filters in both directions       |

An nft table with rules stands in the namespace, where the kernel has tables of that family (Debian's guest
kernel has none). All of it is made with ip, tc and nft. A datagram
goes to each far end every 20 ms, and one comes back, so that queues are never empty.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from chaoskit.kernel import modules

LINKS = ("bare", "lived")
_MODULES = ("sch_htb", "cls_u32", "cls_flower", "cls_matchall", "act_gact", "nf_tables", "dummy")
_TREES = Path("/usr/lib/uml/modules")
_NUMBERS = {"bare": 7, "lived": 8}
PORT, OTHER_PORT = 443, 8080

_NFT = """
table inet somebody {
    chain input { type filter hook input priority 0; policy accept;
        tcp dport 2222 counter accept
        ip saddr 192.0.2.1 drop
    }
}
"""

_TREE = """
qdisc add dev lived root handle 1: htb default 30 r2q 100
class add dev lived parent 1: classid 1:1 htb rate 100mbit ceil 100mbit
class add dev lived parent 1:1 classid 1:10 htb rate 10mbit ceil 50mbit prio 1
class add dev lived parent 1:1 classid 1:30 htb rate 80mbit ceil 100mbit prio 2
qdisc add dev lived parent 1:10 handle 10: netem limit 500 delay 3ms
qdisc add dev lived parent 1:30 handle 30: pfifo limit 300
filter add dev lived parent 1: protocol ip prio 5 u32 match ip dport 5201 0xffff flowid 1:10
qdisc add dev lived clsact
filter add dev lived ingress protocol ip pref 10 flower ip_proto tcp dst_port 2222 action gact drop
filter add dev lived egress protocol ip pref 20 u32 match ip dst 192.0.2.0/24 action gact pass
filter add dev lived egress protocol ipv6 pref 51000 flower ip_proto udp dst_port 9999 action gact drop
"""


def far(link: str, version: int = 4) -> str:
    """The address behind a link."""
    return f"10.{_NUMBERS[link]}.0.2" if version == 4 else f"fd00:{_NUMBERS[link]}::2"


def near(link: str, version: int = 4) -> str:
    """Our own address on a link."""
    return f"10.{_NUMBERS[link]}.0.1" if version == 4 else f"fd00:{_NUMBERS[link]}::1"


def prepare() -> None:
    """Prepare a guest once: modules, loopback, links that send nothing by themselves."""
    tree = _TREES / os.uname().release
    if tree.is_dir():
        modules.load(_MODULES, tree)
    tool("ip", "link", "set", "lo", "up")
    for parameter in ("accept_dad", "router_solicitations"):
        Path(f"/proc/sys/net/ipv6/conf/default/{parameter}").write_text("0")


def build() -> None:
    """Create both links, their far ends, and the foreign qdiscs, filters and tables."""
    for link in LINKS:
        make_link(link)
    subprocess.run(["tc", "-batch", "-"], input=_TREE, text=True, check=True)
    if subprocess.run(["nft", "add", "table", "inet", "somebody"], capture_output=True, check=False).returncode == 0:
        subprocess.run(["nft", "-f", "-"], input=_NFT, text=True, check=True)


def make_link(link: str) -> None:
    """A veth to a namespace of its own, with addresses and neighbours that need no resolution."""
    number, place = _NUMBERS[link], f"far-{link}"
    macs = (f"02:00:00:00:{number:02x}:01", f"02:00:00:00:{number:02x}:02")
    if not Path(f"/run/netns/{place}").exists():
        tool("ip", "netns", "add", place)
    here = f"""
        link add {link} index 3000{number} address {macs[0]} type veth peer name {link} index 4000{number} \
            address {macs[1]} netns {place}
        link set {link} up
        address add {near(link)}/24 dev {link}
        address add {near(link, 6)}/64 dev {link} nodad
        neighbour replace {far(link)} lladdr {macs[1]} dev {link} nud permanent
        neighbour replace {far(link, 6)} lladdr {macs[1]} dev {link} nud permanent"""
    there = f"""
        link set lo up
        link set {link} up
        address add {far(link)}/24 dev {link}
        address add {far(link, 6)}/64 dev {link} nodad
        neighbour replace {near(link)} lladdr {macs[0]} dev {link} nud permanent
        neighbour replace {near(link, 6)} lladdr {macs[0]} dev {link} nud permanent"""
    subprocess.run(["ip", "-batch", "-"], input=here, text=True, check=True)
    subprocess.run(["ip", "-n", place, "-batch", "-"], input=there, text=True, check=True)
    wait_for_link(link)


def remove_link(link: str) -> None:
    """As when a cable is pulled out together with its card."""
    tool("ip", "link", "del", link)


def clear() -> None:
    """Take away all links that a program could have made or used, and the nft table."""
    for link in json.loads(tool("ip", "-j", "link", "show")):
        if link["ifname"] in LINKS or link["ifname"].startswith("chaos"):
            remove_link(link["ifname"])
    subprocess.run(["nft", "flush", "ruleset"], capture_output=True, check=False)


def leave() -> None:
    """Take away the far ends too."""
    clear()
    for link in LINKS:
        subprocess.run(["ip", "netns", "del", f"far-{link}"], capture_output=True, check=False)


def wait_for_link(link: str, patience: float = 20) -> None:
    """Until its IPv6 address and its carrier have settled, so that they do not move later."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        shown = tool("ip", "address", "show", "dev", link)
        if "tentative" not in shown and " state UP " in shown:
            return
        time.sleep(0.02)


def send_datagrams() -> int:
    """Start to send on both links; the process that does. It ends with SIGKILL."""
    sender = os.fork()
    if sender:
        return sender
    try:
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in LINKS]
        while True:
            for each, link in zip(sockets, LINKS, strict=True):
                for port in (PORT, OTHER_PORT):
                    with suppress(OSError):  # a link may be away
                        each.sendto(b"x" * 200, (far(link), port))
            time.sleep(0.02)
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def tool(*argv: str) -> str:
    """What a command prints; it must succeed."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
