"""Who waits for an approval, and is told when it changed: no waiter holds a connection to the store."""

from app.approval.approval import Approval


class Bulletin:
    """Of one process. Changes made by others are seen by one reader of the store's feed for all who wait."""

    def changed(self, approval_id: str) -> None:
        """This process just made a step: its waiters look at once."""

    async def wait(self, approval: Approval, timeout_s: float) -> Approval:
        """The newest version: as soon as it is neither pending nor executing, at the latest after `timeout_s`, and at
        once when the server drains."""
        return approval
