"""A process that races others for one approval: says `ready`, waits for a line, takes its steps, prints who won.

`python approval_racer.py MODE URL APPROVAL_ID TASKS`; `churn` makes approvals and takes steps until it is killed.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from itertools import count

from stored_approvals import WINDOW, approval, approver, at, requester

from app.approval.approval import Approval
from app.approval.machine import Objection, approve, begin, finish
from app.store.approvals import ApprovalStore


async def start_one_use(store: ApprovalStore, seen: Approval, number: int) -> int:
    return int(await store.replace(seen, begin(seen, requester(seen), at=at(31))))


async def decide(store: ApprovalStore, seen: Approval, number: int) -> int:
    return int(await store.replace(seen, approve(seen, approver(f"max{number}"), at=at(30), reason=None)))


async def use_a_window(store: ApprovalStore, seen: Approval, number: int) -> int:
    uses = 0
    for _ in range(20):
        try:
            begun = begin(seen, requester(seen), at=at(31))
        except Objection as objection:
            if objection.code != "approval_in_use":
                return uses
        else:
            if await store.replace(seen, begun):
                await asyncio.sleep(0)
                assert await store.replace(begun, finish(begun, at=at(32), rows=1, detail={}))
                uses += 1
        seen = await found(store, seen.approval_id)
    return uses


async def found(store: ApprovalStore, approval_id: str) -> Approval:
    approval = await store.get(approval_id)
    assert approval is not None
    return approval


MODES: dict[str, Callable[[ApprovalStore, Approval, int], Awaitable[int]]] = {
    "start": start_one_use,
    "decide": decide,
    "window": use_a_window,
}


async def race(mode: str, url: str, approval_id: str, tasks: int) -> None:
    async with ApprovalStore.open(url) as store:
        seen = await found(store, approval_id)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        wins = await asyncio.gather(*(MODES[mode](store, seen, number) for number in range(tasks)))
        print(json.dumps(wins), flush=True)


async def churn(url: str) -> None:
    """Prints `ID VERSION` once it is durable."""
    async with ApprovalStore.open(url) as store:
        print("ready", flush=True)
        for number in count(1):
            made = approval(number, minute=1, terms=WINDOW)
            await store.create(made)
            print(made.approval_id, 0, flush=True)
            now = made
            for step in (
                lambda a: approve(a, approver(), at=at(30), reason=None),
                lambda a: begin(a, requester(a), at=at(31)),
                lambda a: finish(a, at=at(32), rows=1, detail={}),
            ):
                after = step(now)
                assert await store.replace(now, after)
                now = after
                print(now.approval_id, now.version, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["churn", url]:
            asyncio.run(churn(url))
        case [mode, url, approval_id, tasks]:
            asyncio.run(race(mode, url, approval_id, int(tasks)))
