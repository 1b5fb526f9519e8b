"""What a service lab costs in virtual time: wall seconds of a game-day with nginx, and of a boot with five hosts.

    python tests/bench/service_lab.py [--minutes 15] [--times 3]

The game-day: nginx before the reference server, 8 streams of 50 tokens a second each, and a fault of the model in two
of five phases. Beside it the same streams in the lab `edge`, where no nginx passes them on. `boot` is the time from
Enter until the probe opens its records, right before the first request, when all hosts are ready; of boots the best is
told, because other programs may use the machine. `processor` is the processor time of all of it, which a busy machine
changes less; `of it a token` leaves out that of a boot. nginx is the one of .venv/proxies, or of PATH.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from loopback import table

STREAMS, RATE = 8, 50
SHORT = 3  # virtual seconds of a run that is little more than its boot
GLANCE = 0.005  # seconds between two looks at a run's files
UNDECIDED = 5  # nothing is asked of these runs but to end
PROXIES = Path(sys.prefix) / "proxies"
NGINX = """\
daemon off; pid /tmp/nginx.pid; error_log stderr; events {}
http {
  access_log off; client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { listen 8080; listen [::]:8080; location / { proxy_pass http://model:8000; proxy_buffering off; } }
}
"""
EXPERIMENT = """\
name: game-day
question: How long does it take?
stage:
{stage}
workload:
  protocol: openai-chat
  max-concurrency: {streams}
  prompt-size: 1kB
  output-tokens: {tokens}
server:
  first-token: {{median: 5ms, p99: 6ms}}
  token-interval: 20ms
faults:
  far: {{{aim}, netem: {{delay: 20ms}}}}
timeline: [{timeline}]
seed: 42
"""
EDGE = "  lab: edge"
GATEWAY = """\
    gateway:
      run: [{nginx}, -p, ., -c, nginx.conf]
      ready: 8080
      files: [nginx.conf]
      env: {{LD_LIBRARY_PATH: {libraries!r}}}"""
SERVICE = """\
  lab: service
  hosts:
    model: {{reference: true}}
{hosts}
  target: http://{target}/v1/chat/completions"""


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=int, default=15, help="virtual ones of the game-day")
    words.add_argument("--times", type=int, default=3, help="how often to boot")
    asked = words.parse_args()
    gateway = GATEWAY.format(nginx=_nginx(), libraries=":".join(map(str, (PROXIES / "usr/lib").glob("*-linux-gnu"))))
    others = "\n".join(f"    store-{number}: {{reference: true}}" for number in (1, 2, 3))
    host, link = "host: model, direction: from-model", "link: client-router, direction: down"
    through = SERVICE.format(hosts=gateway, target="gateway:8080")
    five = SERVICE.format(hosts=f"{gateway}\n{others}", target="gateway:8080")
    tokens = STREAMS * RATE * 60 * asked.minutes
    rows = []
    for name, stage, aim in (("nginx + model", through, host), ("edge", EDGE, link)):
        short, long = measure(stage, aim, SHORT), measure(stage, aim, asked.minutes * 60)
        walls = (long.boot, long.streams, long.report, long.boot + long.streams + long.report)
        rows.append((name, *(f"{took:.1f} s" for took in (*walls, long.processor))))
        rows[-1] += tuple(f"{took / tokens * 1000:.2f} ms" for took in (long.streams, long.processor - short.processor))
    print(f"wall time of {asked.minutes} virtual minutes, {STREAMS} streams of {RATE} tokens/s")
    print(table(("lab", "boot", "streams", "report", "all", "processor", "a token", "of it a token"), rows))
    print(f"boot until all is ready, best of {asked.times}")
    for name, stage, aim in (("five hosts", five, host), ("edge", EDGE, link)):
        boots = [measure(stage, aim, SHORT).boot for _ in range(asked.times)]
        print(f"  {name:<14}{min(boots):.1f} s")


def _nginx() -> str:
    path = f"{PROXIES}/usr/sbin:{PROXIES}/usr/bin:{os.environ.get('PATH', os.defpath)}:/usr/sbin"
    found = shutil.which("nginx", path=path)
    return found if found is not None else sys.exit("nginx is missing: bash .ci/prepare tests")


class Took(NamedTuple):
    """Wall seconds until the first request, until all is put back, until the report; and of processors, in all."""

    boot: float
    streams: float
    report: float
    processor: float


def measure(stage: str, aim: str, seconds: int) -> Took:
    """Run it once."""
    phase = max(1, seconds // 5)
    timeline = ", ".join(f"{{{name}: {phase}s}}" for name in ("baseline", "far", "baseline", "far", "baseline"))
    with tempfile.TemporaryDirectory(prefix="chaoskit-") as folder:
        run, file = Path(folder) / "run", Path(folder) / "game-day.yaml"
        (Path(folder) / "nginx.conf").write_text(NGINX)
        # a stream of 20 s, so that each phase has some
        file.write_text(EXPERIMENT.format(stage=stage, streams=STREAMS, tokens=RATE * 20, aim=aim, timeline=timeline))
        command = [sys.executable, "-m", "chaoskit", "run", str(file), "--clock", "virtual", "--out", str(run)]
        begun = time.time()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            while not (run / "tokens.jsonl").exists() and process.poll() is None:
                time.sleep(GLANCE)
            first = time.time()
            said, _ = process.communicate()
            ended = time.time()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if process.returncode not in (0, UNDECIDED):
            sys.exit(said)
        put_back = (run / "outcome.json").stat().st_ctime
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(first - begun, put_back - first, ended - put_back, used)


if __name__ == "__main__":
    main()
