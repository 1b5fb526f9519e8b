"""Defines what a lab is built from, as plain data that a guest reads without loading pydantic.

It goes into a guest as a pickle, in a folder that only the user who starts the guest can write.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaoskit.knobs import Change
from chaoskit.server.schedule import Script

if TYPE_CHECKING:  # plans load pydantic, which takes a third of a second in a guest
    from chaoskit.plan.model import Plan


@dataclass(frozen=True)
class LabSetup:
    """A lab: the URL of its server, what the server does, its sockets' MSS, the stage and the first phase's changes."""

    target: str
    script: Script
    maxseg: int | None
    stage: tuple[Change, ...]
    phase: tuple[Change, ...]

    @classmethod
    def of(cls, plan: Plan) -> LabSetup:
        """The lab of a plan."""
        assert plan.server is not None, "a lab has a server"
        stage, phase = (
            tuple((change.knob, change.setting) for change in changes)
            for changes in (plan.stage, plan.phases[0].changes)
        )
        return cls(plan.target, plan.server.script(plan.seed), plan.server.maxseg, stage, phase)

    def pickled(self) -> bytes:
        """For `unpickled`."""
        return pickle.dumps(self)

    @staticmethod
    def unpickled(data: bytes) -> LabSetup:
        """From the bytes of `pickled`, which must come from chaoskit itself."""
        setup = pickle.loads(data)
        assert isinstance(setup, LabSetup)
        return setup
