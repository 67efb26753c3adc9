"""A server between a client and a real one that loses, cuts and holds back what passes, when told so."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_METHODS = (b"GET /", b"HEAD /", b"PUT /", b"POST /", b"DELETE /")


@dataclass(slots=True)
class Fault:
    """What happens to the next request whose head contains `match`; the others pass."""

    match: bytes
    keep_answer_bytes: int
    """So many bytes of the answer pass, and the connection ends."""
    hold: bool = False
    """It does not end but stays open in silence, until the proxy does."""
    used: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """One thread per connection; of a connection with a fault nothing is used again."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.faults: list[Fault] = []
        self.heads: list[bytes] = []
        """Of every request that passed, and beginnings of bodies that came with them."""
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail_next(self, match: bytes, *, keep_answer_bytes: int = 0, hold: bool = False) -> Fault:
        fault = Fault(match, keep_answer_bytes, hold)
        self.faults.append(fault)
        return fault

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._upstream)) as server, suppress(OSError):
            fault: Fault | None = None
            passed = 0
            while not self._ended.is_set():
                readable, _, _ = select.select([client, server], [], [], 0.1)
                if client in readable:
                    data = client.recv(65_536)
                    if not data:
                        return
                    if data.startswith(_METHODS):
                        self.heads.append(data[:8_192])
                    fault = fault or self._fault_of(data)
                    server.sendall(data)
                if server in readable:
                    answer = server.recv(65_536)
                    if not answer:
                        return
                    if fault is not None and not _is_interim(answer):
                        room = fault.keep_answer_bytes - passed
                        if len(answer) >= room:
                            self._cut(client, answer[:room], fault)
                            return
                        passed += len(answer)
                    client.sendall(answer)

    def _cut(self, client: socket.socket, last: bytes, fault: Fault) -> None:
        fault.used.set()
        client.sendall(last)
        if fault.hold:
            self._ended.wait()

    def _fault_of(self, head: bytes) -> Fault | None:
        for fault in self.faults:
            if fault.match in head and not fault.used.is_set():
                self.faults.remove(fault)
                return fault
        return None


def _is_interim(answer: bytes) -> bool:
    """ "100 Continue" comes before the answer."""
    return answer.startswith(b"HTTP/1.1 100") and answer.endswith(b"\r\n\r\n") and answer.count(b"HTTP/1.1") == 1


@contextmanager
def proxy_before(upstream: int) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
