"""The fields of TCP_INFO that the analysis keeps."""

from __future__ import annotations

import re
from pathlib import Path

import chaoskit.analysis
from chaoskit.analysis.load import TCP_INFO_FIELDS
from chaoskit.records import tcp_info

CODE = "".join(path.read_text() for path in Path(*chaoskit.analysis.__path__).glob("*.py"))


def test_every_used_field_is_kept() -> None:
    """The names of TCP_INFO fields, and of the one beside them, in the analysis are exactly those that it loads."""
    names = set(re.findall(r'"([a-z_]+)"', CODE)) & {*tcp_info.parse(bytes(280)), "rmem_alloc"}

    assert names - {"state"} == set(TCP_INFO_FIELDS)
