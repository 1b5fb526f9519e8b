"""What a plan says to write against the timers of unmodified proxies mends them, in virtual time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import warm

import chaoskit
from chaoskit.analysis.analyse import analyse
from chaoskit.substrate.uml import GuestKernel

PROXIES = Path(sys.prefix) / "proxies"
FILE = """\
name: untouched-timers
question: Does a stream survive a pause of 62 s, and a length of 20 s?
stage:
  lab: service
  memory: 1GB
  hosts:
    nginx:
      run: [PROXIES/sbin/nginx, -p, ., -c, nginx.conf, -e, stderr, -g, daemon off;]
      env: {LD_LIBRARY_PATH: PROXIES/lib/x86_64-linux-gnu}
      ready: 8080
      files: [nginx.conf]
    haproxy:
      run: [PROXIES/sbin/haproxy, -db, -f, haproxy.cfg]
      env: {LD_LIBRARY_PATH: PROXIES/lib/x86_64-linux-gnu}
      ready: 8080
      files: [haproxy.cfg]
    envoy:
      run: [PROXIES/bin/envoy, -c, envoy.yaml]
      env: {LD_LIBRARY_PATH: PROXIES/lib/x86_64-linux-gnu}
      ready: 8080
      files: [envoy.yaml]
    thinking: {reference: {pause: {after: 20 tokens, for: 62s}}}
    slow: {reference: {token-interval: 200ms}}
  target: http://TARGET:8080/v1/chat/completions
workload: {WORK}
workloads:
  haproxy: {target: "http://haproxy:8080/v1/chat/completions", WORK}
  envoy: {target: "http://envoy:8080/v1/chat/completions", WORK}
timeline: [{baseline: 64s}]
""".replace("PROXIES", f"{PROXIES}/usr").replace(
    "WORK", "max-concurrency: 2, output-tokens: 100, timeouts: {first-token: 2min, idle: 2min}"
)
NGINX = """\
pid /tmp/nginx.pid;
error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server {
    listen 8080;
    location / {
      proxy_pass http://thinking:8000;
    }
  }
}
"""
HAPROXY = """\
defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000
listen all
  bind :8080
  server one thinking:8000
"""
ENVOY = """\
static_resources:
  listeners:
  - address: {socket_address: {address: 0.0.0.0, port_value: 8080}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: all
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {prefix: /}
                route:
                  cluster: model
  clusters:
  - name: model
    type: STRICT_DNS
    load_assignment:
      cluster_name: model
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: slow, port_value: 8000}}}}]}]
"""
CONFIGS = {"nginx.conf": NGINX, "haproxy.cfg": HAPROXY, "envoy.yaml": ENVOY}
WARNINGS = {"nginx": 2, "haproxy": 2, "envoy": 1}


def write(configs: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """The experiment with these configurations, for each proxy as its target; and what each plan warns of it."""
    folder.mkdir()
    for name, text in configs.items():
        (folder / name).write_text(text)
    for host in WARNINGS:
        (folder / f"to-{host}.yaml").write_text(FILE.replace("TARGET", host))
    told = {host: chaoskit.plan(folder / f"to-{host}.yaml").warnings for host in WARNINGS}
    return {host: [each for each in found if each.startswith(f"{host} ")] for host, found in told.items()}


def interrupted(kernel: GuestKernel, folder: Path) -> dict[str, float | None]:
    """The share of the streams through each proxy that were cut, in a run."""
    words = ["run", "to-nginx.yaml", "--kernel", str(kernel.path), "--clock", "virtual", "--out", "out"]
    done = warm.chaoskit(*words, cwd=folder, limit=280)
    assert done.returncode in (0, 5), done.stdout + done.stderr
    result = analyse(folder / "out")
    phases = {"nginx": result.phases, **{each.name: each.phases for each in result.workloads}}
    return {host: each.metrics.interruption_rate.value for host, (each,) in phases.items()}


def mended(text: str, warnings: list[str]) -> str:
    """The configuration with each line that is advised: in place of that line, or as the first in that block."""
    lines = text.splitlines()
    for words in warnings:
        found = re.search(r"; write (.+) in (the \w+(?: section)? of )?[\w.]+:(\d+)$", words)
        assert found is not None, words
        index = int(found[3]) - 1 + (found[2] is not None)
        indented = " " * (len(lines[index]) - len(lines[index].lstrip())) + found[1]
        lines[index] = f"{indented}\n{lines[index]}" if found[2] else indented
    return "\n".join([*lines, ""])


def test_what_is_advised_mends_it(kernel: GuestKernel, tmp_path: Path) -> None:
    """Of each untouched proxy the plan warns, with the plan's lines of none, and no stream is cut. That untouched ones
    cut every stream is what the included experiments show."""
    warnings = write(CONFIGS, tmp_path / "before")
    texts = [mended(text, told) for text, told in zip(CONFIGS.values(), warnings.values(), strict=True)]
    nothing = write(dict(zip(CONFIGS, texts, strict=True)), tmp_path / "after")

    assert {host: len(told) for host, told in warnings.items()} == WARNINGS
    assert nothing == {"nginx": [], "haproxy": [], "envoy": []}
    assert interrupted(kernel, tmp_path / "after") == {"nginx": 0, "haproxy": 0, "envoy": 0}
