"""Transport chaos testing for token streams. The map of this package is README.md beside this file.

The public names are those of `__all__`; docs/api.md describes them. Each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaoskit.analysis.matrix import MatrixResult as MatrixResult
    from chaoskit.analysis.result import Result as Result
    from chaoskit.analysis.tables.run_tables import RunTables as RunTables
    from chaoskit.analysis.tables.table import Table as Table
    from chaoskit.api import Run as Run
    from chaoskit.api import analyse as analyse
    from chaoskit.api import load as load
    from chaoskit.api import plan as plan
    from chaoskit.api import run as run
    from chaoskit.errors import ChaoskitError as ChaoskitError
    from chaoskit.errors import RefusedError as RefusedError
    from chaoskit.errors import SpecError as SpecError
    from chaoskit.planning.model import Plan as Plan

__version__ = "0.1.0"

_HOMES = {
    "ChaoskitError": "errors",
    "MatrixResult": "analysis.matrix",
    "Plan": "planning.model",
    "RefusedError": "errors",
    "Result": "analysis.result",
    "Run": "api",
    "RunTables": "analysis.tables.run_tables",
    "SpecError": "errors",
    "Table": "analysis.tables.table",
    "analyse": "api",
    "load": "api",
    "plan": "api",
    "run": "api",
}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


def discover(discover_system: bool = True) -> object:
    """What Chaos Toolkit's loader asks of an extension: see `chaoskit.chaostoolkit`."""
    from chaoskit import chaostoolkit

    return chaostoolkit.discover(discover_system)
