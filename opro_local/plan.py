"""A run that was checked and can start: its problem, how the optimizer is asked, and who answers which role.

For: one function per kind of problem, from a config to a `Plan`; everything that can be found wrong without a model in
memory is found here, before anything is written. Not for: running it (run.py) or hosting (hosting.py).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opro_local import hosting, metaprompt, result, scoring, similarity, tasks
from opro_local.cards import Card, card_for
from opro_local.config import Config
from opro_local.errors import DataError, UsageError
from opro_local.hosting import Host
from opro_local.problems.prompt import Layout, PromptProblem
from opro_local.search import Outcome, search
from opro_local.tasks import Task
from opro_local.trajectory import Trajectory
from opro_local.types import Batch, Engine, Example, Problem, Prompt, Reply, Role

# New tokens per answer where the config doesn't say: a label needs few, worked solutions many (paper section 5.1).
ANSWER_TOKENS = {"labels": 32, "boolean": 256, "exact": 256, "contains": 256, "regex": 512, "json": 512, "python": 512}
REASONED = 1024

Asks = Callable[[Trajectory], Generator[Batch, Reply, Outcome]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run does.

    Attributes:
        config: what was asked for.
        problem: what is optimized.
        asks: the generator to drive, over an empty trajectory: a search unless a verb replaces it.
        models: the roles that models answer, and how each is hosted.
        others: the roles that this process answers itself.
        identity: digests of what the config only names (data, programs); a run continues only while they stay.
        notices: lines for the user.
        rule: the scoring rule's name, "" where there is none.
        shares: whether scores are shares of rows that are right, and read as percent.
        check: called with the engines before the first request of a new run; raises when something can't fit.
        summarize: makes the result of what was driven; `result.summarize` for a search.
        conclude: completes the result with what only the problem knows.
        files: what is left in the folder beside result.json, by file name, made from the result.
    """

    config: Config
    problem: Problem
    asks: Asks
    models: Mapping[Role, Host]
    others: Mapping[Role, Engine] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    rule: str = ""
    shares: bool = True
    check: Callable[[Mapping[Role, Engine]], None] = lambda engines: None
    summarize: Callable[[Trajectory, Outcome, float], dict[str, Any]] = result.summarize
    conclude: Callable[[dict[str, Any], Trajectory], dict[str, Any]] = lambda found, trajectory: found
    files: Callable[[dict[str, Any]], Mapping[str, str]] = lambda found: {"best.txt": found["best"]["text"] + "\n"}


def plan(config: Config, training: bool = True) -> Plan:
    """Check everything that can be checked without a model in memory; nothing is written.

    Args:
        config: what to do.
        training: whether train rows are needed; some benchmarks have none and are there for evaluation only.

    Raises:
        UsageError, DataError, ModelError: what is wrong and what to do.
    """
    if config.problem.kind == "prompt":
        return _prompt(config, training)
    return _PLANS[config.problem.kind](config)


def assemble(config: Config, problem: Problem, cards: Mapping[Role, Card], form: str = "", **others: Any) -> Plan:
    """A plan that searches.

    Args:
        config: what was asked for.
        problem: what is optimized.
        cards: the card of each role that a model answers; see `cards_of`.
        form: the problem's own meta-prompt form; "" leaves the choice to the optimizer's card.
        others: further fields of the Plan.
    """
    folders = {role: hosting.folder_of(hosting.settings_of(config, role)) for role in cards}
    chosen = config.search.metaprompt
    asked = metaprompt.load((form or cards["optimizer"].metaprompt) if chosen == "auto" else chosen)

    def asks(trajectory: Trajectory) -> Generator[Batch, Reply, Outcome]:
        return search(problem, config, asked, trajectory)

    models = hosting.hosts(config, cards, folders)
    if config.search.exploration and config.search.similarity != similarity.NGRAMS:
        models["embedder"] = hosting.embedder(config.search.similarity)
    return Plan(config, problem, asks, models, **others)


