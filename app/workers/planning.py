"""Large statements are planned in a process that can be killed: a parser that hangs takes nothing with it."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from app.policy.decision import TableView
from app.sql.statement import ParamTypes, Refusal, Rewritten, RewrittenWrite, SqlGuard, SqlRefused, Statement
from connectors.contract import Catalog, Dialect, TableKey

_Result = TypeVar("_Result")

START_TIMEOUT_S = 30.0
_KEPT_STATEMENTS = 8
_KEPT_CATALOGS = 16


class WorkerLost(Exception):  # noqa: N818
    """The process had to be killed while it worked."""


class WorkerDied(WorkerLost):
    """The process ended by itself, perhaps by no fault of the statement."""


class PlanningWorker:
    """One process at a time; requests take turns. `timeout_s` bounds one inspect or rewrite, then the process is
    killed and the next request gets a new one. A request that is cancelled ends its turn all the same, in the
    background: clients that come and go cannot keep the process restarting. Fills gateway.planning.HeavyPlanning."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._context = multiprocessing.get_context("spawn")
        self._turn = asyncio.Lock()
        self._process: SpawnProcess | None = None
        self._pipe: Pipe | None = None
        self._generation = 0
        self._sent_catalogs: dict[str, bool] = {}
        """The worker's own store, mirrored."""
        self._next_token = 0

    async def inspect(self, guard: SqlGuard, text: str, params: ParamTypes, catalog: Catalog) -> Statement:
        return await self._alone(lambda: self._inspected(guard.dialect, text, dict(params), catalog))

    async def rewrite(
        self, guard: SqlGuard, statement: Statement, views: Mapping[TableKey, TableView], catalog: Catalog
    ) -> Rewritten:
        made = await self._alone(
            lambda: self._rewritten("rewrite", guard.dialect, statement.tree, dict(views), catalog)
        )
        assert isinstance(made, Rewritten)
        return made

    async def rewrite_write(
        self, guard: SqlGuard, statement: Statement, views: Mapping[TableKey, TableView], catalog: Catalog
    ) -> RewrittenWrite:
        made = await self._alone(
            lambda: self._rewritten("rewrite_write", guard.dialect, statement.tree, dict(views), catalog)
        )
        assert isinstance(made, RewrittenWrite)
        return made

    async def aclose(self) -> None:
        self._kill_soon()
        async with self._turn:
            await asyncio.to_thread(self._kill)

    async def warm(self) -> None:
        """Start the process before the first large statement needs it."""
        async with self._turn:
            await self._ensure()

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        """Raises SqlRefused as the guard did, or because the worker had to be given up."""
        await self._turn.acquire()
        task = asyncio.ensure_future(self._twice(work))
        task.add_done_callback(self._end_turn)
        return await asyncio.shield(task)

    def _end_turn(self, task: "asyncio.Task[Any]") -> None:
        self._turn.release()
        if not task.cancelled():
            # Asked for, so that the outcome of a request that was cancelled is nobody's unhandled exception.
            task.exception()

    async def _twice(self, work: Callable[[], Coroutine[Any, Any, _Result]]) -> _Result:
        try:
            try:
                await self._ensure()
                return await work()
            except WorkerDied:
                await self._ensure()
                return await work()
        except WorkerLost as lost:
            raise SqlRefused(
                Refusal.TOO_COMPLEX,
                f"Understanding this statement took longer than {self._timeout_s:g} s: split it into smaller ones.",
            ) from lost

    async def _inspected(self, dialect: Dialect, text: str, params: ParamTypes, catalog: Catalog) -> Statement:
        self._next_token += 1
        token = (self._generation, self._next_token)
        statement = await self._inspect(token, dialect, text, params, catalog)
        # The text travels with the token: a statement whose worker was lost in between is inspected again.
        return replace(statement, tree=(token, text, params))

    async def _rewritten(
        self, how: str, dialect: Dialect, tree: Any, views: Mapping[TableKey, TableView], catalog: Catalog
    ) -> Any:
        token, text, params = tree
        answer = await self._ask((how, token, views, catalog.version))
        if answer == "unknown":
            await self._inspect(token, dialect, text, params, catalog)
            answer = await self._ask((how, token, views, catalog.version))
        return answer

    async def _inspect(
        self, token: tuple[int, int], dialect: Dialect, text: str, params: ParamTypes, catalog: Catalog
    ) -> Statement:
        if catalog.version not in self._sent_catalogs:
            await self._ask(("catalog", catalog))
            _keep(self._sent_catalogs, catalog.version, True, _KEPT_CATALOGS)
        answer = await self._ask(("inspect", token, dialect, text, params, catalog.version))
        assert isinstance(answer, Statement)
        return answer

    async def _ensure(self) -> None:
        if self._process is not None and self._process.is_alive():
            return
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        self._kill()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs,), daemon=True, name="douane-planner")
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        self._generation += 1
        self._sent_catalogs.clear()
        try:
            started = ours.poll(START_TIMEOUT_S) and ours.recv()
        except (EOFError, OSError):
            started = None
        if not started:
            self._kill()
            raise WorkerLost

    async def _ask(self, request: tuple[Any, ...]) -> Any:
        """Raises SqlRefused as the guard did, WorkerLost."""
        answer = await asyncio.to_thread(self._exchange, request)
        if isinstance(answer, SqlRefused):
            raise answer
        if isinstance(answer, _Fault):
            raise RuntimeError(f"planning worker: {answer.kind}")  # noqa: TRY004 - a fault of ours, reported as such
        return answer

    def _exchange(self, request: tuple[Any, ...]) -> Any:
        pipe = self._pipe
        if pipe is None:
            raise WorkerDied
        try:
            pipe.send(request)
            if pipe.poll(self._timeout_s):
                return pipe.recv()
        except (EOFError, OSError) as error:
            self._kill()
            raise WorkerDied from error
        self._kill()
        raise WorkerLost

    def _kill_soon(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _kill(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()


class _Fault:
    """An exception of the worker that is no refusal; only its class crosses."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


def serve(pipe: Pipe) -> None:
    """The process's main loop. It holds no secret, no connection and no token; it ends with its parent's pipe."""
    from app.sql.guards import guard_of

    # The terminal's interrupt is for the gateway, which ends its worker itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    catalogs: dict[str, Catalog] = {}
    statements: dict[tuple[int, int], Statement] = {}
    pipe.send("ready")
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            return
        answer: Any
        try:
            match request:
                case ("catalog", catalog):
                    _keep(catalogs, catalog.version, catalog, _KEPT_CATALOGS)
                    answer = "kept"
                case ("inspect", token, dialect, text, params, version):
                    if version not in catalogs:
                        answer = "unknown"
                    else:
                        statement = guard_of(dialect).inspect(text, params, catalogs[version])
                        _keep(statements, token, statement, _KEPT_STATEMENTS)
                        answer = replace(statement, tree=None)
                case ("rewrite" | "rewrite_write" as how, token, views, version):
                    if token not in statements or version not in catalogs:
                        answer = "unknown"
                    else:
                        statement = statements[token]
                        guard = guard_of(statement.dialect)
                        rewriting = guard.rewrite if how == "rewrite" else guard.rewrite_write
                        answer = rewriting(statement, views.get, catalogs[version])
                case _:
                    answer = _Fault("unknown request")
        except SqlRefused as refused:
            answer = refused
        except Exception as fault:
            answer = _Fault(type(fault).__name__)
        pipe.send(answer)


def _keep(store: dict[Any, Any], key: Any, value: Any, size: int) -> None:
    while len(store) >= size:
        del store[next(iter(store))]
    store[key] = value
