"""What finished, running and stopped runs look like from outside; opens stores read-only.

For: `list` and `show`. Not for: anything that writes, or that needs a model.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opro_local.errors import DamageError, DataError, StoreError
from opro_local.exports.whole_prompt import WholePrompt, is_later
from opro_local.records import require_types
from opro_local.runs import store
from opro_local.runs.costs import count_costs
from opro_local.runs.database import one_line
from opro_local.runs.figures import Figures, MetricFigures, SplitResult
from opro_local.runs.lock import is_held
from opro_local.runs.packing import decode
from opro_local.runs.result import rejection_counts
from opro_local.runs.run_result import RunProgress, RunResult
from opro_local.runs.store_file import damaged
from opro_local.search.trajectory import chained
from opro_local.stats import share_interval

# What reading a value of another shape than it must have raises.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, DataError)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run in a list.

    Attributes:
        path, name: its folder, and what the config calls it.
        state: "finished", "running", "interrupted", "failed", "new", "damaged" or "unreadable".
        steps: the last step.
        best: the best train score; None before there is one.
        shares: whether scores are shares of rows.
        error: why it can't be read; "" where it can.
        result: what the run came to; None where it has not finished.
        model: of the scorer, or of the optimizer where nothing is scored by a model.
        task: the benchmark, the data's name, or the kind of problem where there are no rows.
        solutions: how many were scored, of a run that has not finished.
        changed: when its store was last written, in seconds since 1970.
    """

    path: str
    name: str
    state: str
    steps: int
    best: float | None
    shares: bool
    error: str = ""
    result: RunResult | None = None
    model: str = ""
    changed: float = 0.0
    task: str = ""
    solutions: int = 0

    def to_json(self) -> dict[str, Any]:
        """As `list --json` prints it."""
        row = {
            "path": self.path,
            "name": self.name,
            "state": self.state,
            "steps": self.steps,
            "best": self.best,
            "shares": self.shares,
        }
        evaluation = self.result.evaluation if self.result else None
        if evaluation is not None:
            best = evaluation.best_prompt
            earned = {"prompt": best.number, **best.figures.to_json()}
            row["evaluation"] = {
                "split": evaluation.split,
                "prompts": len(evaluation.prompts),
                "best": earned,
            }
        return row | ({"error": self.error} if self.error else {})

    def on_test(self) -> tuple[Figures, Figures] | None:
        """What baseline and best earned on test: of a search the first solution and the chosen one,
        of an evaluation the first prompt and the best. None where test was not asked.
        """
        if self.result is None:
            return None
        evaluation, test = self.result.evaluation, self.result.test
        if evaluation is not None and evaluation.split == "test":
            return evaluation.prompts[0].figures, evaluation.best_prompt.figures
        return None if test is None else (test.baseline, test.best)


def overview(folder: Path) -> list[RunRow]:
    """The runs directly under a folder, by their paths."""
    # By the names: a link that leads nowhere would not exist.
    paths = [path for path in sorted(folder.glob("*")) if os.path.lexists(path / store.FILE)]
    return [read_row(path) for path in paths]


def read_row(path: Path) -> RunRow:
    """One run's line, whatever stands in its folder."""
    if fault := _no_file(path / store.FILE):
        return RunRow(str(path), path.name, "unreadable", 0, None, True, fault)
    try:
        run, config = _with_config(path)
    except StoreError as error:
        state = "damaged" if isinstance(error, DamageError) else "unreadable"
        return RunRow(str(path), path.name, state, 0, None, True, str(error))
    best = run.train.best.accuracy if run.train else None
    evaluation = run.evaluation if isinstance(run, RunResult) else None
    if evaluation is not None and evaluation.split == "train":
        best = evaluation.best_prompt.figures.accuracy
    row = RunRow(str(path), run.name, run.state, run.steps, best, run.shares)
    row = replace(
        row, model=_model(config), task=_task(config), changed=_changed(path / store.FILE)
    )
    if isinstance(run, RunResult):
        return replace(row, result=run)
    return replace(row, solutions=run.solutions)


def _changed(file: Path) -> float:
    """When a store was last written; what it keeps beside the file while it is open counts."""
    beside = file.with_name(f"{file.name}-wal")
    return max(one.stat().st_mtime for one in (file, beside) if one.is_file())


def _with_config(folder: Path) -> tuple[RunResult | RunProgress, Mapping[str, Any]]:
    """A run, and its config. Raises StoreError."""
    opened = store.read_store(folder)
    try:
        config = opened.get("config")
        return _described(opened), config if isinstance(config, dict) else {}
    finally:
        opened.close()


def _model(config: Mapping[str, Any]) -> str:
    """The name of the model that scores, or else of the one that proposes."""
    named = [_text_at(config, role, "model") for role in ("scorer", "optimizer")]
    return next((Path(name).name for name in named if name), "")


