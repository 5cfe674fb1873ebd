"""Every answer of an evaluation beside its row, for looking closely.

For: reading the answers back from a run's store, which of them differ between two instructions, and
writing them to a file. Not for: figures over all rows (evaluation.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config
from opro_local.errors import StoreError, UsageError
from opro_local.files import open_whole, place_of_output, write_whole
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.runs.driver import request_digest
from opro_local.runs.evaluation import all_entries
from opro_local.runs.output_place import files_named
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_problem
from opro_local.runs.store import read_store
from opro_local.runs.thinking import asked_of, said_in
from opro_local.scoring.function import Function
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Completion, Split

# A reply as the model wrote it, and what it says (see thinking.py).
Reply = tuple[Completion, Completion]


def read_rows(config: Config, folder: Path, metric: Function | None = None) -> list[dict[str, Any]]:
    """Every answer of a finished evaluation with its row, what was read in it and what it earned.

    The evaluation is replayed from its store; no engine is started.

    Args:
        config: of what was run, as its plan has it.
        folder: where.
        metric: the calling program's function that scored it, see `evaluation_plan`.

    Raises:
        StoreError: the evaluation is not finished.
    """
    # Made anew: the problem that was run has seen the model's answers, and its prompts may show
    # them; those that were asked did not yet.
    plan = evaluation_plan(config, metric)
    trajectory = Trajectory()
    replies = _replayed(plan, trajectory, folder)
    problem, split = prompt_problem(plan), plan.config.evaluation.split
    # Where the task asks for the answer in a second round, that round has it.
    answers = replies.get(f"0/{split}/second") or replies[f"0/{split}"]
    return list(_joined(problem, split, all_entries(trajectory), answers))


def _replayed(plan: Plan, trajectory: Trajectory, folder: Path) -> dict[str, list[Reply]]:
    """Drive a plan's search from its store alone; returns the replies of each batch by its label:
    each as it was written, and what it says.
    """
    replies: dict[str, list[Reply]] = {}
    search, store = plan.search(trajectory), read_store(folder)
    try:
        batch = next(search)
        while True:
            asked = asked_of(batch, plan.thinkers)
            result = store.reply(asked, request_digest(asked))
            if result is None:
                raise StoreError(
                    f"{folder}: the evaluation is not finished",
                    "give the command again to resume it",
                )
            said = said_in(batch, result, plan.thinkers)
            replies[batch.label] = list(zip(result.completions, said, strict=True))
            batch = search.send(replace(result, completions=said))
    except StopIteration:
        return replies
    finally:
        store.close()


def _joined(
    problem: PromptProblem, split: Split, entries: Sequence[Entry], answers: Sequence[Reply]
) -> Iterator[dict[str, Any]]:
    """Every answer with its row and its score; the answers are in order of entries, then rows."""
    examples = problem.rows[split]
    for number, entry in enumerate(entries):
        own = answers[number * len(examples) : (number + 1) * len(examples)]
        values, read = entry.score.values, entry.score.read
        parsed = read.parsed if read else None
        for place, (example, (answer, said), value) in enumerate(
            zip(examples, own, values, strict=True)
        ):
            yield {
                "prompt": number + 1,
                "instruction": entry.solution.text,
                "id": example.id,
                "where": example.where,
                "input": example.input,
                "target": example.target,
                "answer": answer.text,
                "parsed": parsed[place] if parsed else problem.rule.parsed(said.text, example),
                "correct": float(value),
                "finish_reason": said.finish_reason,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            }


def find_flipped(rows: Sequence[Mapping[str, Any]], a: int, b: int) -> list[dict[str, Any]]:
    """The rows on which prompts a and b (numbers from 1) earned different scores, those that b
    gained first.

    Raises:
        UsageError: there is no prompt of that number.
    """
    by_prompt = {
        number: {row["id"]: row for row in rows if row["prompt"] == number} for number in (a, b)
    }
    for number in (a, b):
        if not by_prompt[number]:
            count = max(row["prompt"] for row in rows)
            raise UsageError(
                f"--compare: there is no prompt {number}", f"the prompts are numbered 1 to {count}"
            )
    changed = [
        {
            **{key: row[key] for key in ("id", "where", "input", "target")},
            "a": {key: row[key] for key in ("answer", "parsed", "correct")},
            "b": {key: other[key] for key in ("answer", "parsed", "correct")},
        }
        for row, other in zip(by_prompt[a].values(), by_prompt[b].values(), strict=True)
        if row["correct"] != other["correct"]
    ]
    return sorted(changed, key=lambda row: row["a"]["correct"] - row["b"]["correct"])


def check_output(path: Path, config: Config, given: Sequence[Path | None]) -> None:
    """Refuse an output before anything is asked.

    Args:
        path: the output.
        config: whose files it may not replace.
        given: the command's own files; None for what was not given.

    Raises:
        UsageError: `write_rows` can't write a file of this ending, or it is a file of the command.
        StoreError: it is a link that leads elsewhere.
    """
    if path.suffix not in (".jsonl", ".parquet"):
        raise UsageError(
            f"--output {path}: of unknown kind {path.suffix!r}", "accepted: .jsonl, .parquet"
        )
    inputs = files_named(config.model_dump(mode="json"))
    place_of_output(path, [*inputs, *(file for file in given if file)])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines or Parquet, by the file's ending; whole or not at all. Raises
    StoreError.
    """
    place = place_of_output(path)
    if path.suffix == ".jsonl":
        write_whole(place, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return
    import pyarrow
    from pyarrow import parquet

    with open_whole(place) as stream:
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), stream)
