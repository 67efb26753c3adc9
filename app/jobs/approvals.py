"""Approvals that nobody touches are looked at every few seconds, as long as the gateway lives."""

import asyncio

import structlog

from app.gateway.sweeping import Sweep
from app.ports import StoreUnavailable, TrailUnavailable

INTERVAL_S = 3.0


async def keep_swept(sweep: Sweep, interval_s: float = INTERVAL_S) -> None:
    """Ends when it is cancelled. A round that the store or the log does not let happen is made up by the next."""
    log = structlog.get_logger()
    while True:
        try:
            if steps := await sweep.once():
                log.info("approvals_swept", count=steps)
        except (StoreUnavailable, TrailUnavailable) as away:
            log.warning("approvals_not_swept", reason=type(away).__name__)
        except Exception:
            # A fault of ours in one round is no reason never to sweep again.
            log.exception("approvals_not_swept")
        await asyncio.sleep(interval_s)
