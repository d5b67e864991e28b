"""The slots in which evaluations and large bodies are computed: threads for small bodies, processes for large ones."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import IO, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from service.api.body_limits import SMALL_BODY
from service.api.evaluating import TASKS
from service.contracts.base import Contract
from service.errors import InvalidInput, TooMany, Unavailable, error_from_dict
from service.processes import module_command
from service.settings import Settings

BESIDE_NUMBERS = 64  # values of such a body that are not numbers of a row
_KEPT = 2**20  # bytes of an answer in memory; what is longer is spooled


class Evaluations:
    """Computes tasks of `evaluating`, `evaluation_slots` at once; where keys divide projects, half of them for one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._limits = {name: limit for name, limit in settings.limits().items() if name.startswith("max_")}
        self._slots, self._places = settings.evaluation_slots, settings.evaluation_queue
        shared = settings.api_keys_file is not None
        self._slots_of_one, self._places_of_one = (
            max(1, most // 2) if shared else most for most in (self._slots, self._places)
        )
        self._running, self._waiting = Counter[str](), list[tuple[str, asyncio.Future[None]]]()

    async def compute(self, project: str, name: str, body: bytes, **limits: int) -> IO[bytes]:
        """The answer of a task, as a file at its beginning.

        Raises:
            TooMany: no slot is free; a small body may wait for one, in a queue of limited length.
            Unavailable: the process of a large body took too long, or died.
            RadiusError: what the task raised.
        """
        large, given = len(body) > SMALL_BODY, self._limits | limits
        async with self._slot(project, may_wait=not large):
            return await run_in_threadpool(self._in_process if large else _in_thread, name, body, given)

    @asynccontextmanager
    async def _slot(self, project: str, *, may_wait: bool) -> AsyncIterator[None]:
        if self._is_free_for(project):
            self._running[project] += 1
        elif may_wait and self._may_wait(project):
            await self._turn(project)
        else:
            raise TooMany(f"{self._running.total()} evaluations are being computed (evaluation_slots)")
        try:
            yield
        finally:
            self._release(project)

    def _is_free_for(self, project: str) -> bool:
        return self._running.total() < self._slots and self._running[project] < self._slots_of_one

    def _may_wait(self, project: str) -> bool:
        of_one = sum(waiting == project for waiting, _ in self._waiting)
        return len(self._waiting) < self._places and of_one < self._places_of_one

    async def _turn(self, project: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((project, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if (project, turn) in self._waiting:
                self._waiting.remove((project, turn))
            else:
                self._release(project)  # it had come in the same moment
            raise

    def _release(self, project: str) -> None:
        """Give a slot that is free now to the one who has waited longest and whose project may have it."""
        self._running[project] -= 1
        found = next((waiting for waiting in self._waiting if self._is_free_for(waiting[0])), None)
        if found is not None:
            self._waiting.remove(found)
            self._running[found[0]] += 1
            found[1].set_result(None)

    def _in_process(self, name: str, body: bytes, limits: dict[str, int]) -> IO[bytes]:
        task = json.dumps({"name": name, "limits": limits}).encode() + b"\n"
        command, most_s = module_command("service.api.evaluating"), self._settings.evaluation_s
        with tempfile.TemporaryFile() as given, ExitStack() as kept:
            given.write(task)
            given.write(body)  # at once, without the interpreter's lock; a pipe would take it for every 4 kB
            given.seek(0)
            answer = kept.enter_context(tempfile.TemporaryFile())
            try:
                ended = subprocess.run(command, stdin=given, stdout=answer, timeout=most_s, check=False)
            except subprocess.TimeoutExpired:
                raise Unavailable("reading the body took too long (evaluation_s)") from None
            if ended.returncode:
                raise Unavailable("the process that reads large bodies died; its memory may be too small")
            answer.seek(0)
            if error := json.loads(answer.readline()):
                raise _raised(error)
            kept.pop_all()
        return answer


def _in_thread(name: str, body: bytes, limits: dict[str, int]) -> IO[bytes]:
    with ExitStack() as kept:
        answer = kept.enter_context(tempfile.SpooledTemporaryFile(_KEPT))
        answer.writelines(TASKS[name](body, limits))
        answer.seek(0)
        kept.pop_all()
    return answer


def _raised(error: dict[str, Any]) -> Exception:
    errors = error.pop("errors", None)
    found = error_from_dict(error)
    if errors is not None and isinstance(found, InvalidInput):
        found.errors = errors
    return found


def json_body(contract: type[Contract]) -> dict[str, Any]:
    """The OpenAPI description of a body that the route reads itself."""
    schema = {"application/json": {"schema": contract.model_json_schema()}}
    return {"requestBody": {"required": True, "content": schema}}


def spooled_response(answer: IO[bytes]) -> Response:
    """The answer of a task, which is closed when it has been sent."""
    first = answer.read(_KEPT)
    if len(first) < _KEPT:
        answer.close()
        return Response(first, media_type="application/json")
    return StreamingResponse(_pieces(first, answer), media_type="application/json")


def _pieces(first: bytes, rest: IO[bytes]) -> Iterator[bytes]:
    with rest:
        yield first
        while piece := rest.read(_KEPT):
            yield piece
