"""A run as a tracker takes it, read from its store: settings, metrics by step, figures, texts.

For: everything that is written of a run, as plain data, the same whenever it is read of the same
store. Not for: writing it anywhere (mlflow.py, trackio.py), or sweeps (writing.py).

Steps of a run that has not finished are given once a later one has begun: what a step came to does
not change then, so that a tracker is never told two values of one step.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from opro_local.config.reading import FREE
from opro_local.errors import DamageError, UsageError
from opro_local.runs.figures import Figures, SplitResult
from opro_local.runs.reading import describe
from opro_local.runs.run_result import RunProgress, RunResult
from opro_local.runs.store import read_store
from opro_local.runs.verification import verify
from opro_local.tracking.parameters import parameters, shortened

KEY_DIGITS = 32
LONGEST_TEXT = 4000  # characters of a tag or a note
# What is kept beside the figures, where it is in the run's folder.
FILES = ("result.json", "best.json", "best.txt", "report.html")
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
PREFIX = "opro_local."  # of our tags


@dataclass(frozen=True, slots=True)
class Point:
    """A metric's value at a step.

    Attributes:
        name: such as "train/best".
        step: the search's, from 0; of final figures the last one.
        value: a finite number.
        time: when the step's last answer came, in seconds since 1970.
    """

    name: str
    step: int
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker shows as one run: a search, an evaluation, or a sweep above its cells.

    Attributes:
        key: tells it from all others: over its folder, settings, data and models.
        path: its folder.
        name: for people.
        state: "new", "running", "interrupted", "failed" or "finished".
        params: settings by name, without secrets.
        points: metrics, in order of steps; no name twice at a step.
        tags: further texts by name.
        note: what it came to, for people.
        files: to be kept with it.
        prompt: what `mlflow.genai.register_prompt` takes; None where no prompt was chosen.
        notices: what is not written, and why.
        began, ended: seconds since 1970; None before there is an answer, and while it goes on.
        group: the sweep that it is a cell of; "" for none.
        is_sweep: whether it stands for a sweep, above its cells.
    """

    key: str
    path: Path
    name: str
    state: str
    params: Mapping[str, str] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    files: tuple[Path, ...] = ()
    prompt: Mapping[str, Any] | None = None
    notices: tuple[str, ...] = ()
    began: float | None = None
    ended: float | None = None
    group: str = ""
    is_sweep: bool = False


def tracked_run(folder: Path) -> TrackedRun:
    """A run as it stands in its store.

    Raises:
        StoreError: there is no run, or it is damaged: nothing of it is given then.
    """
    came = verify(folder)
    if not came.ok:
        first = came.damaged[0]
        hint = f"nothing is taken from a damaged run; see opro-local verify {folder}"
        raise DamageError(f"{first.file}: {first.what}", hint)
    run = describe(folder)
    store = read_store(folder)
    try:
        # Calls first: what they came to is stored before the next one is made.
        calls = store.calls()
        solutions = store.solutions("train")
        config = store.get("config") or {}
    finally:
        store.close()
    is_finished = isinstance(run, RunResult)
    points = list(_by_step(calls, solutions, is_finished))
    times = [_seconds(call) for call in calls]
    last = max(times, default=0.0)
    if isinstance(run, RunResult):
        points += [Point(name, run.steps, value, last) for name, value in _final(run)]
    prompt, why_none = _registered(folder, run)
    params = parameters(config)
    return TrackedRun(
        key=key_of(folder, {name: text for name, text in params.items() if name not in FREE}),
        path=folder.absolute(),
        name=run.name,
        state=run.state,
        params=params,
        points=tuple(point for point in points if math.isfinite(point.value)),
        tags=_tags(folder, run),
        note=shortened(_note(run), LONGEST_TEXT),
        files=tuple(file for name in FILES if (file := folder / name).is_file()),
        prompt=prompt,
        notices=why_none,
        began=min(times, default=None),
        ended=None if run.state in ("new", "running") else last or None,
    )


def key_of(folder: Path, fixed: Mapping[str, str]) -> str:
    """What tells a run from all others: where it is, and the settings that can't change there."""
    text = json.dumps([str(folder.absolute()), dict(fixed)], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_DIGITS]


