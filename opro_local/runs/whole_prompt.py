"""The winner of a run as a prompt with all that is needed to ask with it.

For: what best.json holds, made of a plan and its result. Not for: its JSON and the forms that other
programs take (exports/), or choosing the winner (search/loop.py).

The template is not written a second time: the problem makes a request for a row whose values are
markers, as it does for every row. So it can't differ from what the run asked, and that is checked
on rows of the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from opro_local.engines.chat_template import continues, way_through
from opro_local.engines.conversation import Way
from opro_local.engines.kinds import reads_folder
from opro_local.engines.label_reads import first_tokens
from opro_local.engines.tokenizer import plain_text
from opro_local.exports.whole_prompt import SecondRound, Voter, WholePrompt
from opro_local.models.cards import Card
from opro_local.models.templates import asked_template
from opro_local.problems.prompt import second_round
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.runs.label_words import HOW_TO_MEASURE
from opro_local.runs.plans.plan import Plan
from opro_local.runs.run_result import RunResult
from opro_local.runs.thinking import asked_of
from opro_local.tasks.task import Task
from opro_local.types import Batch, Completion, Example, Prompt, Request, Solution

# Rows of each split whose requests are compared with what the template gives.
COMPARED = 200
# The digits of a marker: a text that holds them by chance is one in 2**48.
DIGITS = 12
LEFT_OUT = ("classes", "calibration")  # of a split's figures, which best.json has no room for
SPLITS = ("train", "validation", "test")
# What is known of a prompt whose labels are read where the model writes its answer.
WRITTEN = f"not measured; with the run's folder as RUN: {HOW_TO_MEASURE}"


def whole_prompt(
    plan: Plan, problem: PromptProblem, task: Task, card: Card, result: RunResult
) -> WholePrompt:
    """The prompt that a run chose.

    Args:
        plan: the run's.
        problem, task: of the plan.
        card: of the scorer.
        result: of the run.
    """
    best = result.best
    solution = Solution(best.text, tuple(shown.id for shown in best.demonstrations))
    markers = _Markers(problem, task, solution)
    (plain,) = problem.requests(solution, "test", [markers.row])
    (request,) = _as_asked(plan, [plain])
    second = _second_round(plan, request, markers) if plan.config.task.second_round else None
    constraint = request.sampling.constraint
    whole = WholePrompt(
        text=solution.text,
        demonstrations=_shown(problem, solution),
        prompt=request.prompt,
        input=markers.input,
        column=task.input_column,
        columns=markers.used(request.prompt),
        max_tokens=request.sampling.max_tokens,
        thinking_tokens=request.sampling.max_tokens - plain.sampling.max_tokens,
        stop=plain.sampling.stop,
        choices=tuple(constraint.value) if constraint else (),
        template_args=_template_args(plan),
        model=_model(plan, card, result),
        rule=_rule(plan, problem),
        data=_data(plan, problem, task, result),
        scores=_scores(result),
        run=_run(result),
        second_round=second,
        continues=_continues(plan, request.prompt),
        label_bias=_label_bias(plan, problem, solution, request.prompt),
        vote=_vote(problem, result),
    )
    return _checked(whole, plan, problem, solution)


class _Markers:
    """What stands for a row's values: texts that are nowhere in the prompt, the worked examples and
    the run's rows, and the same whenever they are derived.

    Attributes:
        input: for what is asked.
        row: a row whose values are markers.
    """

    def __init__(self, problem: PromptProblem, task: Task, solution: Solution) -> None:
        digits = _unused_digits(problem, solution)
        rows = [row for split in problem.splits for row in problem.rows[split]]
        self.input = f"<input-{digits}>"
        self.answer = f"<answer-{digits}>"
        names = sorted({name for row in rows for name in row.columns})
        self._columns = {
            name: f"<column-{number}-{digits}>" for number, name in enumerate(names, 1)
        }
        # The column that is asked has two names for one text, unless it was made into another.
        asked = task.input_column
        if all(row.columns.get(asked) == row.input for row in rows):
            self._columns[asked] = self.input
        self.row = Example("", self._columns, self.input, "", "")

    def used(self, prompt: Prompt) -> dict[str, str]:
        """The markers of other columns than the one asked that a prompt shows, by column."""
        text = "\0".join(_texts(prompt))
        others = {name: mark for name, mark in self._columns.items() if mark != self.input}
        return {name: mark for name, mark in others.items() if mark in text}


def _unused_digits(problem: PromptProblem, solution: Solution) -> str:
    """The first digits derived of the solution that no text of the run holds."""
    texts = [solution.text, problem.layout.template or ""]
    texts += [answer for _, answer in problem.demonstrations.worked(solution.demonstrations)]
    for split in problem.splits:
        for row in problem.rows[split]:
            texts += (row.input, *row.columns.values())
    for attempt in count():
        seed = f"{solution.key} {attempt}".encode()
        digits = hashlib.sha256(seed).hexdigest()[:DIGITS]
        if not any(digits in text for text in texts):
            break
    return digits


def _texts(prompt: Prompt) -> Iterable[str]:
    turns = [text for turn in prompt.turns for text in turn]
    return (prompt.text, prompt.system or "", prompt.prefill, *turns)


def _as_asked(plan: Plan, requests: Sequence[Request]) -> list[Request]:
    """Requests of the problem as the engine gives them to the model: each text in one piece, and
    each chat by the way that the chat template takes it.
    """
    batch = asked_of(Batch("", "scorer", requests), plan.thinkers)
    source = _template_source(plan)
    ways: dict[tuple[bool, int], Way] = {}

    def as_given(prompt: Prompt) -> Prompt:
        if not prompt.chat:
            text = plain_text(replace(prompt, prefill=""))
            return Prompt(text, prefill=prompt.prefill, chat=False)
        if source == "":
            return Prompt(plain_text(prompt), chat=False)
        kind = (prompt.system is not None, 2 * len(prompt.turns) + 1)
        if source is None or kind == (False, 1):
            return prompt
        if kind not in ways:
            ways[kind] = way_through(source, _template_args(plan), *kind)
        return _by_way(prompt, ways[kind])

    return [replace(request, prompt=as_given(request.prompt)) for request in batch.requests]


def _by_way(prompt: Prompt, way: Way) -> Prompt:
    """A chat as a template takes it. Content that it wants as a list stays a text: servers make a
    list of it themselves.
    """
    contents = [text for turn in prompt.turns for text in turn] + [prompt.text]
    said = replace(way, lists=False).messages(prompt.system, contents)
    system = said.pop(0)["content"] if said[0]["role"] == "system" else None
    *before, last = [one["content"] for one in said]
    turns = tuple(zip(before[::2], before[1::2], strict=True))
    return Prompt(last, system, prompt.prefill, True, turns)


def _template_source(plan: Plan) -> str | None:
    """The chat template of the scorer's model, "" where it has none, None where nobody knows: a
    scripted engine has no model, and a GGUF file its template in itself.
    """
    hosting = plan.models["scorer"]
    folder = Path(hosting.settings.model)
    if not reads_folder(hosting.engine) or not folder.is_dir() or any(folder.glob("*.gguf")):
        return None
    return hosting.settings.chat_template or asked_template(folder)


def _continues(plan: Plan, prompt: Prompt) -> bool:
    """Whether servers that continue a chat's last message give the prompt that the run gave."""
    source = _template_source(plan) if prompt.chat and prompt.prefill else None
    return source is None or continues(source, _template_args(plan), prompt.prefill)


