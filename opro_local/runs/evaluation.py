"""Given instructions on one split: every one scored in a single batch, compared in pairs, row by
row if asked.

For: `evaluate` and the headroom check; a run without a search, with the same store, resume and
engines. Not for:
choosing an instruction: whoever picks the best of this table picks luck as well, and the table says
how much.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from opro_local import stats
from opro_local.config.search import SeedSettings
from opro_local.config.settings import Config
from opro_local.errors import DataError, StoreError, UsageError
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.runs.driver import request_digest
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_plan, prompt_problem
from opro_local.runs.result import difference_of, figures_of, shown_of
from opro_local.runs.run import write_whole
from opro_local.runs.store import read_store
from opro_local.search.loop import SearchResult
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Completion, Split


def varied(plan: Plan) -> list[str]:
    """The config's own seeds, then a handful of instructions that differ in manner, and none at
    all. Raises UsageError for a problem without rows.
    """
    problem = prompt_problem(plan)
    own = [solution.text for solution in problem.seeds()]
    return list(dict.fromkeys([*own, *problem.generic(), ""]))


def evaluation(config: Config) -> Plan:
    """An evaluation of the config's seeds on `evaluation.split`, in the place of a search.

    Raises:
        UsageError, DataError, ModelError: what is wrong; a problem without rows, or a split that
        the task has not.
    """
    if config.problem.kind != "prompt":
        raise UsageError(
            f"a problem of kind {config.problem.kind} has no rows to evaluate on", "use run"
        )
    plan = prompt_plan(config, training=False)
    problem, split = prompt_problem(plan), config.evaluation.split
    if split not in problem.splits:
        raise UsageError(f"the task has no split {split!r}", f"it has: {', '.join(problem.splits)}")
    solutions = list(dict.fromkeys(problem.seeds()))

    def search(trajectory: Trajectory) -> Generator[Batch, BatchResult, SearchResult]:
        state = SearchState(problem, config, trajectory)
        yield from state.score(Candidates(solutions, 0), split)
        best = max(_entries(trajectory), key=lambda entry: entry.score.value).solution
        return SearchResult("evaluated", solutions[0], best)

    return replace(
        plan,
        search=search,
        models={role: hosting for role, hosting in plan.models.items() if role != "optimizer"},
        identity={**plan.identity, "evaluation": split},
        summarize=summarize,
        conclude=lambda found, trajectory: {**found, "split": split, "summary": words(found)},
        files=lambda found: {},
    )


def _entries(trajectory: Trajectory) -> list[Entry]:
    return [*trajectory.entries, *trajectory.held_out]


def summarize(trajectory: Trajectory, outcome: SearchResult, alpha: float) -> dict[str, Any]:
    """The result of an evaluation: JSON-able, its shape documented in docs/evaluate.md."""
    entries = _entries(trajectory)
    values = np.stack([entry.score.values for entry in entries])
    return {
        "kind": "evaluation",
        "reason": outcome.reason,
        "digest": trajectory.digest(),
        "steps": 0,
        "solutions": len(entries),
        "rejections": {},
        "baseline": {"text": outcome.baseline.text},
        "best": {"text": outcome.best.text, "key": outcome.best.key},
        "prompts": [
            {
                "prompt": number,
                "text": entry.solution.text,
                **shown_of(entry.solution),
                **figures_of(entry.score, alpha),
                "tokens": entry.score.tokens,
            }
            for number, entry in enumerate(entries, 1)
        ],
        "pairs": pairs(values, alpha),
        "optimism": stats.optimism_of_best(values),
        "equal_p_value": _equal(values),
        "smallest_difference": stats.smallest_difference(values.shape[1], alpha=alpha),
    }


def pairs(values: np.ndarray, alpha: float) -> list[dict[str, Any]]:
    """Every pair of prompts compared on the same rows; `p_holm` is corrected for their number.

    Args:
        values: shape (prompts, n).
    """
    numbers = list(itertools.combinations(range(len(values)), 2))
    differences = [stats.paired_difference(values[b], values[a], alpha) for a, b in numbers]
    corrected = (
        stats.holm(np.array([difference.p_value for difference in differences])) if numbers else ()
    )
    return [
        {"a": a + 1, "b": b + 1, **difference_of(difference), "p_holm": float(p)}
        for (a, b), difference, p in zip(numbers, differences, corrected, strict=True)
    ]


def _equal(values: np.ndarray) -> float | None:
    return stats.cochran_q(values) if len(values) > 1 and stats.is_binary(values) else None


def rows(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    """Every answer of a finished evaluation with its row, what was read in it and what it earned.

    The evaluation is replayed from its store; no engine is started.

    Args:
        plan: what was run, made by `evaluation`.
        folder: where.

    Raises:
        StoreError: the evaluation is not finished.
    """
    # Made anew: the problem that was run has seen the model's answers, and its prompts may show
    # them; those that were asked did not yet.
    plan = evaluation(plan.config)
    trajectory = Trajectory()
    completions = _replayed(plan.search(trajectory), folder)
    problem, split = prompt_problem(plan), plan.config.evaluation.split
    # Where the task asks for the answer in a second round, that round has it.
    answers = completions.get(f"0/{split}/second") or completions[f"0/{split}"]
    return list(_joined(problem, split, _entries(trajectory), answers))


def _replayed(
    search: Generator[Batch, BatchResult, SearchResult], folder: Path
) -> dict[str, Sequence[Completion]]:
    """Drive a search from its store alone; returns the completions of each batch by its label."""
    completions: dict[str, Sequence[Completion]] = {}
    store = read_store(folder)
    try:
        batch = next(search)
        while True:
            result = store.reply(batch, request_digest(batch))
            if result is None:
                raise StoreError(
                    f"{folder}: the evaluation is not finished",
                    "give the command again to resume it",
                )
            completions[batch.label] = result.completions
            batch = search.send(result)
    except StopIteration:
        return completions
    finally:
        store.close()


def _joined(
    problem: PromptProblem, split: Split, entries: Sequence[Entry], answers: Sequence[Completion]
) -> Iterator[dict[str, Any]]:
    """Every answer with its row and its score; the answers are in order of entries, then rows."""
    examples = problem.rows[split]
    for number, entry in enumerate(entries):
        own = answers[number * len(examples) : (number + 1) * len(examples)]
        for example, answer, value in zip(examples, own, entry.score.values, strict=True):
            yield {
                "prompt": number + 1,
                "instruction": entry.solution.text,
                "id": example.id,
                "where": example.where,
                "input": example.input,
                "target": example.target,
                "answer": answer.text,
                "parsed": problem.rule.parsed(answer.text, example),
                "correct": float(value),
                "finish_reason": answer.finish_reason,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            }


def flipped(found: Sequence[Mapping[str, Any]], a: int, b: int) -> list[dict[str, Any]]:
    """The rows on which prompts a and b (numbers from 1) earned different scores, those that b
    gained first.

    Raises:
        UsageError: there is no prompt of that number.
    """
    by_prompt = {
        number: {row["id"]: row for row in found if row["prompt"] == number} for number in (a, b)
    }
    for number in (a, b):
        if not by_prompt[number]:
            count = max(row["prompt"] for row in found)
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


def check_kind(path: Path) -> None:
    """Raise UsageError if `write_rows` can't write a file of this ending."""
    if path.suffix not in (".jsonl", ".parquet"):
        raise UsageError(
            f"--output {path}: of unknown kind {path.suffix!r}", "accepted: .jsonl, .parquet"
        )


