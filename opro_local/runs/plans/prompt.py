"""Plans of prompt problems: the task, its rule, the layout of a prompt, and whether every row fits
the scorer.

For: everything that can be found wrong with a task before a model is loaded. Not for: the problem
itself (problems/prompt/).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.models.cards import Card
from opro_local.problems.function import file_digest
from opro_local.problems.prompt.layout import INPUT, Layout
from opro_local.problems.prompt.mixed import Mixed
from opro_local.problems.prompt.operators import load_forms
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.voting import check_vote, with_vote
from opro_local.programs.identity import function_name, identity_of
from opro_local.protocols import Engine
from opro_local.runs import result
from opro_local.runs.plans.answers import answer_notice, answer_sampling, settled_answer
from opro_local.runs.plans.plan import Plan, Summarize, cards_of, guard_as_set, search_plan
from opro_local.runs.plans.starts import (
    check_no_answer,
    check_required,
    check_scale,
    columns_named,
    with_first_seed,
    with_longest,
)
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.whole_prompt import whole_prompt
from opro_local.runs.winner import Winner, WorkedExample
from opro_local.runs.winner_files import winner_files
from opro_local.scoring import choosing
from opro_local.scoring.balance import (
    absent_labels_notice,
    rare_label_notice,
    unfitted_labels_notice,
)
from opro_local.scoring.function import Function, rule_of
from opro_local.scoring.metrics import parse_metric
from opro_local.scoring.rule import Rule
from opro_local.search.loop import SearchResult
from opro_local.search.proposing import Proposer
from opro_local.search.required import check_form
from opro_local.search.trajectory import Trajectory
from opro_local.tasks import loading
from opro_local.tasks.loading import Task
from opro_local.types import Example, Prompt, Role, Sampling, Split

# A column's place in task.template.
COLUMN_PLACE = re.compile(r"\{(\w+)\}")


def prompt_plan(config: Config, training: bool = True, metric: Function | None = None) -> Plan:
    """A search for the instruction with which the scorer answers most rows of a task.

    Args:
        config: what to do.
        training: whether train rows are needed; some benchmarks have none and are there for
        evaluation only.
        metric: a function of the calling program that scores instead of the config's rule.

    Raises:
        UsageError, DataError, ModelError: what is wrong and what to do.
    """
    guard_as_set(config)
    task = loading.load(config.task, training)
    is_judged = task.rule == "judge"
    rule, said_of_rule = _rule(config, task, metric)
    roles: tuple[Role, ...] = ("optimizer", "scorer")
    cards = cards_of(config, (*roles, "judge") if is_judged else roles)
    answer = settled_answer(config, task, rule, cards["scorer"])
    said_of_answers = answer_notice(config, answer)
    config = config.with_answer(answer)
    check_scale(config)
    given, (config, first_seed) = config, with_first_seed(config, task, rule)
    config = with_longest(config, cards["optimizer"])
    check_required(config)
    layout = _layout(config, cards["scorer"], task)
    # An evaluation scores once, on whichever split: all answers are kept as they were read. A
    # search is spared reading its many train answers twice, unless there are no others.
    held_out: list[Split] = [split for split in task.splits if split != "train"]
    parsed = held_out if training and held_out else list(task.splits)
    sampling = answer_sampling(config, task, rule, layout)
    problem = PromptProblem(task.splits, config, layout, rule, sampling, parsed)
    _check_seeds(problem)
    _check_race(config)
    propose = mixed_proposer(config, problem, cards["optimizer"]) if config.is_mixed else None
    plan = search_plan(config, problem, cards, propose=propose)
    if training and config.evaluation.vote > 1:
        check_vote(config, problem)
        plan = replace(plan, search=partial(with_vote, problem, config, plan.search))
    tokens = _tokens_with_thought(plan, sampling)
    plan = replace(
        plan,
        identity=_identity(config, task, rule, metric),
        notices=(
            *task.notices,
            *plan.notices,
            *(first_seed if training else ()),
            *said_of_rule,
            *said_of_answers,
            *choosing.rare_labels(task, config.task, rule),
            *(_balance_notices(config, problem, task) if training and metric is None else ()),
        ),
        skipped=task.skipped,
        held_out={split: len(task.splits[split]) for split in held_out},
        rule="judge" if is_judged else rule.name,
        check=lambda engines: _check_fit(given, problem, tokens, engines["scorer"]),
        summarize=_summarizing(problem),
        remarks=rule.notices,
        alarms=lambda: problem.alarms or (),
        files=winner_files,
    )
    card = cards["scorer"]
    return replace(
        plan, whole_prompt=lambda result: whole_prompt(plan, problem, task, card, result)
    )


def prompt_problem(plan: Plan, hint: str = "use run") -> PromptProblem:
    """A plan's problem where it must be one with rows.

    Args:
        plan: any plan.
        hint: what to do instead with a problem of another kind.

    Raises:
        UsageError: it is of another kind.
    """
    if not isinstance(plan.problem, PromptProblem):
        kind = plan.config.problem.kind
        raise UsageError(f"a problem of kind {kind} has no rows to evaluate on", hint)
    return plan.problem


def _rule(config: Config, task: Task, metric: Function | None) -> tuple[Rule, tuple[str, ...]]:
    """How answers are scored, and what the user hears of that. Raises UsageError, DataError."""
    choice = choosing.task_choice(task, config.task)
    rule, notices = choosing.task_rule(task, config.task, choice), tuple(choice.notices)
    if metric is not None:
        rule, notices = rule_of(metric, function_name(metric)).after_thoughts(), ()
    if task.rule != "judge":
        choosing.check_gold(task, rule)
    return rule, notices


def _tokens_with_thought(plan: Plan, sampling: Sampling) -> int:
    """New tokens of an answer at most, with the thought before it. Raises UsageError."""
    thinker = plan.thinkers.get("scorer")
    if thinker is None:
        return sampling.max_tokens
    if sampling.constraint:
        raise UsageError(
            'scorer.constrain = "labels" leaves a model that thinks no room for a thought',
            "leave it out, or set scorer.thinking_tokens = 0 for a model that need not think",
        )
    return sampling.max_tokens + thinker.tokens


def _balance_notices(config: Config, problem: PromptProblem, task: Task) -> tuple[str, ...]:
    """What the user hears of a label that is rare or that a split lacks. A benchmark is measured as
    it was published.
    """
    rule = problem.rule
    labels = problem.labelling.labels if problem.labelling else ()
    chosen, label = parse_metric(config.task.metric)
    if config.task.name != "table" or task.rule == "judge":
        return ()
    fitted_on = [row for split in ("train", "validation") for row in task.splits.get(split, ())]
    lines = unfitted_labels_notice(rule, fitted_on, labels)
    if chosen.measure is not None:
        return lines + absent_labels_notice(rule, config.task.metric, label, task.splits)
    return lines + rare_label_notice(rule, choosing.labelled_rows(task), task.splits)


def _check_race(config: Config) -> None:
    """A race's bound holds for means of rows alone. Raises UsageError."""
    metric, _ = parse_metric(config.task.metric)
    if metric.measure is not None and config.scoring_schedule == "race":
        raise UsageError(
            f'evaluation.mode = "race" compares means of rows, and task.metric = '
            f"{config.task.metric!r} is none",
            'use "halve", which drops by the metric itself, or "full"',
        )


