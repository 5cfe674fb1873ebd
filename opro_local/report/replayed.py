"""What only a run's completions tell: how solutions were made, what the optimizer was shown, and
which rows flipped.

For: going through a run again without an engine, as `verify --deep` does. Not for: what the store
keeps for readers (gathering.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opro_local.config import reading
from opro_local.errors import DamageError, OproError, UsageError
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.report.lineage import Ancestor, lineage
from opro_local.runs.driver import request_digest
from opro_local.runs.named_code import named_code
from opro_local.runs.plans import Plan, make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.store import Store
from opro_local.runs.thinking import heard
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Completion, Example, Prompt, Split

METAPROMPTS = 1_000_000  # characters of all meta-prompts on a page together
MOST_FLIPPED = 100  # rows
HELD_OUT: tuple[Split, ...] = ("test", "validation", "train")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a solution's answer to a row was, what was read in it, and what it earned."""

    text: str
    read: str | None
    value: float


@dataclass(frozen=True, slots=True)
class Flip:
    """A row on which the first solution and the chosen one earned different scores."""

    id: str
    where: str
    input: str
    target: str
    before: Answer
    after: Answer

    @property
    def is_gained(self) -> bool:
        """Whether the chosen one earned more."""
        return self.after.value > self.before.value


@dataclass(frozen=True, slots=True)
class MetaPrompt:
    """What the optimizer was shown in a step, and how many replies were drawn to it."""

    label: str
    text: str
    replies: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the completions tell.

    Attributes:
        operators: how solutions were made, by their keys; empty where there is one way only.
        lineage: the chosen solution and what it was made from, the oldest first.
        shown_for_best: the meta-prompts that the chosen solution came from, where the optimizer
            is shown many solutions at once and there is no line.
        metaprompts: in order; those that would make the page too large are left out.
        metaprompts_left_out: how many.
        split: the rows of `flips`; "" where no answers are known.
        flips: rows that flipped, gained ones first.
        flips_left_out: how many are not here.
    """

    operators: Mapping[str, str]
    lineage: tuple[Ancestor, ...]
    shown_for_best: tuple[MetaPrompt, ...]
    metaprompts: tuple[MetaPrompt, ...]
    metaprompts_left_out: int
    split: str
    flips: tuple[Flip, ...]
    flips_left_out: int


def replayed(store: Store, kind: str, trust_code: bool) -> Replayed | str:
    """What a run's completions tell, or in words why they can't be gone through.

    Args:
        store: open.
        kind: of the problem, or "evaluation".
        trust_code: whether code that the run's config names may run.

    Raises:
        DamageError: the result that is kept is not what the completions derive.
    """
    try:
        config = reading.stored(store.get("config") or {})
        named = named_code(config)
        if named and not trust_code:
            return f"{named[0]} would have to be run; add --trust-code if you know what it does"
        plan = evaluation_plan(config) if kind == "evaluation" else make_plan(config)
        identity = store.get("identity") or {}
        changed = [name for name, digest in plan.identity.items() if identity.get(name) != digest]
        if changed:
            return f"{' and '.join(changed)} changed since the run"
        seen = _Seen(plan, store)
    except (UsageError, OSError) as error:
        return str(error)
    except DamageError:
        raise
    except OproError as error:  # its data or model is not here
        return error.message
    record = store.get("result")
    kept = record.get("digest") if store.get("state") == "finished" and record else None
    if kept is not None and kept != seen.trajectory.digest():
        raise DamageError(
            f"{store.folder}: the digest kept there is not what its completions derive",
            f"see opro-local verify {store.folder} --deep",
        )
    best = (record or {}).get("best", {}).get("key", "")
    return _told(plan, seen, best)


class _Seen:
    """A run gone through again, as far as its completions go.

    Attributes:
        trajectory: what was scored.
        metaprompts: what the optimizer was shown.
        answers: the scorer's last completions on each split but those of the steps.
    """

    def __init__(self, plan: Plan, store: Store) -> None:
        self.trajectory = Trajectory()
        self.metaprompts: list[MetaPrompt] = []
        self.answers: dict[str, Sequence[Completion]] = {}
        search = heard(plan.search(self.trajectory), plan.thinkers)
        try:
            batch = next(search)
            while (result := store.reply(batch, request_digest(batch))) is not None:
                self._note(batch, result)
                batch = search.send(result)
        except StopIteration:
            return
        finally:
            search.close()

    def _note(self, batch: Batch, result: BatchResult) -> None:
        split = batch.label.split("/")[1:2]
        if batch.role == "optimizer":
            shown: dict[str, int] = {}
            for request in batch.requests:
                text = _text(request.prompt)
                shown[text] = shown.get(text, 0) + 1
            self.metaprompts += [MetaPrompt(batch.label, *one) for one in shown.items()]
        elif batch.role == "scorer" and split and split[0] in HELD_OUT:
            self.answers[split[0]] = result.completions


def _text(prompt: Prompt) -> str:
    """A prompt as one text."""
    said = [f"[system]\n{prompt.system}\n"] if prompt.system else []
    for asked, answered in prompt.turns:
        said += [f"[user]\n{asked}\n", f"[assistant]\n{answered}\n"]
    said += [f"[user]\n{prompt.text}"] if said else [prompt.text]
    if prompt.prefill:
        said.append(f"\n[the reply begins]\n{prompt.prefill}")
    return "\n".join(said)


def _told(plan: Plan, seen: _Seen, best: str) -> Replayed:
    trajectory = seen.trajectory
    made = {one.key: one.operator for one in trajectory.proposals if one.key}
    kept = _within(seen.metaprompts)
    split, flips = _flips(plan, seen, best)
    line = lineage(trajectory, best)
    return Replayed(
        operators=made,
        lineage=line,
        shown_for_best=() if line else _shown_for(trajectory, seen.metaprompts, best),
        metaprompts=tuple(kept),
        metaprompts_left_out=len(seen.metaprompts) - len(kept),
        split=split,
        flips=tuple(flips[:MOST_FLIPPED]),
        flips_left_out=max(0, len(flips) - MOST_FLIPPED),
    )


def _shown_for(
    trajectory: Trajectory, metaprompts: Sequence[MetaPrompt], key: str
) -> tuple[MetaPrompt, ...]:
    """The meta-prompts of the step in which a solution was proposed; none for one of the start."""
    steps = [entry.step for entry in trajectory.entries if entry.solution.key == key]
    if not steps or steps[0] == 0:
        return ()
    return tuple(one for one in metaprompts if one.label.startswith(f"{steps[0]}/"))


def _within(metaprompts: Sequence[MetaPrompt]) -> list[MetaPrompt]:
    """As many as a page holds, evenly over the run."""
    every = 1
    while sum(len(one.text) for one in metaprompts[::every]) > METAPROMPTS:
        every += 1
    return list(metaprompts[::every])


def _flips(plan: Plan, seen: _Seen, best: str) -> tuple[str, list[Flip]]:
    """The split whose answers are known of both solutions, and the rows that flipped there."""
    problem, trajectory = plan.problem, seen.trajectory
    if not isinstance(problem, PromptProblem) or not trajectory.entries + trajectory.held_out:
        return "", []
    first = (trajectory.entries or trajectory.held_out)[0].solution.key
    for split in HELD_OUT:
        entries = [one for one in trajectory.held_out if one.split == split]
        if split == "train" and not trajectory.held_out:
            entries = trajectory.entries
        keys = [entry.solution.key for entry in entries]
        answers, rows = seen.answers.get(split, ()), problem.rows.get(split, ())
        # Where some were scored elsewhere, nobody knows whose answers these are.
        if first in keys and best in keys and len(answers) == len(entries) * len(rows):
            pair = (keys.index(first), keys.index(best))
            return split, _flipped(problem, split, entries, answers, pair)
    return "", []


def _place(row: Example) -> str:
    """Where a row stands, without the folders of this machine."""
    return row.where.rpartition("/")[2]


def _flipped(
    problem: PromptProblem,
    split: Split,
    entries: Sequence[Entry],
    answers: Sequence[Completion],
    pair: tuple[int, int],
) -> list[Flip]:
    rows = problem.rows[split]
    flips = []
    for place, row in enumerate(rows):
        sides = []
        for number in pair:
            text = answers[number * len(rows) + place].text
            read = entries[number].score.read
            parsed = read.parsed[place] if read and read.parsed else problem.rule.parsed(text, row)
            sides.append(Answer(text, parsed, float(entries[number].score.values[place])))
        before, after = sides
        if before.value != after.value:
            flips.append(Flip(row.id, _place(row), row.input, row.target, before, after))
    return sorted(flips, key=lambda flip: not flip.is_gained)
