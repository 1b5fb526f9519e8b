"""The real proxies, which say whether they accept a configuration."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROXIES = Path(sys.prefix) / "proxies"
HAPROXY_CFG = (PROXIES / "etc/haproxy/haproxy.cfg").read_text()
CADDYFILE = (PROXIES / "etc/caddy/Caddyfile").read_text()
_NGINX_HEAD = "pid {0}/pid; error_log {0}/log; events {{}}\n"
_NGINX_PATHS = "".join(
    f"{name}_temp_path {{0}}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def nginx_accepts(http: str, folder: Path) -> bool:
    """Whether `nginx -t` takes this as the content of an http block."""
    path = folder / "nginx.conf"
    path.write_text(f"{_NGINX_HEAD}http {{{{ access_log off; {_NGINX_PATHS}\n".format(folder) + http + "\n}\n")
    return _accepts("usr/sbin/nginx", "-t", "-e", str(folder / "log"), "-p", str(folder), "-c", "nginx.conf")


def haproxy_accepts(text: str, folder: Path) -> bool:
    """Whether `haproxy -c` takes this file."""
    path = folder / "haproxy.cfg"
    path.write_text(text)
    return _accepts("usr/sbin/haproxy", "-c", "-f", str(path))


def caddy_accepts(text: str, folder: Path) -> bool:
    """Whether `caddy adapt` takes this Caddyfile."""
    path = folder / "Caddyfile"
    path.write_text(text)
    return _accepts("usr/bin/caddy", "adapt", "--config", str(path), "--adapter", "caddyfile")


def envoy_accepts(text: str, folder: Path) -> bool:
    """Whether `envoy --mode validate` takes this file."""
    path = folder / "envoy.yaml"
    path.write_text(text)
    return _accepts("usr/bin/envoy", "--mode", "validate", "-c", str(path))


def _accepts(program: str, *words: str) -> bool:
    libraries = {"LD_LIBRARY_PATH": str(PROXIES / "usr/lib/x86_64-linux-gnu"), "HOME": "/nonexistent"}
    answer = subprocess.run(
        [PROXIES / program, *words], env={**os.environ, **libraries}, capture_output=True, check=False
    )
    return answer.returncode == 0