def cards_of(config: Config, roles: Sequence[Role]) -> dict[Role, Card]:
    """The model card of each role. Raises ModelError for a model that is not on this machine."""
    return {role: card_for(hosting.folder_of(hosting.settings_of(config, role))) for role in roles}


def _prompt(config: Config, training: bool) -> Plan:
    task = tasks.load(config.task, training)
    judge = task.rule == "judge"
    rule = scoring.make_rule(
        "auto" if judge else task.rule,
        labels=config.task.labels or task.labels,
        pattern=config.task.pattern or task.pattern,
        kind=task.kind,
        examples=next(iter(task.splits.values())),
    )
    if not judge:
        scoring.check_gold(task, rule)
    cards = cards_of(config, ("optimizer", "scorer", "judge") if judge else ("optimizer", "scorer"))
    chat = cards["scorer"].chat if config.scorer.chat is None else config.scorer.chat
    max_tokens = config.scorer.max_tokens or task.max_tokens or ANSWER_TOKENS.get(rule.name, REASONED)
    problem = PromptProblem(task.splits, config, _layout(config, chat, task), max_tokens, rule, task.stop)
    return assemble(
        config,
        problem,
        cards,
        identity={"data": _data_digest(task), **({"content": task.content} if task.content else {})},
        notices=task.notices,
        rule="judge" if judge else rule.name,
        check=lambda engines: _check_fit(config, problem, max_tokens, engines["scorer"]),
    )


def _data_digest(task: Task) -> str:
    rows = [[split, [[row.input, row.target] for row in examples]] for split, examples in sorted(task.splits.items())]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def _layout(config: Config, chat: bool, task: Task) -> Layout:
    settings = config.task
    if settings.template is not None:
        _check_template(settings.template, task)
    position = "template" if settings.template is not None else settings.position
    return Layout(position, chat, (not chat) if settings.qa is None else settings.qa, settings.template)


def _check_template(template: str, task: Task) -> None:
    columns = {"instruction", *next(iter(task.splits.values()))[0].columns}
    unknown = [name for name in re.findall(r"\{(\w+)\}", template) if name not in columns]
    if unknown:
        raise UsageError(f"task.template: there is no column {unknown[0]!r}", f"accepted: {', '.join(sorted(columns))}")


def _check_fit(config: Config, problem: PromptProblem, max_tokens: int, engine: Engine) -> None:
    """Every row must fit the scorer's context with the longest instruction allowed; names the first that doesn't."""
    rows: list[Example] = [row for examples in problem.rows.values() for row in examples]
    longest = max((seed.text for seed in problem.seeds()), key=len)
    room = "x " * ((config.search.max_characters - len(longest)) // 8)  # a token has some four letters
    prompts: list[Prompt] = [problem.layout.prompt(longest + room, row) for row in rows]
    for row, tokens in zip(rows, engine.count_tokens(prompts), strict=True):
        if tokens + max_tokens > engine.max_model_len:
            raise DataError(
                f"{row.where}: row too long: {tokens} tokens with the longest instruction and {max_tokens} for "
                f"the answer, the scorer's context has {engine.max_model_len}",
                "drop the row, lower scorer.max_tokens or search.max_characters, or raise scorer.max_model_len",
            )


# These import their modules where they are asked for: they build on `assemble`, and most runs need none of them.
def _linear_regression(config: Config) -> Plan:
    from opro_local.numeric_plans import linear_regression_plan

    return linear_regression_plan(config)


def _tsp(config: Config) -> Plan:
    from opro_local.numeric_plans import tsp_plan

    return tsp_plan(config)


def _function(config: Config) -> Plan:
    from opro_local.program_plans import function_plan

    return function_plan(config)


def _command(config: Config) -> Plan:
    from opro_local.program_plans import command_plan

    return command_plan(config)


def _agent_file(config: Config) -> Plan:
    from opro_local.program_plans import agent_file_plan

    return agent_file_plan(config)


_PLANS: Mapping[str, Callable[[Config], Plan]] = {
    "linear_regression": _linear_regression,
    "tsp": _tsp,
    "function": _function,
    "command": _command,
    "agent_file": _agent_file,
}
