"""What a plan says of unmodified proxies' timers comes true, and what it says to write mends it, in virtual time."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import warm

from chaoskit.analysis.analyse import analyse
from chaoskit.analysis.result import Result
from chaoskit.planning.model import load_plan
from chaoskit.substrate.uml import GuestKernel

PROXIES = Path(sys.prefix) / "proxies"
FILE = """\
name: thinking-model
question: Does a stream survive a pause of 62 s?
stage:
  lab: service
  hosts:
    gateway:
      run: [{program}]
      env: {{LD_LIBRARY_PATH: {libraries}}}
      ready: 8080
      files: [{config}]
    model: {{reference: {{{pause}}}}}
  target: http://gateway:8080/v1/chat/completions
workload: {{max-concurrency: 4, output-tokens: {tokens}, timeouts: {{first-token: 2min, idle: 2min}}}}
timeline: [{{baseline: 100s}}]
"""
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
      proxy_pass http://model:8000;
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
  server one model:8000
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
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: model, port_value: 8000}}}}]}]
"""
THINKING, LONG = ("pause: {after: 20 tokens, for: 62s}", 100), ("token-interval: 200ms", 100)
CASES = {
    "nginx.conf": (NGINX, f"{PROXIES}/usr/sbin/nginx, -p, ., -c, nginx.conf, -e, stderr, -g, daemon off;", THINKING, 2),
    "haproxy.cfg": (HAPROXY, f"{PROXIES}/usr/sbin/haproxy, -db, -f, haproxy.cfg", THINKING, 2),
    "envoy.yaml": (ENVOY, f"{PROXIES}/usr/bin/envoy, -c, envoy.yaml", LONG, 1),
}


def run(kernel: GuestKernel, config: str, text: str, folder: Path) -> tuple[Result, list[str]]:
    """The result of a run with this configuration, and what its plan warned of the gateway."""
    folder.mkdir()
    (folder / config).write_text(text)
    libraries = PROXIES / "usr/lib/x86_64-linux-gnu"
    _, program, (pause, tokens), _ = CASES[config]
    (folder / "x.yaml").write_text(
        FILE.format(program=program, libraries=libraries, config=config, pause=pause, tokens=tokens)
    )
    words = ["run", str(folder / "x.yaml"), "--kernel", str(kernel.path), "--clock", "virtual", "--out", "out"]
    done = warm.chaoskit(*words, cwd=folder, limit=280)
    assert done.returncode in (0, 5), done.stdout + done.stderr
    warnings = [each for each in load_plan(folder / "out").warnings if each.startswith("gateway ")]
    return analyse(folder / "out"), warnings


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


@pytest.mark.parametrize("config", CASES)
def test_a_warning_comes_true_and_its_advice_mends_it(config: str, kernel: GuestKernel, tmp_path: Path) -> None:
    """Untouched, the proxy cuts every stream when the plan says so; with the plan's lines it cuts none."""
    before, warnings = run(kernel, config, CASES[config][0], tmp_path / "before")
    after, nothing = run(kernel, config, mended(CASES[config][0], warnings), tmp_path / "after")

    assert len(warnings) == CASES[config][3]
    assert nothing == []
    for result, share in ((before, 1.0), (after, 0.0)):
        (phase,) = result.phases
        assert phase.metrics.interruption_rate.value == share
