"""OPRO for `mlflow.genai.optimize_prompts`: prompts of MLflow's registry, written by a model of
one's own.

For: MLflow's contract (BasePromptOptimizer, 3.17). Not for: runs written to MLflow as a tracker, or
a prompt to be registered by hand (exports/mlflow.py).

    from opro_local.plugins.mlflow import OproPromptOptimizer

    optimizer = OproPromptOptimizer("./my-model")
    mlflow.genai.optimize_prompts(
        predict_fn=predict, train_data=rows, prompt_uris=[prompt.uri], optimizer=optimizer,
        scorers=[correct],
    )
    print(optimizer.improved.verdict)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.genai.optimize import BasePromptOptimizer, PromptOptimizerOutput

from opro_local.errors import UsageError
from opro_local.plugins.scoring import RowScores
from opro_local.plugins.searching import Choices, Improved, divided, improve, rows_digest
from opro_local.problems.named_texts import GivenTexts
from opro_local.types import Split

# A variable of an MLflow template.
VARIABLE = re.compile(r"\{\{ \s* \w+ \s* \}\}", re.VERBOSE)
SHOWN = 3  # rationales of rows, for the optimizer
CUT = 300  # characters of each

EvalFn = Callable[[dict[str, str], list[dict[str, Any]]], list[Any]]


class OproPromptOptimizer(BasePromptOptimizer):
    """A prompt optimizer for `mlflow.genai.optimize_prompts`.

    The rows are divided into train, validation and test (`task.split`). A prompt is exchanged where
    validation confirms another; test rows are opened once, for both. Each phase scores a set of
    prompts with one call of MLflow's `eval_fn`. Every `{{variable}}` of a prompt stays in it, and
    none is added. A chat prompt's messages are texts of their own.

    Args:
        model, steps, candidates, run, set: see searching.Choices.
        description: what the prompts are for, in words for the optimizer model.

    Attributes:
        improved: what the last call came to; None before one. Its verdict, the difference on test
            and its interval are also tags of the active MLflow run.
    """

    def __init__(
        self,
        model: Any,
        steps: int = 8,
        candidates: int = 8,
        run: str | Path | None = None,
        set: Mapping[str, Any] | Sequence[str] = (),
        description: str = "",
    ) -> None:
        self._choices = Choices(model, steps, candidates, run, set)
        self._description = description
        self.improved: Improved | None = None

    def optimize(
        self,
        eval_fn: EvalFn,
        train_data: list[dict[str, Any]],
        target_prompts: dict[str, str],
        enable_tracking: bool = True,
    ) -> PromptOptimizerOutput:
        """See BasePromptOptimizer.optimize.

        Raises:
            OproError: see errors.py; UsageError where there are no rows or no scorers.
        """
        if eval_fn is None or not train_data:
            raise UsageError(
                "train_data: OPRO scores prompts on rows, and there are none",
                "give optimize_prompts train_data and scorers",
            )
        seeds = messages(target_prompts)
        config = self._choices.config("mlflow", seeds)
        splits = divided(config, train_data, asked=lambda row: row["inputs"])

        def score(texts: Mapping[str, str], split: Split) -> RowScores:
            candidate = with_messages(target_prompts, texts)
            return _scores(eval_fn(candidate, splits[split]), list(texts))

        sizes = {split: len(rows) for split, rows in splits.items()}
        given = GivenTexts(seeds, sizes, self._description, placeholder=VARIABLE)
        improved = improve(config, self._choices, given, score, rows_digest(splits))
        self.improved = improved
        if enable_tracking and mlflow.active_run() is not None:
            mlflow.set_tags(_tags(improved))
        held = improved.result.test or improved.result.train
        return PromptOptimizerOutput(
            optimized_prompts=with_messages(target_prompts, improved.texts),
            initial_eval_score=held.baseline.accuracy if held else None,
            final_eval_score=held.best.accuracy if held else None,
        )


def messages(prompts: Mapping[str, str]) -> dict[str, str]:
    """The texts of prompts by name: a text prompt whole, a chat prompt by message ("name/0")."""
    texts: dict[str, str] = {}
    for name, prompt in prompts.items():
        turns = _turns(prompt)
        if turns is None:
            texts[name] = prompt
            continue
        for place, turn in enumerate(turns):
            if turn["content"].strip():
                texts[f"{name}/{place}"] = turn["content"]
    return texts


def with_messages(prompts: Mapping[str, str], texts: Mapping[str, str]) -> dict[str, str]:
    """The prompts with these texts in them; one that does not change stays as it is written."""
    changed: dict[str, str] = {}
    for name, prompt in prompts.items():
        turns = _turns(prompt)
        if turns is None:
            changed[name] = texts[name]
            continue
        now = [
            {**turn, "content": texts.get(f"{name}/{place}", turn["content"])}
            for place, turn in enumerate(turns)
        ]
        changed[name] = prompt if now == turns else json.dumps(now)
    return changed


def _turns(prompt: str) -> list[dict[str, Any]] | None:
    """The messages of a chat prompt, which MLflow gives as JSON; None for a text prompt."""
    try:
        turns = json.loads(prompt)
    except ValueError:
        return None
    if not isinstance(turns, list) or not turns:
        return None
    is_chat = all(isinstance(turn, dict) and "role" in turn for turn in turns)
    if not is_chat or not all(isinstance(turn.get("content"), str) for turn in turns):
        return None
    return turns


def _scores(records: Sequence[Any], names: Sequence[str]) -> RowScores:
    """What MLflow's records say: scores, and the scorers' reasons where a row earned less than the
    best one did.
    """
    values = [record.score for record in records]
    if any(value is None for value in values):
        raise UsageError(
            "scorers: no row has a score", "give optimize_prompts scorers (and an aggregation)"
        )
    best = max(values)
    poor = [record for record in records if record.score < best]
    said = [_rationale(record) for record in poor]
    text = " | ".join([one for one in said if one][:SHOWN])
    return RowScores(values, dict.fromkeys(names, text))


def _rationale(record: Any) -> str:
    """What the scorers say of one row."""
    reasons = [str(reason) for reason in (record.rationales or {}).values() if reason]
    return " ".join(" ".join(reasons).split())[:CUT]


def _tags(improved: Improved) -> dict[str, str]:
    """The verdict and its figures, as tags of an MLflow run."""
    tags = {"opro.verdict": improved.verdict}
    test = improved.result.test
    if test is not None and test.difference is not None:
        low, high = test.difference.interval
        tags |= {
            "opro.test.difference": f"{test.difference.value:.6g}",
            "opro.test.interval": f"{low:.6g} to {high:.6g}",
            "opro.test.p_value": f"{test.difference.p_value:.6g}",
        }
    return tags
