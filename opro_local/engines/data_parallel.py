"""One model in several workers, each with GPUs of its own: data parallel.

For: dividing a batch, running the parts at once, and ending all workers when one fails. Not for:
starting workers (start.py), or splitting one model over GPUs (vLLM's tensor and pipeline parallel).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, Protocol

from opro_local.errors import UsageError
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request

# Prompts that stay together, at most, and how many such pieces a worker gets at least: the cache
# saves work within a piece, and many pieces make workers alike.
PIECE, PIECES = 16, 8

Part = Callable[[int], list[Completion]]


class EngineProcess(Engine, Protocol):
    """An engine in a process of its own."""

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer gets an EngineError."""


class DataParallelEngine(Engine):
    """Engines of the same model as one.

    A batch is divided in the order of its texts in small pieces, so that prompts with a common
    beginning find it in their worker's cache, and every worker gets some of each solution.

    Args:
        workers: at least one; all hosted alike.
    """

    def __init__(self, workers: Sequence[EngineProcess]) -> None:
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
        joint = _JointProgress(len(parts), progress)

        def run_part(index: int) -> list[Completion]:
            own = [requests[place] for place in parts[index]]
            return self._workers[index].generate(own, joint.of_part(index))

        done: dict[int, Completion] = {}
        for places, completions in zip(parts, self._run_all(run_part, len(parts)), strict=True):
            done.update(zip(places, completions, strict=True))
        return [done[place] for place in range(len(requests))]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take."""
        return self._workers[0].count_tokens(prompts)

    def close(self) -> None:
        """Free all. Safe to call twice."""
        for worker in self._workers:
            worker.close()

    def _run_all(self, run_part: Part, count: int) -> list[list[Completion]]:
        """All parts in threads, which do nothing but wait; what ends one ends all, the first error
        first.
        """
        with ThreadPoolExecutor(count) as threads:
            running = [threads.submit(run_part, index) for index in range(count)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
                error = _first_error(running)
                if isinstance(error, UsageError):
                    wait(running)  # the engines live and are asked again
                if error:
                    raise error
            except BaseException:
                # The parts that still run would hold the run up, or answer a question that nobody
                # asks any more. Ctrl-C comes here, too.
                for worker, part in zip(self._workers, running, strict=False):
                    if not part.done():
                        worker.kill()
                raise
            return [part.result() for part in running]


def _first_error(running: Sequence[Future[list[Completion]]]) -> BaseException | None:
    for part in running:
        error = part.exception() if part.done() else None
        if error:
            return error
    return None


class _JointProgress:
    """Adds up the progress of all workers; each reports from a thread of its own."""

    def __init__(self, count: int, progress: Progress | None) -> None:
        self._parts = [(0, 0)] * count
        self._progress = progress
        self._lock = threading.Lock()

    def of_part(self, index: int) -> Progress:
        """The progress of one part."""

        def report(finished: int, tokens: int) -> None:
            with self._lock:
                self._parts[index] = (finished, tokens)
                if self._progress:
                    all_finished, all_tokens = zip(*self._parts, strict=True)
                    self._progress(sum(all_finished), sum(all_tokens))

        return report


def divide_prompts(prompts: Sequence[Prompt], count: int) -> list[list[int]]:
    """The positions of the prompts in at most `count` parts of about equal length in characters,
    none empty.

    In the order of their texts they are dealt out in small pieces, each to the part that is the
    shortest then. So every part gets some of each group of prompts that begin alike, and a group
    whose replies are long keeps no worker longer than the others; a beginning is computed once a
    worker.
    """
    order = sorted(range(len(prompts)), key=lambda place: _text(prompts[place]))
    size = max(1, min(PIECE, len(prompts) // (PIECES * count)))
    parts: list[list[int]] = [[] for _ in range(count)]
    lengths = [0] * count
    for start in range(0, len(order), size):
        piece = order[start : start + size]
        shortest = lengths.index(min(lengths))
        parts[shortest] += piece
        # One is added to each, so that empty texts count.
        lengths[shortest] += sum(len(_text(prompts[place])) + 1 for place in piece)
    return [part for part in parts if part]


def _text(prompt: Prompt) -> str:
    """What the model reads, in its order."""
    history = [part for turn in prompt.turns for part in turn]
    return "\n".join([prompt.system or "", *history, prompt.text])


def device_groups(visible: Sequence[str], size: int, count: int) -> list[str]:
    """CUDA_VISIBLE_DEVICES of each worker: `size` GPUs each, in order."""
    return [",".join(visible[size * index : size * (index + 1)]) for index in range(count)]
