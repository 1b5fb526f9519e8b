"""Says where a server listens, and who can reach it."""

from __future__ import annotations

from ipaddress import ip_address


def banner(address: tuple[str, int], secure: bool) -> str:
    """The URL, and a command to try."""
    host, port = address[:2]
    url = f"http{'s' if secure else ''}://{f'[{host}]' if ':' in host else host}:{port}"
    body = '{"model":"any","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":50}'
    return f"{url} until Ctrl-C; try: curl -N{'k' if secure else ''} {url}/v1/chat/completions -d '{body}'"


def is_loopback(host: str) -> bool:
    """Whether the address can be reached from this machine only."""
    address = ip_address(host.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
