"""Builds what the conversations of one workflow ask: their messages, model, tokens, body and headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaoskit.probe.conversation import Conversation
from chaoskit.probe.prompts import OutputLengths, Prompts
from chaoskit.probe.protocols.stream_protocol import Question
from chaoskit.probe.request_body import BodyBuilder
from chaoskit.probe.target import Target
from chaoskit.spec.carriage import workflow_header
from chaoskit.spec.workload import Workload


class Questions:
    """Those of one workflow; None: of a workload without workflows. Raises SpecError for prompts that cannot be read.

    `headers` say which workflow it is, where one does; `traffic_class` is that of all its requests, where it has one.
    """

    def __init__(self, target: Target, workload: Workload, seed: int, workflow: str | None) -> None:
        own = workload.of(workflow)
        self.body = BodyBuilder(target, own)
        self.headers: Mapping[str, str] = {}
        self._prompts = Prompts(own, seed)
        self._tokens = OutputLengths(own, seed)
        self.traffic_class: str | None = None
        self._model = target.model
        if workflow is not None:
            self.traffic_class = workload.demand[workflow].class_
            carrier = workload.carry.workflow
            if (header := workflow_header(carrier)) is not None:
                self.headers = {header: workflow}
            self._model = workload.demand[workflow].model or (workflow if carrier == "model" else target.model)

    def next(self, conversation: Conversation) -> Question:
        """The next of a conversation."""
        number = conversation.number
        return Question(self._model, conversation.messages(self._prompts), self._tokens.of(number))


def of_workflows(target: Target, workload: Workload, seed: int) -> Iterator[tuple[str | None, Questions]]:
    """Those of each workflow of this workload."""
    for workflow in workload.demand or (None,):
        yield workflow, Questions(target, workload, seed, workflow)
