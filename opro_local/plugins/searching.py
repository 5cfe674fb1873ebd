"""The search that every plug-in runs: an optimizer model of one's own writes the texts of a program
that another library scores.

For: the plan of such a run, the division of the rows, and what it came to. Not for: what a library
calls its texts and rows (its own file).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.engines.callable import CallableEngine
from opro_local.errors import UsageError
from opro_local.plugins.scoring import RowScores, RowsEngine
from opro_local.problems.named_texts import GivenTexts, NamedTexts
from opro_local.protocols import Engine
from opro_local.runs.given_config import with_settings
from opro_local.runs.plans.function import form_for
from opro_local.runs.plans.plan import Plan, cards_of, guard_as_set, search_plan
from opro_local.runs.run import run as start_run
from opro_local.runs.run_result import RunResult
from opro_local.search.metaprompts import metaprompt
from opro_local.tasks.division import divide
from opro_local.types import Example, Role, Split

Row = TypeVar("Row")
# What the rows of a split earn with texts by name.
ScoreTexts = Callable[[Mapping[str, str], Split], RowScores]


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chooses of a search.

    Attributes:
        model: the optimizer: a folder, an imported name, a repository id on disk, or a callable
            (engines/callable.py).
        steps, candidates: how many steps, and versions scored in each.
        run: the folder to keep the run in; the same call resumes it. None keeps nothing.
        set: any settings, as {"section.key": value} or ["section.key=value"].
    """

    model: Any
    steps: int = 8
    candidates: int = 8
    run: str | Path | None = None
    set: Mapping[str, Any] | Sequence[str] = ()

    def config(self, library: str, given: Mapping[str, str]) -> Config:
        """The config of a search of these texts for a library. Raises UsageError."""
        if self.model is None:
            raise UsageError("model is None", "give a model's folder or name, or a callable")
        longest = max(map(len, given.values()))
        tables: dict[str, Any] = {
            "problem": {"kind": "function", "function": library},
            "search": {
                "seeds": list(given.values()),
                "steps": self.steps,
                "candidates": self.candidates,
                # Templates are longer than instructions: a version may be twice as long.
                "max_characters": max(500, 2 * longest),
            },
            "run": {"name": library},
        }
        if isinstance(self.model, (str, Path)):
            tables["optimizer"] = {"model": str(self.model)}
        return reading.build(*with_settings(tables, self.set))


@dataclass(frozen=True, slots=True)
class Improved:
    """What a search of a program's texts came to.

    Attributes:
        texts: the chosen ones by name: those that validation confirmed, else the first.
        result: the run's, see docs/result.md; `test.difference` has value and interval.
    """

    texts: Mapping[str, str]
    result: RunResult

    @property
    def verdict(self) -> str:
        """As in docs/result.md, such as "reliable gain" or "no reliable gain"."""
        return self.result.verdict or ""


def improve(
    config: Config,
    choices: Choices,
    given: GivenTexts,
    score: ScoreTexts,
    identity: Mapping[str, str],
) -> Improved:
    """Search the texts that a program does best with.

    Args:
        config: see `Choices.config`.
        choices: of the user.
        given: the texts and the sizes of the splits.
        score: what the rows of a split earn with texts by name.
        identity: digests of what scores; a kept run continues only while they stay.

    Raises:
        OproError: see errors.py.
    """
    search = config.search
    required = tuple(dict.fromkeys((*search.required, *given.placeholders())))
    search = search.model_copy(update={"required": required})
    config = config.model_copy(update={"search": search})
    plan, problem = _plan(config, choices, given, score, identity)
    if choices.run is not None:
        result = start_run(plan, Path(choices.run))
    else:
        with tempfile.TemporaryDirectory(prefix="opro-local-") as folder:
            result = start_run(plan, Path(folder) / "run")
    return Improved(problem.texts(result.best.text), result)


def divided(
    config: Config,
    rows: Sequence[Row],
    held: Sequence[Row] = (),
    asked: Callable[[Row], Any] = lambda row: row,
) -> dict[Split, list[Row]]:
    """The rows of each split, by `task.split`. Rows that ask the same stay together.

    Args:
        config: `task.split` and `task.split_seed` are read.
        rows: all rows, or those to search with.
        held: rows for validation and test alone; none takes them from `rows`.
        asked: what a row asks, as JSON takes it.

    Raises:
        DataError: there are too few.
        UsageError: a row to search with is held out as well.
    """
    train, validation, test = config.task.split
    seed = config.task.split_seed
    keys = [_key(asked(row)) for row in rows]
    if not held:
        return _parts(rows, keys, (train, validation, test), seed)
    if not validation:
        raise UsageError(
            f"task.split is {config.task.split}: it leaves no rows for validation",
            "give validation a share, or leave out the held-out rows",
        )
    held_keys = [_key(asked(row)) for row in held]
    if shared := {*keys} & {*held_keys}:
        raise UsageError(
            f"{len(shared)} of the held-out rows are also rows to search with",
            "give other rows, or one set that is divided",
        )
    both = validation + test
    parts = _parts(held, held_keys, (validation / both, test / both, 0.0), seed)
    splits: dict[Split, list[Row]] = {"train": list(rows), "validation": parts["train"]}
    if "validation" in parts:
        splits["test"] = parts["validation"]
    return splits


def rows_digest(splits: Mapping[Split, Sequence[Any]]) -> dict[str, str]:
    """A digest of the rows of each split, as JSON has them."""
    texts = {split: json.dumps(list(rows), default=str) for split, rows in splits.items()}
    return {
        f"{split} rows": hashlib.sha256(text.encode()).hexdigest()[:16]
        for split, text in texts.items()
    }


def _key(asked: Any) -> str:
    return json.dumps(asked, sort_keys=True, default=str)


def _parts(
    rows: Sequence[Row], keys: Sequence[str], shares: Sequence[float], seed: int
) -> dict[Split, list[Row]]:
    """The rows divided; those with equal keys stay together."""
    examples = [Example(str(place), {}, key, "", "") for place, key in enumerate(keys)]
    parts = divide(examples, shares, seed)
    return {split: [rows[int(one.id)] for one in part] for split, part in parts.items()}


def _plan(
    config: Config,
    choices: Choices,
    given: GivenTexts,
    score: ScoreTexts,
    identity: Mapping[str, str],
) -> tuple[Plan, NamedTexts]:
    """The plan of the search and its problem."""
    guard_as_set(config)
    is_hosted = isinstance(choices.model, (str, Path))
    cards = cards_of(config, ("optimizer",)) if is_hosted else {}
    name = config.search.metaprompt
    if name == "auto":
        # Of a callable nothing is known; it is asked as a chat model is.
        name = form_for(cards["optimizer"], "text") if is_hosted else "text"
    problem = NamedTexts(given, config, metaprompt.load(name))
    others: dict[Role, Engine] = {
        "program": RowsEngine(lambda text, split: score(problem.texts(text), split))
    }
    if not is_hosted:
        others["optimizer"] = CallableEngine(choices.model, "model")
    plan = search_plan(config, problem, cards, name)
    return replace(
        plan,
        others=others,
        identity=identity,
        held_out={split: size for split, size in given.sizes.items() if split != "train"},
        shares=False,
    ), problem
