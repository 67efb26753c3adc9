"""A process of its own that delivers until it is killed: `delivery_process.py STORE_URL PORT LEASE_S`."""

import asyncio
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from office import courier, postman  # noqa: E402 - the path must be set first

from app.gateway.notifying import EVENTS  # noqa: E402
from app.jobs.deliveries import DeliveryJob  # noqa: E402
from app.store.approvals import ApprovalStore  # noqa: E402
from app.store.deliveries import DeliveryStore  # noqa: E402


async def main(url: str, port: int, lease_s: float) -> None:
    async with ApprovalStore.open(url) as approvals:
        made = postman(
            approvals, DeliveryStore(approvals.engine), courier({"ops": port}), {"ops": EVENTS}, lease_s=lease_s
        )
        print("ready", flush=True)
        await DeliveryJob(made, poll_s=0.1, store_away_s=0.3).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
