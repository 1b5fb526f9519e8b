"""Says which proxy of the environment other clients would use, and the probe does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from chaoskit.probe.target import Target

_ALL, _NONE = "all_proxy", "no_proxy"


def unused_proxy(target: Target, environment: Mapping[str, str]) -> Iterator[str]:
    """A warning where the environment has a proxy for this target, and the target has none.

    As curl and httpx do: the variable of the URL's scheme comes first, and no_proxy lists hosts and domains.
    """
    if target.proxy is not None or target.uds is not None:
        return
    parts = urlsplit(target.url)
    host, port = (parts.hostname or "").lower(), parts.port or {"https": 443}.get(parts.scheme, 80)
    excluded = _value(_NONE, environment)[1]
    if any(_covers(each, host, port) for each in excluded.replace(",", " ").split()):
        return
    for name in (f"{parts.scheme}_proxy", _ALL):
        variable, url = _value(name, environment)
        if url:
            yield (
                f"{variable} is set and not used: the probe connects to {host} directly, unlike most clients; "
                f"--proxy-env {variable} uses it, NO_PROXY={host} says that this is meant"
            )
            return


def _value(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable, in small letters or capitals, and what it holds."""
    found = [(each, environment.get(each, "").strip()) for each in (name, name.upper())]
    return next(((variable, value) for variable, value in found if value), ("", ""))


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of no_proxy covers this host: `*`, a name, a domain, each with or without a port."""
    entry, colon, number = entry.lower().rpartition(":") if entry.count(":") == 1 else (entry.lower(), "", "")
    if colon and number != str(port):
        return False
    domain = entry.removeprefix("*").removeprefix(".")
    return entry == "*" or host == domain or (bool(domain) and host.endswith(f".{domain}"))
