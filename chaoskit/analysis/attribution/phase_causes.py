"""Says whose the stalls, the interruptions and the late first tokens of a phase were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chaoskit.analysis.attribution.first_tokens import first_tokens_of
from chaoskit.analysis.attribution.interruptions import interruption_causes
from chaoskit.analysis.attribution.run_evidence import RunEvidence
from chaoskit.analysis.attribution.stalls import attribution, verdicts
from chaoskit.analysis.load import RawRecords
from chaoskit.analysis.streams.phase_samples import PhaseSamples
from chaoskit.records.model import Request


@dataclass(frozen=True)
class PhaseCauses:
    """What causes are told by: the evidence of a run, and the phase of reference, None where there is none."""

    raw: RawRecords
    known: RunEvidence
    reference: PhaseSamples | None

    def of(self, sample: PhaseSamples) -> dict[str, Any]:
        """The fields of a `PhaseResult`."""
        evidence = self.known.evidence
        found = verdicts(sample.gaps, evidence)
        ended = {each.stream.number: each for each in self.known.ended}
        first_tokens = first_tokens_of(self.raw, evidence)
        reference = _requests(self.reference) if self.reference is not None else []
        is_reference = self.reference is sample
        found_late = first_tokens.late([] if is_reference else _requests(sample), reference)
        return {
            "stall_attribution": attribution(found),
            "interruption_causes": interruption_causes(sample.interrupted, ended, found, evidence),
            "late_first_tokens": found_late.late,
            "first_token_causes": dict(found_late.causes),
            "first_token_parts": dict(found_late.parts),
            "first_token_confidence": found_late.confidence,
        }


def _requests(sample: PhaseSamples) -> list[Request]:
    return [stream.request for stream in sample.counted]
