"""Reads the options of pytest that concern experiments, once for each process of a session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from chaoskit.pytest_plugin.shared_runs import SharedRuns

_FOLDER = "chaoskit"


@dataclass(frozen=True)
class Session:
    """The options, and the runs that the session has made."""

    run_options: tuple[str, ...]
    kernel_options: tuple[str, ...]
    undecided: str
    may_use_interfaces: bool
    runs: SharedRuns

    @staticmethod
    def of(config: pytest.Config) -> Session:
        """That of this session; made when it is asked for first."""
        if _KEY not in config.stash:
            config.stash[_KEY] = _read(config)
        return config.stash[_KEY]


_KEY = pytest.StashKey[Session]()


def _read(config: pytest.Config) -> Session:
    clock, kernel = config.getoption("chaoskit_clock"), config.getoption("chaoskit_kernel")
    of_kernel = ("--kernel", str(Path(kernel).absolute())) if kernel else ()
    shared = _shared_folder(config)
    out = config.getoption("chaoskit_out")
    return Session(
        run_options=(*(("--clock", clock) if clock else ()), *of_kernel),
        kernel_options=of_kernel,
        undecided=config.getini("chaoskit_undecided"),
        may_use_interfaces=config.getoption("chaoskit_interfaces"),
        runs=SharedRuns(shared / "shared", config.invocation_params.dir / out if out else shared / "runs"),
    )


def _shared_folder(config: pytest.Config) -> Path:
    """A folder of this session and all its workers, below pytest's temporary files of the session."""
    factory: pytest.TempPathFactory = config._tmp_path_factory  # type: ignore[attr-defined]  # it has no public name
    own = factory.getbasetemp()
    is_worker = hasattr(config, "workerinput")  # pytest-xdist's, in its workers
    return (own.parent if is_worker else own) / _FOLDER
