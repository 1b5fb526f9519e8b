"""The experiments in which stalls and interruptions are made, with their causes."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

PROXIES = Path(sys.prefix) / "proxies"
_HEAD = """\
name: whose
question: Whose are these stalls?
evidence: {{capture: true}}
seed: {seed}
"""
_PAUSES = """\
server:
  first-token: {median: 100ms, p99: 200ms}
  token-interval: 20ms
  pause:
    - {after: 20, for: 330ms, share: 25%}
    - {after: 45, for: 650ms, share: 20%}
"""
_WORDS = {"DOWN": "link: client-router, direction: down", "LOSSY": "loss: {gemodel: {p: 5%, r: 25%}}"}
_EDGE = "stage: {{lab: edge, ip: {ip}}}\n"
_PATH = """\
workload: {request-rate: 8/s, burstiness: 0, output-tokens: 70, prompt-size: 500B}
faults:
  up: {link: client-router, direction: up, netem: {delay: 20ms}}
  far: {DOWN, netem: {delay: 20ms}}
  farther: {DOWN, netem: {delay: 300ms}}
  burst: {DOWN, netem: {delay: 20ms, loss: {gemodel: {p: 4%, r: 25%}}}}
  random: {DOWN, netem: {delay: 30ms, loss: 8%}}
  jitter: {DOWN, netem: {delay: 150ms, jitter: 70ms}}
  reorder: {DOWN, netem: {delay: 250ms, reorder: 20%}}
  lossy-reorder: {DOWN, netem: {delay: 250ms, reorder: 20%, loss: 4%}}
  rate: {DOWN, netem: {delay: 20ms, rate: 900kbit, limit: 1000}}
  all: {DOWN, netem: {delay: 60ms, jitter: 10ms, loss: {gemodel: {p: 3%, r: 30%}}, rate: 2500kbit, limit: 300}}
timeline:
  - {far+up: 4s}
  - {burst+up: 8s}
  - {random+up: 6s}
  - {jitter+up: 5s}
  - {reorder+up: 5s}
  - {lossy-reorder+up: 5s}
  - {rate+up: 6s}
  - {all+up: 6s}
"""
_STEP = "  - {near: 1500ms}\n  - {farther+up: 1500ms}\n"
_CLIENT = """\
workload: {request-rate: 8/s, burstiness: 0, output-tokens: 70, prompt-size: 500B}
faults:
  up: {link: client-router, direction: up, netem: {delay: 20ms}}
  far: {DOWN, netem: {delay: 20ms}}
  burst: {DOWN, netem: {delay: 20ms, loss: {gemodel: {p: 4%, r: 25%}}}}
timeline: [{far+up: 10s}, {burst+up: 8s}]
"""
_PROXY = """\
stage:
  lab: service
  ip: {ip}
  hosts:
    model: {{reference: true}}
    gateway:
      run: [{nginx}, -p, ., -c, nginx.conf, -e, stderr, -g, "daemon off;"]
      ready: 8080
      files: [nginx.conf]
      env: {{LD_LIBRARY_PATH: {libraries!r}}}
  target: http://gateway:8080/v1/chat/completions
"""
_BEHIND_PROXY = """\
workload: {request-rate: 6/s, burstiness: 0, output-tokens: 70, prompt-size: 500B}
faults:
  near: {between: [client, gateway], direction: both, netem: {delay: 15ms}}
  lossy: {between: [client, gateway], direction: to-client, netem: {delay: 15ms, LOSSY}}
  lossy-behind: {between: [gateway, model], direction: to-gateway, netem: {delay: 15ms, LOSSY}}
