"""Plans of prompt problems: the task, its rule, the layout of a prompt, and whether every row fits
the scorer.

For: everything that can be found wrong with a task before a model is loaded. Not for: the problem
itself (problems/prompt.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.models.cards import Card
from opro_local.problems.function import file_digest
from opro_local.problems.prompt.layout import Layout
from opro_local.problems.prompt.mixed import Mixed
from opro_local.problems.prompt.operators import load_forms
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.runs.plans.plan import Plan, assemble, cards_of
from opro_local.scoring import choosing
from opro_local.scoring.rule import Rule
from opro_local.search.proposing import Proposer
from opro_local.search.trajectory import Trajectory
from opro_local.tasks import loading
from opro_local.tasks.loading import Task
from opro_local.types import Engine, Example, Prompt, Solution

# New tokens per answer where the config doesn't say: a label needs few, worked solutions many
# (paper section 5.1).
ANSWER_TOKENS = {
    "labels": 32,
    "boolean": 256,
    "exact": 256,
    "contains": 256,
    "regex": 512,
    "json": 512,
    "python": 512,
}
REASONED = 1024
PLACES = re.compile(r"\{(\w+)\}")  # of columns in task.template


def prompt_plan(config: Config, training: bool = True) -> Plan:
    """A search for the instruction with which the scorer answers most rows of a task.

    Args:
        config: what to do.
        training: whether train rows are needed; some benchmarks have none and are there for
        evaluation only.

    Raises:
        UsageError, DataError, ModelError: what is wrong and what to do.
    """
    task = loading.load(config.task, training)
    judge = task.rule == "judge"
    rule = choosing.task_rule(task, config.task)
    if not judge:
        choosing.check_gold(task, rule)
    cards = cards_of(config, ("optimizer", "scorer", "judge") if judge else ("optimizer", "scorer"))
    chat = cards["scorer"].chat if config.scorer.chat is None else config.scorer.chat
    max_tokens = (
        config.scorer.max_tokens or task.max_tokens or ANSWER_TOKENS.get(rule.name, REASONED)
    )
    problem = PromptProblem(
        task.splits,
        config,
        _layout(config, cards["scorer"], chat, task),
        max_tokens,
        rule,
        task.stop,
    )
    _check_seeds(config, problem)
    return assemble(
        config,
        problem,
        cards,
        propose=mixed(config, problem, cards["optimizer"]) if config.is_mixed else None,
        identity=_identity(config, task, rule),
        notices=(*task.notices, *choosing.rare_labels(task, config.task, rule)),
        rule="judge" if judge else rule.name,
        check=lambda engines: _check_fit(config, problem, max_tokens, engines["scorer"]),
        conclude=lambda found, trajectory: _with_prompt(found, problem),
        files=_files,
    )


def _check_seeds(config: Config, problem: PromptProblem) -> None:
    known = {row.id for row in problem.rows.get("train", ())}
    for seed in problem.seeds():
        unknown = [key for key in seed.demonstrations if key not in known]
        if unknown:
            raise UsageError(
                f"search.seeds: there is no train row {unknown[0]!r} to show as a worked example",
                "give the data and the split that the examples came from",
            )


def _with_prompt(found: dict[str, Any], problem: PromptProblem) -> dict[str, Any]:
    """The result with the whole prompt of a best solution that shows worked examples."""
    best = found["best"]
    if "demonstrations" not in best:
        return found
    return {
        **found,
        "best": {**best, **problem.readable(Solution(best["text"], tuple(best["demonstrations"])))},
    }


def _files(found: dict[str, Any]) -> dict[str, str]:
    """The best instruction as text; with worked examples also the whole prompt."""
    best = found["best"]
    whole = {
        key: best[key]
        for key in ("text", "demonstrations", "messages", "prompt", "stop")
        if key in best
    }
    files = {"best.txt": best["text"] + "\n"}
    return files | (
        {"best.json": json.dumps(whole, indent=2, ensure_ascii=False) + "\n"}
        if len(whole) > 1
        else {}
    )


def mixed(
    config: Config, problem: PromptProblem, card: Card, kind: type[Mixed] = Mixed
) -> Callable[[Trajectory], Proposer]:
    """What makes the proposer of the mode "mixed" for an optimizer's card. Raises UsageError."""
    forms = load_forms(config.search, card)
    return lambda trajectory: kind(problem, config, forms, trajectory)


def _identity(config: Config, task: Task, rule: Rule) -> dict[str, str]:
    """Digests of all that prompts and scores are made of and the config only names."""
    pattern, shown = (
        config.task.pattern or task.pattern or "",
        PLACES.findall(config.task.template or ""),
    )

    def told(row: Example) -> list[str]:
        """What is asked or scored of a row; a user's own function is given all columns."""
        columns = (
            sorted(row.columns) if rule.source else [name for name in shown if name in row.columns]
        )
        return [row.input, row.target, *(row.columns[name] for name in columns)]

    rows = [
        [split, [told(row) for row in examples]] for split, examples in sorted(task.splits.items())
    ]
    return {
        "data": hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16],
        **({"content": task.content} if task.content else {}),
        **({"rule": file_digest(rule.source)} if rule.source else {}),
        **(
            {"rule": hashlib.sha256(pattern.encode()).hexdigest()[:16]}
            if task.rule == "harness"
            else {}
        ),
    }


def _layout(config: Config, card: Card, chat: bool, task: Task) -> Layout:
    settings = config.task
    if settings.template is not None:
        _check_template(settings.template, task)
    position = "template" if settings.template is not None else settings.position
    qa = (not chat) if settings.qa is None else settings.qa
    return Layout(position, chat, qa, settings.template, card.demonstrations == "turns")


def _check_template(template: str, task: Task) -> None:
    columns = {"instruction", *next(iter(task.splits.values()))[0].columns}
    unknown = [name for name in PLACES.findall(template) if name not in columns]
    if unknown:
        raise UsageError(
            f"task.template: there is no column {unknown[0]!r}",
            f"accepted: {', '.join(sorted(columns))}",
        )


def _check_fit(config: Config, problem: PromptProblem, max_tokens: int, engine: Engine) -> None:
    """Every row must fit the scorer's context with the longest instruction allowed; names the first
    that doesn't.
    """
    rows: list[Example] = [row for examples in problem.rows.values() for row in examples]
    longest = max((seed.text for seed in problem.seeds()), key=len)
    room = "x " * (
        (config.search.max_characters - len(longest)) // 8
    )  # a token has some four letters
    prompts: list[Prompt] = [problem.layout.prompt(longest + room, row) for row in rows]
    for row, tokens in zip(rows, engine.count_tokens(prompts), strict=True):
        if tokens + max_tokens > engine.max_model_len:
            raise DataError(
                f"{row.where}: row too long: {tokens} tokens with the longest instruction and {max_tokens} for "
                f"the answer, the scorer's context has {engine.max_model_len}",
                "drop the row, lower scorer.max_tokens or search.max_characters, or raise scorer.max_model_len",
            )


# These import their modules where they are asked for: they build on `assemble`, and most runs need
# none of them.
