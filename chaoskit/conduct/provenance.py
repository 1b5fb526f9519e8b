"""Collects what a run is made with: versions, the date, and the experiment file's commit."""

from __future__ import annotations

import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import chaoskit
from chaoskit.analysis.provenance import Provenance
from chaoskit.clock import local_time
from chaoskit.conduct.git_checkout import checkout, is_modified
from chaoskit.terminal import ascii_json

LIBRARIES = (
    *("anyio", "h11", "h2", "hpack", "httptools", "httpx", "idna", "jinja2", "numpy", "prometheus-client", "pydantic"),
    *("pyroute2", "pyyaml", "rich", "scapy", "typer"),
)


def collect(file: str | None = None, text: str = "") -> str:
    """The content of `provenance.json`. `file` is the experiment file and `text` its content, if there is one."""
    started, zone = local_time()
    path = Path(file).absolute() if file is not None else None
    tree = checkout(path.parent) if path else None
    own = checkout(Path(chaoskit.__file__).resolve().parents[1])
    content = text.encode()
    found = Provenance(
        started=started,
        time_zone=zone,
        chaoskit=chaoskit.__version__,
        chaoskit_commit=own.commit if own and (own.top / "chaoskit" / "__init__.py").is_file() else None,
        python=platform.python_version(),
        kernel=platform.release(),
        libraries=_versions(),
        file=file,
        sha256=hashlib.sha256(content).hexdigest() if file is not None else None,
        commit=tree.commit if tree else None,
        is_modified=is_modified(tree, path, content) if tree and path else None,
    )
    return ascii_json(found.model_dump_json(indent=1)) + "\n"


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a part that a library can do without
            continue
    return found