def _label_bias(
    plan: Plan, problem: PromptProblem, solution: Solution, prompt: Prompt
) -> dict[str, Any] | None:
    """The bias of each label, with the tokens that they begin with where these differ."""
    if problem.labelling is None:
        return None
    hosting = plan.models["scorer"]
    known = None
    if reads_folder(hosting.engine):
        file = Path(hosting.settings.model) / "tokenizer.json"
        has_template = bool(_template_source(plan))
        known = first_tokens(file, prompt, problem.labelling.labels, has_template)
    tokens = {} if known is None else {"first_tokens": known[0], "one_token": known[1]}
    return {**problem.labelling.bias(solution).to_json(), **tokens, "written": WRITTEN}


def _vote(problem: PromptProblem, result: RunResult) -> tuple[Voter, ...]:
    """The prompts that were asked together, each with its bias."""
    vote = result.search.vote if result.search else None
    if vote is None or problem.labelling is None:
        return ()
    return tuple(
        Voter(one.text, _shown(problem, one), problem.labelling.bias(one).to_json())
        for one in vote.prompts
    )


def _second_round(plan: Plan, first: Request, markers: _Markers) -> SecondRound:
    """What is asked after the first answer, for whose text a marker stands."""
    answered = Completion(markers.answer, "stop", 0, 0, 0)
    again = second_round.asked_again(first.prompt, answered)
    (request,) = _as_asked(plan, [Request(again, second_round.SAMPLING)])
    return SecondRound(request.prompt, markers.answer, request.sampling.max_tokens)


