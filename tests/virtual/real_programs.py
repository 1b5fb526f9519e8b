"""Programs that included experiments name as users have them, for a search path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

PROXIES = Path(sys.prefix) / "proxies"
HAYHOOKS = Path(sys.prefix) / "haystack/bin/hayhooks"
_PLACES = {"nginx": "usr/sbin/nginx", "haproxy": "usr/sbin/haproxy", "envoy": "usr/bin/envoy"}


def search_path(folder: Path) -> str:
    """A PATH that begins with `folder`, which gets a starter for each program, and with this Python's programs.

    The packages are unpacked and not installed, so that a starter says where their libraries are.
    """
    libraries = PROXIES / "usr/lib/x86_64-linux-gnu"
    starts = {name: f"LD_LIBRARY_PATH={libraries} exec {PROXIES / place}" for name, place in _PLACES.items()}
    starts["hayhooks"] = f"[ -x {HAYHOOKS} ] || echo 'make .venv/.haystack installs it'; exec {HAYHOOKS}"
    folder.mkdir()
    for name, words in starts.items():
        starter = folder / name
        starter.write_text(f'#!/bin/sh\n{words} "$@"\n')
        starter.chmod(0o755)
    return os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"]))