def write_rows(path: Path, found: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines or Parquet, by the file's ending; whole or not at all. Raises
    StoreError.
    """
    if path.suffix == ".jsonl":
        write_whole(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))
        return
    import pyarrow
    from pyarrow import parquet

    part = path.with_suffix(".parquet.part")
    try:
        parquet.write_table(pyarrow.Table.from_pylist(list(found)), part)
        part.replace(path)
    except OSError as error:
        raise StoreError(f"{path}: can't be written ({error.strerror})") from None


def words(found: Mapping[str, Any]) -> list[str]:
    """What the table says and what it does not, one line each."""
    n, least = found["prompts"][0]["n"], round(100 * found["smallest_difference"])
    lines = [
        f"With {n} rows, differences under about {least} points are usually not told from noise."
    ]
    if len(found["prompts"]) > 1:
        alpha, pairs = found["alpha"], found["pairs"]
        sure = sum(pair["p_holm"] < alpha for pair in pairs)
        lines.append(
            f"{sure} of {len(pairs)} pairs differ reliably (paired tests, Holm's correction, "
            f"p < {alpha:g})."
        )
        lines.append(
            f"Whoever picks the best of these {len(found['prompts'])} should expect it to do "
            f"{100 * found['optimism']:.1f} points worse on other rows."
        )
    return [*lines, *_judge_words(found["prompts"])]


def _judge_words(prompts: Sequence[Mapping[str, Any]]) -> list[str]:
    agreement = [prompt["agreement"] for prompt in prompts if "agreement" in prompt]
    if not agreement:
        return []
    mean = sum(agreement) / len(agreement)
    doubt = "" if mean >= 0.9 else ": too little to trust the judge where the rule can be used"
    return [
        f"The judge agrees with the rule that the targets suggest on {100 * mean:.0f} % of "
        f"the answers{doubt}."
    ]


def headroom(found: Mapping[str, Any]) -> dict[str, Any]:
    """Whether instructions make a difference here, from an evaluation of varied ones on train.

    Returns:
        verdict ("yes", "no sign of it" or "nothing left to gain"), spread (best minus worst), gain
        (best minus the first seed, less the optimism of picking the best), p_value (of "all do
        equally well"), unread (the share of answers from which nothing could be extracted),
        truncated (the share cut short), and words.
    """
    prompts, p_value = found["prompts"], found["equal_p_value"]
    scores, n = [prompt["accuracy"] for prompt in prompts], prompts[0]["n"]
    if scores[0] >= 1 - 1 / n:
        verdict = "nothing left to gain"
    elif p_value is not None and p_value < 0.05:
        verdict = "yes"
    else:
        verdict = "no sign of it"
    figures = {
        "verdict": verdict,
        "spread": max(scores) - min(scores),
        "gain": max(0.0, max(scores) - scores[0] - found["optimism"]),
        "p_value": p_value,
        "unread": sum(prompt["extraction_failures"] for prompt in prompts) / (n * len(prompts)),
        "truncated": sum(prompt["truncated"] for prompt in prompts) / (n * len(prompts)),
    }
    return {**figures, "words": [*_headroom_words(figures, scores, n), *_unread_words(figures)]}


def _headroom_words(figures: Mapping[str, Any], scores: Sequence[float], n: int) -> list[str]:
    p_value = figures["p_value"]
    test = "" if p_value is None else f" (Cochran's Q, p = {p_value:.2g})"
    first = (
        f"{len(scores)} varied instructions score from {100 * min(scores):.1f} to "
        f"{100 * max(scores):.1f} % on {n} "
        f"train rows; the first seed {100 * scores[0]:.1f} %."
    )
    if figures["verdict"] == "nothing left to gain":
        return [
            first,
            "The first seed answers all but at most one row: a search can't show a gain on "
            "these rows.",
        ]
    if figures["verdict"] == "yes":
        gain = (
            f"the best is {100 * figures['gain']:.1f} points above the first seed after "
            f"correction for luck"
        )
        return [first, f"Headroom: yes. The wording matters beyond noise{test}; {gain}."]
    return [
        first,
        f"Headroom: no sign of it. The differences are what {n} rows show by chance{test}: "
        f"use more rows, another "
        "layout (task.position) or another model before a long search.",
    ]


def _unread_words(figures: Mapping[str, Any]) -> list[str]:
    if figures["unread"] < 0.2:
        return []
    cut = (
        f"; {100 * figures['truncated']:.0f} % were cut at the token limit"
        if figures["truncated"] > 0.2
        else ""
    )
    return [
        f"{100 * figures['unread']:.0f} % of the answers could not be read{cut}: name the "
        f"expected answers in the "
        "seed, check task.rule, or raise scorer.max_tokens."
    ]


def read_prompts(path: Path) -> list[str | SeedSettings]:
    """Instructions from a file: one a line, or, where it ends in .json, a list of texts or a run's
    best.json.

    Returns:
        entries of `search.seeds`.

    Raises:
        DataError: the file can't be read or holds none.
    """
    hint = "one instruction a line, or a .json file with a list of texts or a run's best.json"
    try:
        text = path.read_text("utf-8-sig")
        found = (
            json.loads(text)
            if path.suffix == ".json"
            else [line for line in text.splitlines() if line.strip()]
        )
        found = [found] if isinstance(found, dict) else found
        seeds = [item if isinstance(item, str) else _seed(item) for item in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = (
            "an entry is neither a text nor a best.json"
            if isinstance(error, ValidationError)
            else error
        )
        raise DataError(f"{path}: can't be read ({what})", hint) from None
    if not seeds:
        raise DataError(f"{path}: no instructions", hint)
    return seeds


def _seed(best: Any) -> SeedSettings:
    """What of a run's best.json a seed needs."""
    rows = best.get("demonstrations", ()) if isinstance(best, dict) else ()
    return SeedSettings(
        text=best["text"],
        demonstrations=tuple(row["id"] for row in rows),
        answers=tuple(row["answer"] for row in rows),
    )
