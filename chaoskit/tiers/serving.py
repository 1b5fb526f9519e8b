"""Runs a tier on a listener, as one coroutine that closes all its sockets."""

from __future__ import annotations

import asyncio
import socket

from chaoskit.records.jsonl import Log
from chaoskit.server.app import serve_with
from chaoskit.server.limits import PUBLIC, Limits
from chaoskit.tiers.gateway import Gateway
from chaoskit.tiers.services import PolicyService, RetrievalService, ToolService
from chaoskit.tiers.settings import (
    GatewaySettings,
    PolicySettings,
    RetrievalSettings,
    TierSettings,
    ToolSettings,
)
from chaoskit.tiers.tier import Tier
from chaoskit.timer import AbsoluteTimer


async def serve_tier(
    host: str,
    settings: TierSettings,
    listener: socket.socket,
    stop: asyncio.Event,
    log: Log | None = None,
    limits: Limits = PUBLIC,
) -> None:
    """Answer on `listener` as the host of this name until `stop` is set; its spans go to `log`, which stays open."""
    timer = AbsoluteTimer()
    tier = _tier(host, settings, timer, log, limits)
    try:
        await serve_with(tier, listener, stop, [log] if log is not None else [])
    finally:
        tier.close()
        timer.close()
        if log is not None:
            log.flush()


def _tier(host: str, settings: TierSettings, timer: AbsoluteTimer, log: Log | None, limits: Limits) -> Tier:
    match settings:
        case GatewaySettings():
            return Gateway(host, settings, timer, log, limits)
        case PolicySettings():
            return PolicyService(host, settings, timer, log, limits)
        case RetrievalSettings():
            return RetrievalService(host, settings, timer, log, limits)
        case ToolSettings():
            return ToolService(host, settings, timer, log, limits)