timeline: [{baseline: 6s}, {near: 4s}, {lossy: 6s}, {lossy-behind: 6s}]
"""
_NGINX = """\
pid /tmp/nginx.pid; events {{}}
http {{
  access_log off; client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server {{ listen 8080; listen [::]:8080; location / {{ proxy_pass http://model:8000; {how} }} }}
}}
"""
_DEATHS = """\
workload:
  request-rate: 10/s
  burstiness: 0
  output-tokens: 70
  prompt-size: 3kB
  timeouts: {first-token: 3s, idle: 2s}
server:
  first-token: {median: 100ms, p99: 200ms}
  token-interval: 20ms
  pause: {after: 35, for: 60s, share: 20%}
  error:
    - {status: 503, share: 5%}
    - {after: 30, share: 10%}
  cut:
    - {after: 25, by: reset, share: 10%}
    - {after: 25, by: close, share: 10%}
    - {after: 25, by: chunk, share: 10%}
faults:
  up: {link: client-router, direction: up, netem: {delay: 20ms}}
  far: {DOWN, netem: {delay: 20ms}}
  burst: {DOWN, netem: {delay: 20ms, loss: {gemodel: {p: 4%, r: 25%}}}}
  outage: {DOWN, netem: {loss: 100%}}
  hole: {direction: down, pmtu: {mtu: 1300, signal: dropped}}
  hole-up: {direction: up, pmtu: {mtu: 1300, signal: dropped}}
timeline: [{far+up: 6s}, {burst+hole: 8s}, {far+hole-up: 4s}, {outage: 2s}, {far+up: 1s}, {outage: 2s}]
"""
KINDS: dict[str, tuple[str, ...]] = {
    "burst+up": ("loss",),
    "random+up": ("loss",),
    "jitter+up": ("delay", "reorder"),
    "farther+up": ("delay",),
    "reorder+up": ("reorder",),
    "lossy-reorder+up": (),
    "rate+up": ("rate", "queueing", "delay"),
    "all+up": (),
}
"""What the network does in phases with one fault; in those with several each packet tells: none is given here."""


@dataclass(frozen=True)
class World:
    """An experiment's text with holes for seed and IP version; `stops` are whose processes are stopped meanwhile."""

    name: str
    text: str
    stops: tuple[str, ...] = ()
    is_virtual: bool = True
    nginx: str = ""

    def write(self, folder: Path, seed: int) -> Path:
        """Write its files; odd seeds have IPv4, even ones IPv6."""
        values = {"seed": seed, "ip": 4 if seed % 2 else 6, "nginx": "nginx", "libraries": ""}
        if self.nginx:
            path = f"{PROXIES}/usr/sbin:{PROXIES}/usr/bin:{os.environ.get('PATH', os.defpath)}:/usr/sbin"
            values["nginx"] = shutil.which("nginx", path=path) or sys.exit("nginx is missing: bash .ci/prepare tests")
            values["libraries"] = ":".join(map(str, (PROXIES / "usr/lib").glob("*-linux-gnu")))
            (folder / "nginx.conf").write_text(_NGINX.format(how=self.nginx))
        file = folder / "whose.yaml"
        file.write_text(self.text.format(**values))
        return file


def _world(stage: str, rest: str) -> str:
    """All text of a file: only head and stage have holes."""
    for word, meaning in _WORDS.items():
        rest = rest.replace(word, meaning)
    return _HEAD + stage + rest.replace("{", "{{").replace("}", "}}")


WORLDS = (
    World("path", _world(_EDGE, _PAUSES + _PATH), ("server",)),
    World(
        "delay step",
        _world(_EDGE, _PAUSES + _PATH.partition("timeline:")[0] + "timeline:\n" + _STEP.replace("near", "far+up") * 5),
        ("server",),
    ),
    World("client", _world(_EDGE, _PAUSES + _CLIENT), ("client", "client", "server")),
    World("buffering proxy", _world(_PROXY, _PAUSES + _BEHIND_PROXY), ("server",), nginx="proxy_buffering on;"),
    World("passing proxy", _world(_PROXY, _PAUSES + _BEHIND_PROXY), ("server",), nginx="proxy_buffering off;"),
    World("deaths", _world(_EDGE, _DEATHS)),
    World("busy client", _world(_EDGE, _PAUSES + _CLIENT), ("busy",), is_virtual=False),
)
