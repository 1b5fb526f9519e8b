"""A gateway: OpenAI's chat completions in front, workflows of other hosts behind.

The workflow is named by a header field, or by the `model` of the body; otherwise it is the first one of the file.
"""

from __future__ import annotations

from typing import Any

from chaoskit.clock import now
from chaoskit.records.jsonl import Log
from chaoskit.records.span_names import FIRST_TOKEN, OPERATION_NAME, WORKFLOW_NAME
from chaoskit.server import fields
from chaoskit.server.formats.api import CREATED
from chaoskit.server.limits import Limits
from chaoskit.server.requests import Reply, Request, json_reply
from chaoskit.tiers.calls import Caller
from chaoskit.tiers.controls import Asked
from chaoskit.tiers.endpoints import Resolver
from chaoskit.tiers.failures import RequestError
from chaoskit.tiers.gatekeeper import Gatekeeper
from chaoskit.tiers.metrics_reader import MetricsReader
from chaoskit.tiers.outgoing import Pool
from chaoskit.tiers.relay import Relay
from chaoskit.tiers.settings import GatewaySettings
from chaoskit.tiers.tier import Tier, TierResponse
from chaoskit.tiers.tracing import OpenSpan
from chaoskit.tiers.workflow import MODEL_PATH, Conversation, Workflows
from chaoskit.timer import AbsoluteTimer

_CARRIED = "x-"  # header fields that begin so go with every call


class Gateway(Tier):
    """Runs the workflow of each request."""

    path = MODEL_PATH
    pages = ("/v1/models",)

    def __init__(self, host: str, settings: GatewaySettings, timer: AbsoluteTimer, log: Log | None, limits: Limits):
        super().__init__(host, timer, log, limits)
        carriage = settings.controls.carriage
        carried = {carriage.name} if carriage is not None and carriage.place == "header" else set()
        self.read_headers |= {settings.workflow_header, *carried}
        self._settings = settings
        self._pool = Pool()
        resolver = Resolver(settings.addresses, settings.port)
        caller = Caller(timer, self._pool, resolver, settings.retry_budget, settings.breaker)
        self._keeper = Gatekeeper(settings.controls, timer, MetricsReader(timer, self._pool, resolver), self.tracer)
        self._workflows = Workflows(settings, caller, Relay(caller, timer), self._keeper)
        self._keeper.start()

    def close(self) -> None:
        """Reset its connections to other hosts."""
        self._keeper.close()
        self._pool.close()

    def get(self, path: str) -> Reply | None:
        """The workflows, as models."""
        if path not in self.pages:
            return None
        models = [
            {"id": name, "object": "model", "created": CREATED, "owned_by": "chaoskit"}
            for name in self._settings.workflows
        ]
        return json_reply(200, {"object": "list", "data": models})

    async def answer(self, request: Request, body: dict[str, Any], response: TierResponse) -> None:
        """Run the workflow."""
        fields.model(body)
        fields.messages(body)
        with self.tracer.begin(request.headers, request.received, "invoke_workflow", "workflow") as span:
            name = self._workflow(request, body)
            span.attributes[OPERATION_NAME] = "invoke_workflow"
            span.attributes[WORKFLOW_NAME] = name
            await self._admitted(span, Asked(name, request.headers, body, request.received), body, request, response)

    async def _admitted(
        self, span: OpenSpan, asked: Asked, body: dict[str, Any], request: Request, response: TierResponse
    ) -> None:
        ticket = await self._keeper.admit(asked, span)

        def first_token(at: int) -> None:
            span.attributes[FIRST_TOKEN] = at - span.begin
            ticket.first_token(at)

        model = "chaoskit" if body["model"] in self._settings.workflows else body["model"]
        talk = Conversation(asked, body | {"model": model, **ticket.fields}, _carried(request), response, first_token)
        is_whole = False
        try:
            await self._workflows.run(span, talk)
            is_whole = span.error is None
        finally:
            ticket.ended(now(), is_whole)

    def _workflow(self, request: Request, body: dict[str, Any]) -> str:
        """The name of the workflow that is asked for. Raises RequestError."""
        workflows = self._settings.workflows
        asked = request.headers.get(self._settings.workflow_header)
        if asked is not None:
            if asked not in workflows:
                sentence = f"there is no workflow {asked[:80]!r}; there are {', '.join(workflows)}"
                raise RequestError(404, "404", sentence)
            return asked
        return body["model"] if body["model"] in workflows else next(iter(workflows))


def _carried(request: Request) -> tuple[tuple[str, str], ...]:
    """The header fields of a request that go with every call of its workflow."""
    return tuple((name, value) for name, value in request.headers.items() if name.startswith(_CARRIED))