def _seconds(call: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(call["finished_at"]).timestamp()


def _step_of(call: Mapping[str, Any]) -> int:
    """The step that a call belongs to: labels are as "3/train"."""
    first = str(call["label"]).partition("/")[0]
    return int(first) if first.isdecimal() else 0


def _by_step(
    calls: Sequence[Mapping[str, Any]], solutions: Sequence[Mapping[str, Any]], is_finished: bool
) -> Iterator[Point]:
    """Best train score so far, scored pairs and tokens, each up to and with every step."""
    steps = sorted({_step_of(call) for call in calls})
    sums, best, keys, time = Counter[str](), -math.inf, set[str](), 0.0
    calls_of, rows_of = _grouped(calls, _step_of), _grouped(solutions, lambda row: row["step"])
    for step in steps if is_finished else steps[:-1]:
        for call in calls_of[step]:
            time = max(time, _seconds(call))
            sums["tokens/prompt"] += call["prompt_tokens"]
            sums["tokens/completion"] += call["completion_tokens"]
        for row in rows_of[step]:
            keys.add(row["key"])
            sums["train/pairs"] += row["n"]
            best = best if row["partial"] else max(best, row["score"])
        sums["train/solutions"] = len(keys)
        # Infinite before one was scored on all rows; such points are left out.
        yield Point("train/best", step, best, time)
        for name, value in sums.items():
            yield Point(name, step, float(value), time)


def _grouped(
    rows: Iterable[Mapping[str, Any]], step_of: Callable[[Mapping[str, Any]], int]
) -> defaultdict[int, list[Mapping[str, Any]]]:
    by_step: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_step[step_of(row)].append(row)
    return by_step


def _final(run: RunResult) -> Iterator[tuple[str, float]]:
    """The figures of a result, with the bounds of their intervals."""
    for name, split in (("validation", run.validation), ("test", run.test)):
        if split is not None:
            yield from _split(name, split)
    if run.evaluation is not None:
        for prompt in run.evaluation.prompts:
            yield from _figures(f"{run.evaluation.split}/prompt_{prompt.number}", prompt.figures)
    yield "seconds", run.costs.seconds
    for role, count in run.costs.calls.items():
        yield f"calls/{role}", float(count)


def _split(name: str, split: SplitResult) -> Iterator[tuple[str, float]]:
    yield from _figures(f"{name}/baseline", split.baseline)
    yield from _figures(f"{name}/best", split.best)
    if split.difference is not None:
        low, high = split.difference.interval
        yield f"{name}/difference", split.difference.value
        yield f"{name}/difference_low", low
        yield f"{name}/difference_high", high
        yield f"{name}/difference_p_value", split.difference.p_value


def _figures(name: str, figures: Figures) -> Iterator[tuple[str, float]]:
    """What was optimized, with its interval; accuracy beside it where that is something else."""
    interval = figures.interval if figures.metric is None else figures.metric.interval
    yield name, figures.value
    if figures.metric is not None:
        yield f"{name}_accuracy", figures.accuracy
    if interval is not None:
        yield f"{name}_low", interval[0]
        yield f"{name}_high", interval[1]
    yield f"{name}_unread", float(figures.extraction_failures)
    yield f"{name}_truncated", float(figures.truncated)


def _tags(folder: Path, run: RunResult | RunProgress) -> dict[str, str]:
    tags = {"path": str(folder.absolute()), "digest": run.digest, "state": run.state}
    if isinstance(run, RunResult):
        tags |= {"verdict": run.verdict or "", "reason": run.reason, "rule": run.rule}
        tags |= {"best": run.best.text, "baseline": run.baseline}
    else:
        tags |= {"reason": run.reason, "best": run.best, "baseline": run.baseline}
    return {f"{PREFIX}{name}": shortened(text, LONGEST_TEXT) for name, text in tags.items() if text}


def _note(run: RunResult | RunProgress) -> str:
    """What it came to, in plain text."""
    if isinstance(run, RunProgress):
        return f"{run.state}: {run.steps} steps, {run.solutions} solutions scored"
    return "\n\n".join([*run.summary, f"Best prompt:\n\n{run.best.text}"])


def _registered(
    folder: Path, run: RunResult | RunProgress
) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """The chosen prompt as MLflow registers it; or why there is none, where one was chosen."""
    if not isinstance(run, RunResult) or run.search is None or run.prompt is None:
        return None, ()
    try:
        exported = run.export("mlflow")
    except UsageError as error:
        return None, (f"{folder}: the prompt is not registered: {error}",)
    prompt = json.loads(exported)
    if any(map(LONE_SURROGATE.search, _texts(prompt["template"]))):
        return None, (f"{folder}: the prompt is not registered: it is no text in UTF-8",)
    return prompt, ()


def _texts(template: Any) -> list[str]:
    return [template] if isinstance(template, str) else [one["content"] for one in template]
