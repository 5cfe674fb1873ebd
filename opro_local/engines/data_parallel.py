"""One model in several workers, each with GPUs of its own: data parallel.

For: dividing a batch, running the parts at once, and ending all workers when one fails. Not for:
starting workers (`engines.start`), or splitting one model over GPUs (vLLM's tensor and pipeline
parallel).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from itertools import accumulate
from typing import Any, Protocol

from opro_local.errors import UsageError
from opro_local.types import Completion, Engine, Progress, Prompt, Request


class Worker(Engine, Protocol):
    """An engine in a process of its own."""

    def end(self) -> None:
        """Kill the process; whoever waits for its answer gets an EngineError."""


class DataParallelEngine:
    """Engines of the same model as one.

    A batch is divide_prompts in the order of its texts, so that prompts with a common beginning go to one
    worker and find it in that worker's cache: by solution where the instruction comes first, by
    question where the question does.

    Args:
        workers: at least one; all hosted alike.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self.fingerprint: Mapping[str, Any] = workers[0].fingerprint
        self.max_model_len = min(worker.max_model_len for worker in workers)

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol. One failing worker ends all."""
        if not requests:
            return []
        parts = divide_prompts([request.prompt for request in requests], len(self._workers))
        told = _Told(len(parts), progress)

        def part(index: int) -> list[Completion]:
            own = [requests[place] for place in parts[index]]
            return self._workers[index].generate(own, told.of(index))

        done: dict[int, Completion] = {}
        for places, completions in zip(parts, self._at_once(part, len(parts)), strict=True):
            done.update(zip(places, completions, strict=True))
        return [done[place] for place in range(len(requests))]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take."""
        return self._workers[0].count_tokens(prompts)

    def close(self) -> None:
        """Free all. Safe to call twice."""
        for worker in self._workers:
            worker.close()

    def _at_once(
        self, part: Callable[[int], list[Completion]], count: int
    ) -> list[list[Completion]]:
        """All parts in threads, which do nothing but wait; what ends one ends all, the first error
        first.
        """
        with ThreadPoolExecutor(count) as threads:
            running: list[Future[list[Completion]]] = [
                threads.submit(part, index) for index in range(count)
            ]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                failed = next(
                    (one.exception() for one in running if one.done() and one.exception()), None
                )
                if isinstance(failed, UsageError):
                    wait(running)  # the engines live and are asked again
                if failed:
                    raise failed
            except BaseException:
                # The parts that still run would hold the run up, or answer a question that nobody
                # asks any more.
                for worker, one in zip(self._workers, running, strict=False):
                    if not one.done():
                        worker.end()
                raise
            return [one.result() for one in running]


class _Told:
    """Adds up what the workers tell of their progress."""

    def __init__(self, count: int, progress: Progress | None) -> None:
        self._parts = [(0, 0)] * count
        self._progress = progress
        self._lock = threading.Lock()

    def of(self, index: int) -> Progress:
        """The progress of one part."""

        def tell(finished: int, tokens: int) -> None:
            with self._lock:
                self._parts[index] = (finished, tokens)
                if self._progress:
                    self._progress(*(sum(column) for column in zip(*self._parts, strict=True)))

        return tell


def divide_prompts(prompts: Sequence[Prompt], count: int) -> list[list[int]]:
    """The positions of the prompts in at most `count` parts of about equal length in characters,
    none empty.
    """
    order = sorted(range(len(prompts)), key=lambda place: _text(prompts[place]))
    ends = list(accumulate(len(_text(prompts[place])) + 1 for place in order))
    parts: list[list[int]] = [[] for _ in range(count)]
    for place, end in zip(order, ends, strict=True):
        parts[min(count - 1, (end - 1) * count // ends[-1])].append(place)
    return [part for part in parts if part]


def _text(prompt: Prompt) -> str:
    """What the model reads, in its order."""
    return "\n".join(
        [prompt.system or "", *(part for turn in prompt.turns for part in turn), prompt.text]
    )


def device_groups(visible: Sequence[str], size: int, count: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each worker: `size` GPUs each, in order."""
    return [",".join(visible[size * index : size * (index + 1)]) for index in range(count)]
