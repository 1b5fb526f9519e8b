"""Completes experiment files, and what stands in the one that is given."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from typer._click.core import Context

WORDS, AFTER_DASHES, INCOMPLETE = (f"{__name__}.{key}" for key in ("words", "after_dashes", "incomplete"))
"""Keys of a context's `meta`: the words as given, because an option without its value ends the parsing; whether the
cursor is after `--`, where the words are another program's; and the word at the cursor."""


def experiments(context: Context) -> Iterable[str]:
    """YAML files, and the folders that lead to them. A folder alone is left to the shell, which appends no space."""
    if context.meta.get(AFTER_DASHES):
        return []
    folder, name = os.path.split(context.meta[INCOMPLETE])
    found = [each for each in Path(folder).iterdir() if each.name.startswith(name) and not each.name.startswith(".")]
    shown = [f"{each}/" if each.is_dir() else str(each) for each in found if each.is_dir() or _is_yaml(str(each))]
    return [] if len(shown) == 1 and shown[0].endswith("/") else sorted(shown)


def _is_yaml(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))


def _file(context: Context) -> Path:
    return next(Path(word) for word in context.meta[WORDS] if _is_yaml(word))


def _words(context: Context) -> dict[str, Any]:
    """The keys and values of the file that is given."""
    from chaoskit.spec.load import EXPERIMENT, parse_document, read_text

    return parse_document(read_text(_file(context), EXPERIMENT), "", EXPERIMENT).words


def faults(context: Context) -> Iterable[str]:
    """Those of the file that is given."""
    found = _words(context).get("faults")
    return found if isinstance(found, dict) else ()


def paths(context: Context) -> Iterable[str]:
    """The dotted paths of its values, and of keys that it could have as well."""
    from chaoskit.spec.file_paths import could_follow

    return could_follow(context.meta[INCOMPLETE], _words(context))


def hosts(context: Context) -> Iterable[str]:
    """Those of its service lab. `serve --host` is an address."""
    if context.info_name == "serve":
        return ()
    stage = _words(context).get("stage")
    found = stage.get("hosts") if isinstance(stage, dict) else None
    return ("client", *found) if isinstance(found, dict) else ("client", "router", "server")


def variants(context: Context) -> Iterable[str]:
    """Those of its matrix."""
    from chaoskit.spec.matrix import load_variants

    return [each.name for each in load_variants(_file(context)).each]
