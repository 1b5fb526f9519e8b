"""Finds who answers a path, and shapes errors as the API of the path does.

`HEAD` is allowed wherever `GET` is. An unknown path lists those that are known.
"""

from __future__ import annotations

import difflib
from urllib.parse import unquote, urlsplit

from chaoskit.server import catalog, formats, malformations
from chaoskit.server.formats import openai_chat
from chaoskit.server.formats.api import Api, CompletionRequest, Route
from chaoskit.server.requests import BadRequestError, Headers, Reply, Request, json_reply

DEFAULT = openai_chat.API
"""The API whose errors a request has that is none of any."""
_ROUTES: tuple[Route, ...] = (*(route for api in formats.APIS for route in api.routes), *catalog.ROUTES)
PATHS = tuple(route.path.replace("*", "MODEL") for route in _ROUTES)
_EXACT = {route.path: route for route in _ROUTES if "*" not in route.path}
_PATTERNS = [route for route in _ROUTES if "*" in route.path]


def parse(request: Request) -> CompletionRequest | Reply:
    """The completion request, or an immediate response."""
    try:
        url = urlsplit(request.target)
    except ValueError:
        return error(DEFAULT, 400, f"{request.target[:200]!r} is not a path")
    api = api_of(url.path)
    route, name = _find(url.path, request.method)
    if route is None:
        return error(api, 404, f"there is no {url.path[:200]}; known paths: {', '.join(PATHS)}")
    if not _allows(route, request.method):
        allowed = ", ".join(route.methods)
        return error(api, 405, f"{url.path} takes {allowed}, not {request.method}", (("allow", allowed),))
    try:
        found = route.handler(request, unquote(name), url.query)
    except BadRequestError as wrong:
        return error(api, 400, str(wrong))
    except RecursionError:  # of the JSON parser, or of json.dumps for the message
        return error(api, 400, "the body is nested too deeply")
    if isinstance(found, CompletionRequest) and found.script is not None:
        return _checked(found, found.script)
    return found


def _checked(completion: CompletionRequest, script: str) -> CompletionRequest | Reply:
    """The request if there is such a script, and it has a meaning for this API."""
    malformation = malformations.BY_NAME.get(script)
    if malformation is None:
        near = difflib.get_close_matches(script, malformations.BY_NAME, n=1)
        hint = f"did you mean {near[0]}?" if near else "all names: chaoskit serve --list"
        return error(completion.api, 400, f"there is no script {script[:80]!r}; {hint}")
    if not malformation.fits(completion.api):
        apis = ", ".join(malformation.apis)
        return error(completion.api, 400, f"{script} has no meaning for {completion.api.name}; it is for {apis}")
    return completion


def error(api: Api, status: int, message: str, headers: Headers = ()) -> Reply:
    """An error response as this API has it."""
    return json_reply(status, api.error(status, message), headers)


def api_of(path: str) -> Api:
    """The API whose errors a path has: that which has the path, or its longest beginning; OpenAI's for any other."""
    for api in formats.APIS:
        if any(route.pattern.fullmatch(path) for route in api.routes):
            return api
    found = [(len(own), api) for api in formats.APIS for own in api.own if path.startswith(own)]
    return max(found, key=lambda pair: pair[0])[1] if found else DEFAULT


def _find(path: str, method: str) -> tuple[Route | None, str]:
    """The route of a path, and what its `*` stands for; where several fit, one that allows the method."""
    if path in _EXACT:
        return _EXACT[path], ""
    fits = [(route, match[1]) for route in _PATTERNS if (match := route.pattern.fullmatch(path))]
    return next((each for each in fits if _allows(each[0], method)), fits[0] if fits else (None, ""))


def _allows(route: Route, method: str) -> bool:
    return method in route.methods or (method == "HEAD" and "GET" in route.methods)
