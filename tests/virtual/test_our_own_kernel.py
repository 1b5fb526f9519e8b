"""Tests chaoskit's own guest kernel: its features, and its seeded randomness."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from chaoskit.clock import RealClock
from chaoskit.kernel.features import FEATURES
from chaoskit.substrate import doctor, kernel_cache, uml

Ask = Callable[..., Any]

DRAW = """
import ctypes, os
from pathlib import Path
at_random = ctypes.CDLL(None).getauxval
at_random.restype = ctypes.c_ulong
answer = {
    "urandom": Path("/dev/urandom").open("rb").read(64).hex(),
    "getrandom": os.getrandom(64).hex(),
    "AT_RANDOM": ctypes.string_at(at_random(25), 16).hex(),
    "boot id": Path("/proc/sys/kernel/random/boot_id").read_text(),
    "stack": [line for line in Path("/proc/self/maps").read_text().splitlines() if "[stack]" in line],
}
"""
NEW_YEAR = date(2026, 1, 1)
CLOCKS = "import time; answer = [time.time_ns(), time.monotonic_ns()]"
SLEEP = "import time; before = time.monotonic_ns(); time.sleep(600); answer = time.monotonic_ns() - before"
SHORTAGE = """
import mmap, os
from pathlib import Path
Path("/proc/sys/vm/overcommit_memory").write_text("2")
kept, answer = [], 0
while answer < 20:
    try:
        kept.append(mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
    except OSError:
        answer += 1
        kept[:] = kept[:-1]
Path("/proc/sys/vm/overcommit_memory").write_text("0")
"""
TRIALS = """
ip link set lo up
ip link add veth0 type veth peer name veth1
ip link add ifb7 type ifb
ip link add dummy7 type dummy
ip link add wg0 type wireguard
ip tuntap add tun0 mode tun
ip rule add fwmark 1 table 7
ip -6 rule add fwmark 1 table 7
tc qdisc replace dev veth0 root netem delay 1ms loss gemodel 1% 10% 70% 0.1%
tc qdisc replace dev veth0 root tbf rate 1mbit burst 2000 latency 1s
tc qdisc replace dev veth0 root fq
tc qdisc replace dev veth0 root fq_codel
tc qdisc replace dev veth0 root cake
tc qdisc replace dev veth0 root red limit 100000 avpkt 1000
tc qdisc replace dev veth0 root pfifo
tc qdisc replace dev veth0 root handle 9: prio
tc qdisc replace dev veth0 root handle 1: htb
tc class add dev veth0 parent 1: classid 1:1 htb rate 1mbit
tc filter add dev veth0 parent 1: protocol ip prio 1 u32 match ip dport 80 0xffff flowid 1:1
tc filter add dev veth0 parent 1: protocol ip prio 2 handle 7 fw flowid 1:1
tc qdisc add dev veth0 clsact
tc filter add dev veth0 ingress protocol ip prio 1 flower ip_proto tcp action mirred egress redirect dev ifb7
tc filter add dev veth0 egress protocol ip prio 1 flower ip_flags frag action gact drop random netrand ok 5
tc filter add dev veth0 egress prio 2 matchall action police rate 1mbit burst 2000 mtu 1300 drop
unshare --user --map-root-user --net --pid --fork true
mount -t overlay none /run/merged -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work
"""
TRY = f"""
import os, subprocess
for name in ("merged", "upper", "work"):
    os.mkdir("/run/" + name)
trials = {TRIALS!r}.strip().splitlines()
ended = [(trial, subprocess.run(trial.split(), capture_output=True, text=True)) for trial in trials]
answer = [trial + ": " + end.stderr for trial, end in ended if end.returncode]
"""
RULES = """
table inet trial {
  set idle { type ipv4_addr; flags dynamic; timeout 1m; }
  ct timeout short { protocol tcp; l3proto ip; policy = { established: 60 }; }
  quota most { over 10 mbytes }
  chain trial {
    type filter hook forward priority 0
    ct state established ct original bytes > 1000 reject with tcp reset
    ct mark set 1
    ip protocol tcp ct timeout set "short"
    quota name "most" drop
    ct count over 3 reject with icmpx admin-prohibited
    tcp flags fin log group 3
    update @idle { ip saddr timeout 10s }
  }
}
"""
FILTER = f"""
import subprocess
answer = subprocess.run(["nft", "-f", "-"], input={RULES!r}, capture_output=True, text=True).stderr
"""
CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
calls = {"shmget": (29, 0, 4096, 0o1600), "msgget": (68, 0, 0o1600), "mq_open": (240, b"trial", 0o102, 0o600, None),
         "inotify_init1": (294, 0), "signalfd4": (289, -1, bytes(8), 8, 0), "timerfd_create": (283, 1, 0),
         "io_setup": (206, 8, bytes(8)), "io_uring_setup": (425, 8, ctypes.create_string_buffer(120)),
         "memfd_create": (319, b"trial", 0), "membarrier": (324, 0, 0, 0), "madvise": (28, 0, 0, 4),
         "process_vm_readv": (310, os.getpid(), None, 0, None, 0, 0), "pidfd_open": (434, os.getpid(), 0)}
answer = [name for name, words in calls.items() if libc.syscall(*words) < 0 and ctypes.get_errno() == 38]
"""
RENAME = """
import os, subprocess
for name in ("merged", "upper", "work"):
    os.mkdir("/run/" + name)
subprocess.run("mount -t overlay none /run/merged -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work".split())
os.mkdir("/run/merged/new")
os.rename("/run/merged/new", "/run/merged/newer")
answer = os.path.isdir("/run/merged/newer")
"""
BOMB = """
import os, time
from pathlib import Path
group = Path("/sys/fs/cgroup/bomb")
group.mkdir()
(group / "pids.max").write_text("20")
(group / "cgroup.procs").write_text("0")
children, refused = [], ""
try:
    while len(children) < 1000:
        child = os.fork()
        if not child:
            time.sleep(3600)
        children.append(child)
except OSError as error:
    refused = error.strerror
answer = [len(children), refused]
for child in children:
    os.kill(child, 9)
"""
FAR = """
import ctypes, mmap
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
answer = []
for bits in range(32, 47):
    place = libc.mmap(1 << bits, 1 << 30, 3, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, -1, 0)
    ctypes.memset(place, 1, 4096)
    ctypes.memset(place + (1 << 29), 1, 4096)
    answer.append(place == 1 << bits and ctypes.string_at(place, 1) == b"\\x01")
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.munmap(place, 1 << 30)
"""
LAB = Path(__file__).parents[2] / "experiments" / "loss-first-token.yaml"
MOUNT = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
BARE_DEVICES = """
mkdir {0}/dev
for name in full null random tty urandom zero; do touch {0}/dev/$name; mount --bind /dev/$name {0}/dev/$name; done
mount --rbind {0}/dev /dev
test ! -e /dev/tty0 && test ! -e /dev/shm
exec {1} -m chaoskit exec {2} --kernel {3} -- echo hello
"""
ALGORITHMS = "answer = open('/proc/sys/net/ipv4/tcp_available_congestion_control').read().split()"


def test_nothing_that_the_configuration_names_was_dropped(kernel: uml.GuestKernel) -> None:
    """Every option that is asked for is in the kernel that was built; a name that the source forgot would not be."""
    answer = subprocess.run([kernel.path, "--showconfig"], capture_output=True, text=True, check=True)

    built = set(answer.stdout.splitlines())
    asked = {line for line in kernel_cache.CONFIG.read_text().splitlines() if line.startswith("CONFIG_")}

    assert {line for line in asked if not line.endswith("=n")} <= built
    assert not {line.replace("=n", "=y") for line in asked if line.endswith("=n")} & built


def test_it_boots_and_can_do_all_that_a_lab_needs(kernel: uml.GuestKernel) -> None:
    """Its own survey finds every feature, and it needs no modules."""
    facts = doctor.survey_guest(uml.Uml(kernel), RealClock())

    assert facts.features == frozenset(FEATURES), facts.missing
    assert facts.kernel.endswith("-chaoskit")
    assert kernel.modules is None


@pytest.mark.timeout(120)
def test_a_container_has_few_devices(kernel: uml.GuestKernel, tmp_path: Path) -> None:
    """A guest needs no terminal's device and no /dev/shm: the six devices that a chroot has are enough."""
    answer = subprocess.run(
        [*MOUNT, "sh", "-ec", BARE_DEVICES.format(tmp_path, sys.executable, LAB, kernel.path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (0, "hello\n"), answer.stdout + answer.stderr


def test_it_is_preferred_to_the_distributions(kernel: uml.GuestKernel) -> None:
    """Without a name, our own kernel is the one that boots."""
    assert uml.find().path == kernel.path
    assert kernel.path.is_relative_to(kernel_cache.cache())


def test_one_number_gives_one_chance(ask: Ask) -> None:
    """Two guests with one number draw the same bytes everywhere, wherever their folders lie."""
    first = ask(DRAW, *uml.virtual_time(42), folder="a")
    again = ask(DRAW, *uml.virtual_time(42), folder="another with a longer name")

    assert first == again


def test_another_number_gives_another_chance(ask: Ask) -> None:
    """Every draw changes with the number; addresses are no draw, they are the same in all runs."""
    first = ask(DRAW, *uml.virtual_time(42), folder="a")
    other = ask(DRAW, *uml.virtual_time(43), folder="b")

    assert [name for name in first if first[name] == other[name]] == ["stack"]


def test_without_a_number_the_host_gives_the_chance(ask: Ask) -> None:
    """Two guests without the argument draw different bytes, in virtual time too."""
    first = ask(DRAW, "time-travel=inf-cpu", folder="a")
    again = ask(DRAW, "time-travel=inf-cpu", folder="b")

    assert [name for name in first if first[name] == again[name]] == []


@pytest.mark.parametrize("number", ["", "x", "12y", "99999999999999999999999"])
def test_a_number_that_is_none_ends_the_kernel_at_once(kernel: uml.GuestKernel, tmp_path: Path, number: str) -> None:
    """It says which word it does not understand, instead of booting with another chance than was asked for."""
    answer = subprocess.run(
        [kernel.path, f"chaoskit.entropy={number}", "mem=64M"],
        env={"HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert answer.returncode == 1
    assert f"chaoskit.entropy is no 64-bit number: {number}\n" in answer.stderr


def test_time_starts_at_the_given_date_and_waits_take_no_real_time(ask: Ask) -> None:
    """It is New Year of 2026, and ten minutes of sleep are ten minutes to the guest, to the millisecond."""
    today, _ = clocks = ask(CLOCKS, *uml.virtual_time(1), folder="a")

    assert datetime.fromtimestamp(today / 1e9, UTC).date() == NEW_YEAR
    assert clocks == ask(CLOCKS, *uml.virtual_time(1), folder="b b")
    assert 600_000_000_000 <= ask(SLEEP, *uml.virtual_time(1), folder="c") < 600_001_000_000


def test_every_queue_classifier_action_and_device_can_be_made(ask: Ask) -> None:
    """What faults are made of is there: iproute2's own commands go through, one and all."""
    assert not ask(TRY, *uml.virtual_time(1))


def test_congestion_controls(ask: Ask) -> None:
    """cubic, bbr and dctcp are there to choose from."""
    assert {"cubic", "bbr", "dctcp"} <= set(ask(ALGORITHMS, *uml.virtual_time(1)))


def test_a_fork_without_memory_fails_and_nothing_else(ask: Ask) -> None:
    """Twenty forks for which there is no memory are refused, and the guest goes on."""
    assert ask(SHORTAGE) == 20


def test_a_router_can_do_what_middleboxes_do(ask: Ask) -> None:
    """nft(8) itself gets rules about connections, their bytes, timeouts and number, quotas, and sets that forget."""
    assert ask(FILTER, *uml.virtual_time(1)) == ""


def test_no_system_call_of_usual_programs_is_missing(ask: Ask) -> None:
    """Proxies, Node, Java and Go find what they find on a distribution's kernel."""
    assert ask(CALLS) == []


def test_a_new_directory_of_an_overlay_can_be_renamed(ask: Ask) -> None:
    """Test runners and package managers make directories under another name first."""
    assert ask(RENAME) is True


def test_a_fork_bomb_ends_at_the_limit_of_its_group(ask: Ask) -> None:
    """Groups with a limit of processes are there from the start; the process itself is one of twenty."""
    assert ask(BOMB) == [19, "Resource temporarily unavailable"]


def test_addresses_of_46_bits_are_mapped(ask: Ask) -> None:
    """A program gets memory where it asks for it, far above 512 GB: Envoy's allocator does not start without."""
    assert ask(FAR) == [True] * 15


@pytest.mark.timeout(120)
def test_an_unlimited_stack_is_no_matter(kernel: uml.GuestKernel) -> None:
    """It makes the host map its libraries at low addresses, where a guest's processes would have their own."""
    words = [sys.executable, "-m", "chaoskit", "exec", str(LAB), "--kernel", str(kernel.path), "--", "echo", "hello"]
    answer = subprocess.run(
        ["sh", "-c", 'ulimit -s unlimited && exec "$@"', "sh", *words], capture_output=True, text=True, check=False
    )

    assert (answer.returncode, answer.stdout) == (0, "hello\n"), answer.stderr