def _check_seeds(problem: PromptProblem) -> None:
    """Every worked example that a seed shows must be a train row. Raises UsageError."""
    known = {row.id for row in problem.rows.get("train", ())}
    for seed in problem.seeds():
        unknown = [id for id in seed.demonstrations if id not in known]
        if unknown:
            raise UsageError(
                f"search.seeds: there is no train row {unknown[0]!r} to show as a worked example",
                "give the data and the split that the examples came from",
            )


def _summarizing(problem: PromptProblem) -> Summarize:
    """What makes the outcome of a search for a prompt."""

    def summarize(trajectory: Trajectory, ended: SearchResult, alpha: float) -> SearchOutcome:
        outcome = result.summarize(trajectory, ended, alpha, problem.classes, problem.constant)
        if not ended.best.demonstrations:
            return outcome
        return replace(outcome, best=_with_prompt(outcome.best, problem.readable(ended.best)))

    return summarize


def _with_prompt(best: Winner, readable: Mapping[str, Any]) -> Winner:
    """A winner that shows worked examples with its whole prompt, see PromptProblem.readable."""
    examples = [
        WorkedExample(shown["id"], shown["input"], shown["answer"])
        for shown in readable["demonstrations"]
    ]
    return replace(
        best,
        demonstrations=tuple(examples),
        messages=tuple(readable.get("messages", ())),
        prompt=readable.get("prompt"),
        stop=tuple(readable["stop"]),
    )


