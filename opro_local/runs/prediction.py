"""A run's prompt on new rows: one engine call, and what is read in the answers.

For: `predict`. Not for: scoring (evaluation.py): new rows have no targets. Nothing is stored.

The plan is made again of the run's config and data, so that rows are asked and answers are read as
in the run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.engines.lora import AdapterEngine
from opro_local.engines.start import start_engine
from opro_local.errors import DataError, UsageError
from opro_local.exports.whole_prompt import Voter, WholePrompt
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.protocols import Engine, Progress
from opro_local.runs.finished_prompt import finished_prompt
from opro_local.runs.hosting import asked_of as settings_asked
from opro_local.runs.hosting import model_identity
from opro_local.runs.named_code import named_code, named_with_models
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_plan, prompt_problem
from opro_local.runs.store import read_store
from opro_local.runs.thinking import asked_of, said_in
from opro_local.scoring.label_bias import LabelBias
from opro_local.scoring.reading.options import options
from opro_local.scoring.reading.thoughts import spoken
from opro_local.tasks import table
from opro_local.tasks.rows import Table
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Example,
    FinishReason,
    Request,
    Solution,
)

# Rules that compare a whole answer: it is the prediction as it stands.
WHOLE_ANSWERS = (
    *("exact", "exact_strict", "contains", "rouge", "token_f1", "bleu", "chrf"),
    *("python", "judge"),
)
# Rules whose classes the targets name.
NAMED_CLASSES = ("labels", "boolean")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was predicted for one row.

    Attributes:
        where: the row: file:line, or its number.
        value: what was read in the answer; None where nothing could be read.
        answer: the model's, without its thoughts; "" where it was not asked.
        finish_reason: "length" for one that was cut, "too_long" for a row that does not fit the
            model's context and was not asked.
    """

    where: str
    value: str | None
    answer: str
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Predictions(Sequence[Prediction]):
    """What was predicted for rows, in their order.

    Attributes:
        rows: one each.
        notices: what to know, such as another engine than the run's.
        prompt_tokens, completion_tokens: spent on all.
    """

    rows: tuple[Prediction, ...]
    notices: tuple[str, ...]
    prompt_tokens: int
    completion_tokens: int

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def values(self) -> list[str | None]:
        """What was predicted, None for unread."""
        return [row.value for row in self.rows]

    @property
    def unread(self) -> list[str]:
        """Where nothing could be read, too long rows left out."""
        return [row.where for row in self._unread() if row.finish_reason != "too_long"]

    @property
    def too_long(self) -> list[str]:
        """The rows that do not fit the model's context."""
        return [row.where for row in self.rows if row.finish_reason == "too_long"]

    @property
    def cut(self) -> list[str]:
        """The rows whose answer was cut at the token limit."""
        return [row.where for row in self.rows if row.finish_reason == "length"]

    def _unread(self) -> list[Prediction]:
        return [row for row in self.rows if row.value is None]

    def to_json(self) -> dict[str, Any]:
        """The counts, and the rows that want looking at; see docs/exports.md."""
        return {
            "rows": len(self.rows),
            "predicted": len(self.rows) - len(self._unread()),
            "unread": self.unread,
            "cut": self.cut,
            "too_long": self.too_long,
            "tokens": {"prompt": self.prompt_tokens, "completion": self.completion_tokens},
            "notices": list(self.notices),
        }


