"""Answers for the model behind a reference server: whom it takes, and what `/metrics` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from chaoskit.server import routes
from chaoskit.server.dispatcher import Outcome
from chaoskit.server.formats.api import CompletionRequest
from chaoskit.server.inference.driver import Asked, Computation, EngineDriver
from chaoskit.server.inference.model_records import ModelLogs
from chaoskit.server.inference.prometheus_page import CONTENT_TYPE
from chaoskit.server.inference.settings import EngineSettings
from chaoskit.server.requests import Reply, Request
from chaoskit.timer import AbsoluteTimer
from chaoskit.units import counted

_PAGE = "/metrics"
_RETRY = (("retry-after", "1"),)


class Model:
    """An engine of a server, as its requests see it."""

    def __init__(self, settings: EngineSettings, seed: int, timer: AbsoluteTimer, logs: ModelLogs | None) -> None:
        self._settings = settings
        self._seed = seed
        self._logs = logs
        self._driver = EngineDriver(settings, timer, logs)

    def parse(self, request: Request) -> CompletionRequest | Reply:
        """As `routes.parse`, with the page of metrics."""
        if request.target.partition("?")[0] == _PAGE:
            if request.method not in ("GET", "HEAD"):
                told = f"{_PAGE} takes GET, not {request.method}"
                return routes.error(routes.DEFAULT, 405, told, (("allow", "GET"),))
            page = self._driver.page().encode()
            return Reply(200, (("content-type", CONTENT_TYPE), ("content-length", str(len(page)))), page)
        return routes.parse(request)

    def admit(
        self, request: Request, completion: CompletionRequest, identity: tuple[str, int]
    ) -> CompletionRequest | Reply:
        """The request with the lengths that its model makes of it, or why it is refused."""
        prompt, output = self._settings.prompt, self._settings.output
        if prompt is not None:
            completion = replace(completion, prompt=prompt.draw(self._seed, "prompt-tokens", *identity))
        if output is not None:
            tokens = output.draw(self._seed, "output-tokens", *identity)
            if tokens < completion.tokens or not completion.limited:
                completion = replace(completion, tokens=tokens, limited=False)
        if not self._driver.engine.fits(completion.prompt, completion.tokens):
            most = counted(self._settings.longest, "token")
            told = f"{completion.prompt} in its prompt, {completion.tokens} for its answer"
            return self._refuse(request, completion, 400, f"the model takes {most}; this request has {told}")
        if self._driver.engine.is_full:
            count = self._settings.max_waiting or 0
            told = f"the queue of the model is full: {counted(count, 'request')} {'waits' if count == 1 else 'wait'}"
            return self._refuse(request, completion, self._settings.full_status, told)
        return completion

    def submit(
        self, request: Request, completion: CompletionRequest, tokens: int, wake: Callable[[], None]
    ) -> Computation:
        """Queue a request; `wake` is called after each step that computed a token of it."""
        asked = Asked(request, completion.model, completion.prompt, tokens, completion.priority)
        return self._driver.submit(asked, wake)

    def end(self, computation: Computation, outcome: Outcome, finish: str) -> None:
        """A response has ended."""
        if outcome == "client-left":
            finish = "abort"
        self._driver.end(computation, finish if finish in ("abort", "length") else "stop")

    def close(self) -> None:
        """Record the last state."""
        self._driver.close()

    def _refuse(self, request: Request, completion: CompletionRequest, status: int, message: str) -> Reply:
        if self._logs is not None:
            self._logs.refused(request, completion.model, status)
        return routes.error(completion.api, status, message, _RETRY if status != 400 else ())
