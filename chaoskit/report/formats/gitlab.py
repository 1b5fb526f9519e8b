"""Writes what is broken and undecided as a Code Quality report, which GitLab shows in a merge request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import BinaryIO

from chaoskit.report.annotations import Annotation, Severity, annotate
from chaoskit.report.formats.source import Source
from chaoskit.terminal import ascii_json

_SEVERITIES: dict[Severity, str] = {"error": "critical", "warning": "minor"}


def write_all(sources: Sequence[Source], file: BinaryIO) -> None:
    """Write one list; an empty one where everything is met."""
    found = [_written(each, _SEVERITIES[each.severity]) for each in annotate(sources) if each.severity != "notice"]
    file.write(ascii_json(json.dumps(found, indent=1) + "\n").encode("ascii"))


def _written(each: Annotation, severity: str) -> dict[str, object]:
    """The fingerprint is that of the place and the title: the same finding in two pipelines is one."""
    place = "\0".join((each.file, str(each.line), each.title, each.message.partition(": ")[0]))
    return {
        "description": f"{each.title}: {each.message}",
        "check_name": "chaoskit",
        "fingerprint": hashlib.sha256(place.encode()).hexdigest(),
        "severity": severity,
        "location": {"path": each.file.removeprefix("./"), "lines": {"begin": each.line}},
    }
