"""The formats in which the result of a suite is shown."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from chaoskit.analysis.suite_result import SuiteResult, as_json, is_suite_folder, load_suite_result
from chaoskit.report import suite_junit, suite_markdown, suite_metrics
from chaoskit.report.documents import Document, Documents
from chaoskit.report.html import suite_page
from chaoskit.report.suite import headline, render, summary


class _Page(Document[SuiteResult]):
    """A page with links to the runs in the suite's folder."""

    def writer(self, found: SuiteResult, place: Path) -> Callable[[BinaryIO], None]:
        """Its links lead from the folder that it is in."""
        way = os.path.relpath(found.folder, place) if found.folder else "."
        return partial(suite_page.write, found, to_folder="" if way == "." else way)


SUITE_DOCUMENTS = Documents(
    kind="a suite",
    is_folder=is_suite_folder,
    load=load_suite_result,
    render=render,
    line=lambda suite: f"{headline(suite)}, {summary(suite)}",
    as_json=as_json,
    others={
        "markdown": Document("report.md", suite_markdown.write),
        "junit": Document("junit.xml", suite_junit.write),
        "html": _Page("report.html", suite_page.write),
        "openmetrics": Document("metrics.txt", suite_metrics.write_openmetrics),
        "prometheus": Document("metrics.prom", suite_metrics.write_prometheus),
    },
)