def _shown(problem: PromptProblem, solution: Solution) -> tuple[Mapping[str, str], ...]:
    worked = problem.demonstrations.worked(solution.demonstrations)
    return tuple({"id": row.id, "input": row.input, "answer": answer} for row, answer in worked)


def _template_args(plan: Plan) -> dict[str, Any]:
    return dict(plan.models["scorer"].settings.template_args)


def _model(plan: Plan, card: Card, result: RunResult) -> dict[str, Any]:
    """What is known of the model that was asked; no path of this machine."""
    fingerprint = dict((result.engine or {}).get("scorer", {}))
    settings, adapter = plan.config.scorer, plan.models["scorer"].adapter
    return {
        "name": card.name or Path(settings.model).name or fingerprint.get("engine", ""),
        "repository": card.repository,
        "license": card.license,
        "digest": fingerprint.pop("model", ""),
        "adapter": Path(adapter).name,
        "context": settings.max_model_len,
        "chat_template": Path(settings.chat_template).name,
        "engine": fingerprint,
    }


def _rule(plan: Plan, problem: PromptProblem) -> dict[str, Any]:
    """How answers are read and scored."""
    task, labels = plan.config.task, list(plan.config.task.labels or problem.labels)
    named = {"pattern": task.pattern, "kind": task.kind, "marks": list(task.marks)}
    further: dict[str, Any] = {"absolute": task.absolute, "relative": task.relative}
    if plan.rule == "judge":
        further["rubric"] = plan.config.judge.rubric
        further["scale"] = plan.config.judge.scale
    given = {name: value for name, value in (named | further).items() if value not in (None, [])}
    return {"name": plan.rule, "labels": labels, "metric": task.metric, **given}


def _data(plan: Plan, problem: PromptProblem, task: Task, result: RunResult) -> dict[str, Any]:
    """What the prompt was found with; files by their names alone."""
    settings = plan.config.task
    paths = (settings.data, settings.train, settings.validation, settings.test)
    said = result.search.description if result.search else None
    return {
        "task": task.name,
        "description": settings.description or said or "",
        "files": [Path(path).name for path in paths if path],
        "input": task.input_column,
        "target": task.target_column,
        "rows": {split: len(problem.rows[split]) for split in problem.splits},
        "digest": plan.identity.get("data", ""),
    }


def _scores(result: RunResult) -> dict[str, Any]:
    """Baseline and best by split, without counts by class and calibration, which result.json
    has.
    """
    scores: dict[str, Any] = {}
    record = result.to_json()
    for split in SPLITS:
        sides = record.get(split) or {}
        scores[split] = {name: _without_classes(value) for name, value in sides.items()}
    return {split: sides for split, sides in scores.items() if sides}


def _without_classes(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: figure for name, figure in value.items() if name not in LEFT_OUT}


def _run(result: RunResult) -> dict[str, Any]:
    alpha = result.search.alpha if result.search else None
    return {
        "name": result.name,
        "digest": result.digest,
        "verdict": result.verdict,
        "step": result.best.step,
        "alpha": alpha,
        "baseline": result.baseline,
    }


def _checked(
    whole: WholePrompt, plan: Plan, problem: PromptProblem, solution: Solution
) -> WholePrompt:
    """The prompt with how many rows' requests it gives, of those compared."""
    shown = {row["input"] for row in whole.demonstrations}
    rows = equal = 0
    for split in problem.splits:
        # A row among the worked examples is asked without its own answer.
        own = [row for row in problem.rows[split] if row.input not in shown][:COMPARED]
        asked = _as_asked(plan, problem.requests(solution, split, own)) if own else []
        made = [whole.filled(row.input, row.columns) for row in own]
        rows += len(own)
        equal += sum(one == request.prompt for one, request in zip(made, asked, strict=True))
    return replace(whole, checked={"rows": rows, "equal": equal})