def _task(config: Mapping[str, Any]) -> str:
    """What was to be done, in a word or two."""
    kind, name = _text_at(config, "problem", "kind"), _text_at(config, "task", "name")
    if kind and kind != "prompt":
        return kind
    if name and name != "table":
        return name
    files = (_text_at(config, "task", key) for key in ("data", "train"))
    return next((Path(file).stem for file in files if file), name)


def _text_at(config: Mapping[str, Any], section: str, key: str) -> str:
    """A text in a stored config; empty where there is none."""
    table = config.get(section)
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) else ""


def _no_file(file: Path) -> str:
    """What stands at the place of a store's file that is none; empty for a file, or a link to one,
    which opening judges.
    """
    if file.is_file():
        return ""
    if file.is_symlink():
        return f"{file}: a link to {os.readlink(file)}, which is no file"
    kind = "a folder" if stat.S_ISDIR(os.lstat(file).st_mode) else "no regular file"
    return f"{file}: is {kind}"


def describe(folder: Path) -> RunResult | RunProgress:
    """A run's result if it is finished, else what it has so far.

    Raises:
        StoreError: there is no readable run.
    """
    opened = store.read_store(folder)
    try:
        return _described(opened)
    finally:
        opened.close()


def require_readable(opened: store.Store) -> None:
    """Raise StoreError where `describe` can't read what an open store holds."""
    _described(opened)


def _described(opened: store.Store) -> RunResult | RunProgress:
    """What it says, with the types it must have. Raises StoreError."""
    try:
        return _read(opened)
    except UNREADABLE as error:
        # Only of a store of an earlier version, which has no seal, or of one that was forged.
        why = one_line(error)
        raise damaged(opened.folder, f"what it says can't be read ({why})") from None


def _read(opened: store.Store) -> RunResult | RunProgress:
    state = opened.get("state") or "new"
    record = opened.get("result")
    if state == "finished" and record:
        kept = opened.get("prompt")
        # One that a later version wrote is no damage; whoever needs it says what it is.
        is_ours = kept is not None and not is_later(kept)
        prompt = WholePrompt.from_json(kept) if is_ours else None
        if prompt is not None:
            require_types(prompt)
        return replace(RunResult.from_json(record), prompt=prompt, folder=opened.folder)
    is_left = state == "running" and not is_held(opened.folder)
    return _so_far(opened, "interrupted" if is_left else state)


def rejected(folder: Path) -> list[dict[str, Any]]:
    """The replies that did not become solutions, with step and reason."""
    opened = store.read_store(folder)
    try:
        return opened.rejections()
    finally:
        opened.close()


def scored(folder: Path) -> list[dict[str, Any]]:
    """Every scored solution: split, step, text, score, rows, and similarity to those before."""
    opened = store.read_store(folder)
    try:
        rows = [row for split in ("train", "validation", "test") for row in opened.solutions(split)]
    finally:
        opened.close()
    return [{key: value for key, value in row.items() if key != "fingerprint"} for row in rows]


def _so_far(opened: store.Store, state: str) -> RunProgress:
    solutions = opened.solutions("train")
    whole = [row for row in solutions if not row["partial"]]
    best = max(whole, key=lambda row: row["score"], default=None)
    baseline = solutions[0] if solutions else None
    config = opened.get("config") or {}
    shares = opened.get("shares") is not False
    train = None
    if baseline and best:
        train = SplitResult(_figures(baseline, shares), _figures(best, shares))
    progress = RunProgress(
        name=config.get("run", {}).get("name", opened.folder.name),
        state=state,
        reason=opened.get("error") if state == "failed" else state,
        digest=chained(row["fingerprint"] for row in solutions),
        steps=max((row["step"] for row in solutions), default=0),
        solutions=len(solutions),
        rejections=rejection_counts(row["reason"] for row in opened.rejections()),
        baseline=baseline["text"] if baseline else "",
        best=best["text"] if best else "",
        best_step=best["step"] if best else 0,
        train=train,
        costs=count_costs(opened),
        shares=shares,
    )
    require_types(progress)
    return progress


def _figures(row: dict[str, Any], shares: bool) -> Figures:
    """What is known of a stored score, of whatever scale."""
    n, interval, accuracy = row["n"], None, row["score"]
    metric = None
    measured = decode(row["fingerprint"])[-1]
    if isinstance(measured, dict):
        metric = MetricFigures(measured["metric"], accuracy, None)
        accuracy = measured["accuracy"]
    if shares:
        # Stores of earlier builds don't say whether scores are shares.
        total = min(n, max(0.0, accuracy * n))
        interval = share_interval(total, n)
    return Figures(
        accuracy=accuracy,
        n=n,
        interval=interval,
        extraction_failures=row["extraction_failures"],
        truncated=row["truncated"],
        metrics={},
        metric=metric,
    )
