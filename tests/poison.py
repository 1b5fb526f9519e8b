"""A directory in which everything that chaoskit might pick up by mistake is a trap: it leaves a mark and stops."""

from __future__ import annotations

from pathlib import Path

INSTALLED = ("pydantic", "numpy", "yaml", "typer", "rich", "httpx", "httptools", "h11", "h2", "pyroute2", "scapy")
PYTHONS_OWN = ("json", "random", "typing", "pkgutil", "runpy", "dataclasses", "sitecustomize", "usercustomize")
TOOLS = ("setpriv", "gcc", "make", "tar", "patch", "xz", "strip", "dpkg-query", "pasta", "linux.uml", "python3")


def poison(folder: Path, mark: Path, modules: tuple[str, ...] = (*INSTALLED, *PYTHONS_OWN, "chaoskit")) -> Path:
    """Fill a new folder with modules and tools that write their names into `mark`; the folder."""
    folder.mkdir()
    trap = f"try:\n    open({str(mark)!r}, 'a').write(__name__ + '\\n')\nfinally:\n    raise SystemExit(99)\n"
    for name in modules:
        if name == "h2":  # a package among modules
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(trap)
        else:
            (folder / f"{name}.py").write_text(trap)
    for name in TOOLS:
        tool = folder / name
        tool.write_text(f"#!/bin/sh\necho {name} >> {mark}\nexit 99\n")
        tool.chmod(0o755)
    return folder