def mixed_proposer(
    config: Config, problem: PromptProblem, card: Card, kind: type[Mixed] = Mixed
) -> Callable[[Trajectory], Proposer]:
    """What makes the proposer of the mode "mixed" for an optimizer's card. Raises UsageError."""
    forms = load_forms(config.search, card)
    for form in (*forms.drafting.values(), forms.writer):
        check_form(config.search, form, problem.prompt_variables())
    return lambda trajectory: kind(problem, config, forms, trajectory)


def _identity(config: Config, task: Task, rule: Rule, metric: Function | None) -> dict[str, str]:
    """Digests of all that prompts and scores are made of and the config only names."""
    template_columns = COLUMN_PLACE.findall(config.task.template or "")

    def contents(row: Example) -> list[str]:
        """What is asked or scored of a row; a user's own function is given all columns."""
        names = [name for name in template_columns if name in row.columns]
        if rule.source or metric is not None:
            names = sorted(row.columns)
        return [row.input, row.target, *(row.columns[name] for name in names)]

    rows = [
        [split, [contents(row) for row in examples]]
        for split, examples in sorted(task.splits.items())
    ]
    identity = {"data": _short_digest(json.dumps(rows))}
    if task.content:
        identity["content"] = task.content
    if rule.source:
        identity["rule"] = file_digest(rule.source)
    if metric is not None:
        identity |= identity_of("rule", metric)
    if task.rule == "harness":
        identity["rule"] = _short_digest(config.task.pattern or task.pattern or "")
    return identity


def _short_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _layout(config: Config, card: Card, task: Task) -> Layout:
    """Where instruction and row stand in a prompt, as the config says or the scorer's card. Raises
    UsageError: the instruction or the template names what is no column.
    """
    settings, named = config.task, columns_named(config, task)
    is_chat = card.chat if config.scorer.chat is None else config.scorer.chat
    with_qa = (not is_chat) if settings.qa is None else settings.qa
    as_turns = card.demonstrations == "turns"
    layout = Layout(settings.position, is_chat, with_qa, None, as_turns)
    if settings.template is not None:
        _check_template(settings.template, settings.input or "input", task)
        layout = Layout("template", is_chat, with_qa, settings.template, as_turns)
    return replace(layout, named=named, asked=named & {INPUT, settings.input})


def _check_template(template: str, asked: str, task: Task) -> None:
    """Every place in the template must be the instruction's or a column's, and none the answer's,
    unless it is what is asked. Raises UsageError.
    """
    columns = {"instruction", *next(iter(task.splits.values()))[0].columns}
    unknown = [name for name in COLUMN_PLACE.findall(template) if name not in columns]
    if unknown:
        raise UsageError(
            f"task.template: there is no column {unknown[0]!r}",
            f"accepted: {', '.join(sorted(columns))}",
        )
    named = set(COLUMN_PLACE.findall(template)) - {"instruction", asked}
    check_no_answer(named, task, "task.template")


def _check_fit(config: Config, problem: PromptProblem, max_tokens: int, engine: Engine) -> None:
    """Every row must fit the scorer's context with the longest instruction that the config asks
    for, or where it says nothing with the paper's limit.

    Raises:
        DataError: names the first row that doesn't.
    """
    rows = [row for examples in problem.rows.values() for row in examples]
    longest = max((seed.text for seed in problem.seeds()), key=len)
    # Stands for the text that the search may add: "x " is one or two tokens, and stands for eight
    # letters, since a token of plain text has some four.
    room = "x " * ((config.search.longest - len(longest)) // 8)
    prompts = [problem.layout.prompt(longest + room, row) for row in rows]
    answer, lower = "answer", "scorer.max_tokens, scorer.thinking_tokens or search.max_characters"
    if problem.labelling:
        # Nothing is written: what has to fit after a row is the longest label.
        labels = [Prompt(label, chat=False) for label in problem.labelling.labels]
        max_tokens = max(engine.count_tokens(labels)) + 1
        answer, lower = "longest label", "search.max_characters"
    for row, tokens in zip(rows, engine.count_tokens(prompts), strict=True):
        if tokens + max_tokens > engine.max_model_len:
            raise DataError(
                f"{row.where}: row too long: {tokens} tokens with the longest instruction and "
                f"{max_tokens} for the {answer}, the scorer's context has {engine.max_model_len}",
                f"drop the row, lower {lower}, or raise scorer.max_model_len",
            )