def predict_rows(
    folder: Path,
    rows: Table,
    *,
    changes: Sequence[str] = (),
    trust_code: bool = False,
    vote: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Ask a finished run's prompt about new rows.

    Args:
        folder: the run's.
        rows: with the column that the run asked, and others that its prompt shows.
        changes: settings that a run may change, as "section.key=value".
        trust_code: whether code that the run's config names may run.
        vote: whether the prompts of the run's vote are asked together, in the place of its best.
        progress: called while rows are answered.

    Raises:
        StoreError: there is no run, or it is damaged.
        UsageError: the run has no prompt, was made of other data or another model, or names code
            that is not trusted; a change would make it another run; or it has no vote.
        DataError: a row has nothing to ask, or what the run was made from is not here any more.
        ModelError, EngineError: the model does not start, or fails.
    """
    whole = finished_prompt(folder)
    config, identity, before, began = _kept(folder, changes)
    if not trust_code:
        _require_no_code(folder, config)
    plan = _plan(config, whole)
    _require_same(folder, identity, plan)
    problem = prompt_problem(plan)
    examples = _examples(rows, whole)
    solutions = [_given(problem, one) for one in _prompts(folder, whole, vote)]
    engine, notice = _started(plan, before, began)
    try:
        differing = _differing(engine, before)
        answers = _asked(plan, problem, solutions, examples, engine, progress)
    finally:
        engine.close()
    read = _reader(problem, whole)
    if problem.labelling and vote:
        answers = problem.labelling.voted(solutions, answers)
        texts = [one.text for one in answers]
    else:
        texts = [one.text for one in problem.said(solutions[0], answers)]
    rows_read = zip(examples, answers, texts, strict=True)
    predicted = tuple(_prediction(row, answer, text, read) for row, answer, text in rows_read)
    return Predictions(
        predicted,
        tuple(line for line in (*rows.notices, notice, differing) if line),
        sum(answer.prompt_tokens for answer in answers),
        sum(answer.completion_tokens for answer in answers),
    )


def _prompts(folder: Path, whole: WholePrompt, vote: bool) -> Sequence[WholePrompt | Voter]:
    """The prompts to ask: the run's best, or those of its vote. Raises UsageError."""
    if not vote:
        return (whole,)
    if not whole.vote:
        raise UsageError(
            f"{folder}: its prompts were not asked together, so it has no vote",
            "leave --vote (vote=True) out, or search with evaluation.vote = 3",
        )
    return whole.vote


def _given(problem: PromptProblem, prompt: WholePrompt | Voter) -> Solution:
    """A prompt as a solution of the problem, which is given what only the run's search knew: the
    answers of worked examples at the time, and the bias of labels.
    """
    for shown in prompt.demonstrations:
        problem.demonstrations.give(shown["id"], shown["answer"])
    solution = Solution(prompt.text, tuple(shown["id"] for shown in prompt.demonstrations))
    if problem.labelling and prompt.label_bias:
        problem.labelling.give(solution, LabelBias.from_json(prompt.label_bias))
    return solution


def _kept(
    folder: Path, changes: Sequence[str]
) -> tuple[Config, Mapping[str, str], Mapping[str, Any], str]:
    """A run's config with the changes, its identity, the scorer's engine, and the day that its chat
    templates write; "" for none. Raises UsageError.
    """
    store = read_store(folder)
    try:
        kept, identity = store.get("config") or {}, store.get("identity") or {}
        engine = (store.get("engine") or {}).get("scorer", {})
        began = str(store.get("template_date") or "")
    finally:
        store.close()
    config = reading.stored(kept, changes)
    differing = reading.changes(kept, config.model_dump(mode="json")) if changes else []
    if differing:
        raise UsageError(
            f"{folder}: predicts as it was searched: {'; '.join(differing)}",
            "only settings that a run may change can be given",
        )
    return config, identity, engine, began


def _require_no_code(folder: Path, config: Config) -> None:
    """Refuse a run whose config names code: it may be somebody else's. Raises UsageError."""
    named = named_with_models(config, [config.scorer])
    if named:
        raise UsageError(
            f"{folder}: to predict with it {named[0]} has to be run",
            "add --trust-code (trust_code=True) if you know what it does",
        )


def _plan(config: Config, whole: WholePrompt) -> Plan:
    """The run's plan. Where a function of the calling program scored it, another one stands for
    that function: nothing is scored here, and whole answers are what is predicted.
    """
    if whole.rule["name"] != "python" or named_code(config):
        return make_plan(config)
    plan = prompt_plan(config, metric=_any_answer)
    # All of its identity but what the function is.
    named = {name: plan.identity[name] for name in ("data", "content") if name in plan.identity}
    return replace(plan, identity=named)


def _any_answer(answer: str, target: str, columns: Mapping[str, str]) -> bool:
    """Stands for a function that scored; a plan tries it on the targets alone."""
    return True


def _require_same(folder: Path, identity: Mapping[str, str], plan: Plan) -> None:
    """Refuse other data, rules or weights than the run's. Raises UsageError."""
    now = {**plan.identity, **model_identity({"scorer": plan.models["scorer"]})}
    changed = [name for name, digest in now.items() if identity.get(name) != digest]
    if changed:
        raise UsageError(
            f"{folder}: {' and '.join(changed)} changed since the run",
            "put it back: rows are asked and answers are read by it",
        )


def _examples(rows: Table, whole: WholePrompt) -> list[Example]:
    """The rows as the problem asks them. Raises DataError."""
    examples = table.examples(rows, "predict", whole.column, "", targets=False)
    for column in whole.columns:
        if column not in rows.columns:
            hint = table.column_hint(column, rows.columns)
            raise DataError(f"{rows.where}: no column {column!r}, which the prompt shows", hint)
    return examples


def _started(plan: Plan, before: Mapping[str, Any], began: str) -> tuple[Engine, str]:
    """The scorer's engine, which has the machine to itself, and a notice."""
    hosting = plan.models["scorer"]
    choice = hosting.engine
    if choice == "auto":
        choice = before.get("engine", choice)
    settings = settings_asked({"scorer": hosting})["scorer"]
    if settings.date and began:
        # The day that the run's prompts wrote, and not this one.
        settings = replace(settings, date=began)
    engine, notice = start_engine(settings, choice)
    return (AdapterEngine(engine, hosting.adapter) if hosting.adapter else engine), notice


def _differing(engine: Engine, before: Mapping[str, Any]) -> str:
    """A line on what is another engine than the run's; "" where it is the same."""
    now = engine.fingerprint
    other = [name for name, was in before.items() if now.get(name) != was]
    changed = [f"{name} was {before[name]}, now {now.get(name)}" for name in other]
    if not changed:
        return ""
    return f"another engine than the run's, so answers may differ: {'; '.join(changed)}"


def _asked(
    plan: Plan,
    problem: PromptProblem,
    solutions: Sequence[Solution],
    examples: Sequence[Example],
    engine: Engine,
    progress: Progress | None,
) -> list[Completion]:
    """The answers as they are read, by solution and then by row, without thoughts; one call, or two
    with a second round.
    """
    requests: list[Request] = []
    for solution in solutions:
        requests += problem.requests(solution, "test", examples)
    search = problem.asked(requests, "predict")
    return _driven(search, plan, engine, progress)


def _driven(
    search: Generator[Batch, BatchResult, list[Completion]],
    plan: Plan,
    engine: Engine,
    progress: Progress | None,
) -> list[Completion]:
    batch = next(search)
    while True:
        replies = engine.generate(asked_of(batch, plan.thinkers).requests, progress)
        said = said_in(batch, BatchResult(replies, 0.0), plan.thinkers)
        try:
            batch = search.send(BatchResult(said, 0.0))
        except StopIteration as end:
            answers: list[Completion] = end.value
            return answers


def _reader(problem: PromptProblem, whole: WholePrompt) -> Callable[[str, Example], str | None]:
    """What reads an answer to a row as the run did, classes called as its targets call them."""
    rule, named = problem.rule, whole.rule["name"]
    if named in WHOLE_ANSWERS:
        return lambda text, row: (spoken(text) or "").strip() or None
    names: dict[str, str] = {}
    if rule.name in NAMED_CLASSES:
        rows = [row for split in problem.splits for row in problem.rows[split]]
        for target, row in {row.target.strip(): row for row in reversed(rows)}.items():
            names[rule.parsed(target, row) or target] = target

    def read(text: str, row: Example) -> str | None:
        if rule.name == "choice":
            # The options of a row count where its target is one of them.
            row = replace(row, target=next(iter(options(row.input)), ""))
        said = rule.parsed(text, row)
        return said if said is None else names.get(said, said)

    return read


def _prediction(
    row: Example, answer: Completion, text: str, read: Callable[[str, Example], str | None]
) -> Prediction:
    """What was predicted for a row; `text` is what its answer says."""
    if answer.finish_reason == "too_long":
        return Prediction(row.where, None, "", "too_long")
    value = read(text, row)
    return Prediction(row.where, value, answer.text, answer.finish_reason)
