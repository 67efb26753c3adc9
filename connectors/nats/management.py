"""What JetStream says of its stream, and the one durable consumer that every topic has."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.contract import ConnectorError, Failure
from connectors.nats.link import Link
from connectors.nats.subjects import belongs, durable_name, literal

_STREAM_NOT_FOUND = 10059
_CONSUMER_NOT_FOUND = 10014
_ACK_WAIT_NS = 10 * 10**9
"""How long a message stays away whose receiver died before it told the server for how long it wants it."""
_MAX_ACK_PENDING = 50_000


class NoResponders(Exception):  # noqa: N818 - says what is so
    """Nobody listens there: no JetStream, no leader, or no such stream or consumer."""


class ApiError(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(f"JetStream error {code}")
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """`epoch` tells it from another consumer of that name, before or after it."""

    stream: str
    name: str
    epoch: str


class Management:
    """Of one stream, over one link; what is learned is kept as long as the link."""

    def __init__(self, link: Link, *, stream: str, durable: str, max_deliver: int | None) -> None:
        self._link = link
        self._stream = stream
        self._durable = durable
        self._max_deliver = max_deliver
        self._subjects: tuple[str, ...] = ()
        self._consumers: dict[str, Consumer] = {}

    async def subjects(self, timeout_s: float) -> tuple[str, ...]:
        """Of the stream, asked now; empty: there is no such stream."""
        try:
            answer = await self.ask(f"STREAM.INFO.{self._stream}", {}, timeout_s)
        except ApiError as e:
            if e.code != _STREAM_NOT_FOUND:
                raise
            self._subjects = ()
        else:
            self._subjects = tuple(answer["config"].get("subjects") or ())
        return self._subjects

    async def must_have(self, topic: str, timeout_s: float, *, anew: bool = False) -> None:
        """Raises ConnectorError(NOT_FOUND) unless the stream takes what is published to `topic`."""
        if not literal(topic):
            raise ConnectorError(Failure.NOT_FOUND)
        if (anew or not belongs(topic, self._subjects)) and not belongs(topic, await self.subjects(timeout_s)):
            raise ConnectorError(Failure.NOT_FOUND)

    async def receiving(self, topic: str, timeout_s: float) -> Consumer | None:
        """The durable consumer of `topic`, made where there is none. None: there is nothing to receive yet.

        It stays for good: without what it knows of acks, everything would come again. So none is made for a subject
        that merely could be one, unless the stream keeps only what has a consumer.
        """
        found = await self.consumer(topic, timeout_s)
        if found is not None or not await self._fills(topic, timeout_s):
            return found
        name = durable_name(self._durable, topic)
        wanted = {"stream_name": self._stream, "config": self._config(topic, name)}
        return self._found(topic, await self.ask(f"CONSUMER.DURABLE.CREATE.{self._stream}.{name}", wanted, timeout_s))

    async def consumer(self, topic: str, timeout_s: float) -> Consumer | None:
        """The durable consumer of `topic`, if it was made."""
        if (known := self._consumers.get(topic)) is not None:
            return known
        await self.must_have(topic, timeout_s)
        name = durable_name(self._durable, topic)
        try:
            info = await self.ask(f"CONSUMER.INFO.{self._stream}.{name}", {}, timeout_s)
        except ApiError as e:
            if e.code != _CONSUMER_NOT_FOUND:
                raise
            return None
        return self._found(topic, info)

    def _found(self, topic: str, info: Mapping[str, Any]) -> Consumer:
        _check(info["config"], topic)
        epoch = hashlib.sha256(str(info["created"]).encode()).hexdigest()[:12]
        found = Consumer(stream=self._stream, name=durable_name(self._durable, topic), epoch=epoch)
        self._consumers[topic] = found
        return found

    async def _fills(self, topic: str, timeout_s: float) -> bool:
        answer = await self.ask(f"STREAM.INFO.{self._stream}", {"subjects_filter": topic}, timeout_s)
        return answer["config"].get("retention") == "interest" or bool(answer["state"].get("subjects"))

    def forget(self, topic: str) -> None:
        self._consumers.pop(topic, None)

    async def in_use(self, timeout_s: float) -> frozenset[str]:
        """Subjects of the stream that hold messages."""
        answer = await self.ask(f"STREAM.INFO.{self._stream}", {"subjects_filter": ">"}, timeout_s)
        return frozenset(answer.get("state", {}).get("subjects") or ())

    async def ask(self, what: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Raises ApiError, NoResponders and what Link.request raises."""
        answer = await self._link.request(f"$JS.API.{what}", json.dumps(body).encode(), timeout_s=timeout_s)
        if no_responders(answer.headers):
            raise NoResponders
        parsed: dict[str, Any] = json.loads(answer.data)
        if (error := parsed.get("error")) is not None:
            raise ApiError(int(error.get("err_code") or error.get("code") or 0))
        return parsed

    def _config(self, topic: str, name: str) -> dict[str, Any]:
        return {
            "durable_name": name,
            "filter_subject": topic,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": _ACK_WAIT_NS,
            "max_deliver": self._max_deliver if self._max_deliver is not None else -1,
            "max_ack_pending": _MAX_ACK_PENDING,
            "replay_policy": "instant",
        }


def no_responders(headers: Mapping[str, str] | None) -> bool:
    return headers is not None and headers.get("Status") == "503"


def _check(config: Mapping[str, Any], topic: str) -> None:
    """A consumer that somebody else set up otherwise would lose messages or hand them to nobody: not ours to use."""
    if (
        config.get("filter_subject") != topic
        or config.get("ack_policy") != "explicit"
        or config.get("deliver_subject")
        or config.get("backoff")
    ):
        raise ConnectorError(Failure.REFUSED_BY_WALL)
