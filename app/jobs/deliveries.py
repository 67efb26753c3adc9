"""Notifications go out: the feed of approvals is read again and again, and each target has a turn of its own."""

import asyncio

import structlog

from app.gateway.notifying import Outcome, Postman
from app.ports import DeliveryState, StoreUnavailable

POLL_S = 1.0
STORE_AWAY_S = 5.0
BURY_EVERY_S = 600.0


class DeliveryJob:
    """`await job.run()` ends when it is cancelled. Any number of processes may run one on the same store."""

    def __init__(self, postman: Postman, *, poll_s: float = POLL_S, store_away_s: float = STORE_AWAY_S) -> None:
        self._postman = postman
        self._poll_s = poll_s
        self._store_away_s = store_away_s
        self._turns: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()
        self._began = False
        self._bury_at = 0.0

    def wake(self) -> None:
        """Something happened in this process: look at once."""
        self._woken.set()

    async def run(self) -> None:
        try:
            while True:
                self._woken.clear()
                wait_s = await self._round()
                try:
                    await asyncio.wait_for(self._woken.wait(), wait_s)
                except TimeoutError:
                    continue
        finally:
            for turn in self._turns.values():
                turn.cancel()
            await asyncio.gather(*self._turns.values(), return_exceptions=True)

    async def _round(self) -> float:
        try:
            if not self._began:
                await self._postman.begin()
                self._began = True
            while await self._postman.collect():
                pass
            if (now := asyncio.get_running_loop().time()) >= self._bury_at:
                self._bury_at = now + BURY_EVERY_S
                if buried := await self._postman.bury():
                    structlog.get_logger().warning("deliveries_given_up", count=buried)
            due = await self._postman.due()
        except StoreUnavailable:
            structlog.get_logger().warning("deliveries_wait_for_the_store", retry_after_s=self._store_away_s)
            return self._store_away_s
        except Exception as fault:
            # One round that fails for a fault of ours must not end all that follow
            structlog.get_logger().error("delivery_fault", exc_info=fault)
            return self._store_away_s
        for target in due - self._turns.keys():
            self._turns[target] = asyncio.get_running_loop().create_task(self._turn(target))
        return self._poll_s

    async def _turn(self, target: str) -> None:
        """A slow target holds up itself alone."""
        log = structlog.get_logger()
        try:
            while outcomes := await self._postman.deliver(target):
                for outcome in outcomes:
                    _tell(outcome)
        except StoreUnavailable:
            # What was sent and could not be marked is sent again, under the same id, when its lease is over
            log.warning("deliveries_wait_for_the_store", target=target)
        except Exception as fault:
            log.error("delivery_fault", target=target, exc_info=fault)  # noqa: TRY400 - structlog, reduced
        finally:
            self._turns.pop(target, None)


def _tell(outcome: Outcome) -> None:
    log = structlog.get_logger()
    about = {"target": outcome.target, "attempt": outcome.attempt, "status": outcome.status, "reason": outcome.error}
    match outcome.state:
        case DeliveryState.DELIVERED:
            log.info("delivered", **about)
        case DeliveryState.PENDING:
            log.warning("delivery_failed", **about)
        case DeliveryState.DEAD:
            log.error("delivery_given_up", **about)
