"""Runs in a guest in virtual time: starts programs on hosts, and writes down when they were ready, as JSON.

hosts_in_virtual_time.py ANSWER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from chaoskit.clock import RealClock
from chaoskit.conduct.hosts.host_programs import Hosts
from chaoskit.conduct.hosts.program import HostProgram, Sign
from chaoskit.errors import RefusedError
from chaoskit.facts import Facts
from chaoskit.kernel.linux import LinuxKernel
from chaoskit.knobs import Knob, Link, Namespace

SECOND = 10**9
BUSY = "x = 0\nfor n in range(10_000_000): x += n"  # as imports do; some seconds of a busy processor
SERVE = "import socket, time\ns = socket.create_server(('', 80))\ntime.sleep(10**6)"
PROGRAMS = {
    "slow-imports": (f"{BUSY}\n{SERVE}", Sign("tcp", "80", SECOND // 10)),
    "slow-start": (f"import time; time.sleep(20)\n{SERVE}", Sign("tcp", "80", 30 * SECOND)),
    "never": ("import time; time.sleep(10**6)", Sign("tcp", "80", 30 * SECOND)),
}


def main(answer: Path) -> None:
    """How long each took in virtual time, ns, and what was said."""
    found, clock = {}, RealClock()
    for name, (code, sign) in PROGRAMS.items():
        with LinuxKernel(Facts()) as kernel:
            kernel.write(Knob("namespace", "", name), Namespace())
            kernel.write(Knob("link", name, "lo"), Link(up=True, mtu=65536, gso_max_segs=65535))
            program = HostProgram(name, ("/usr/bin/python3", "-c", code), str(answer.parent), {}, ready=sign)
            run = answer.parent / name
            run.mkdir()
            begin, said = clock.now(), ""
            with Hosts([(program, kernel.fileno(name))], run, clock) as hosts:
                try:
                    hosts.start()
                except RefusedError as error:
                    said = str(error)
            found[name] = (clock.now() - begin, said)
    answer.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
