"""Rivals of bench_search.py on the same model, rows and pairs: promptolution's CAPO, OPRO and
EvoPrompt, and gepa, through their Python APIs with this project's engine as their model.

    python -m venv rivals && rivals/bin/pip install -e '.[vllm]' promptolution==2.3.0 gepa==0.1.4
    rivals/bin/python scripts/bench_rivals_search.py --out FILE [--seeds 2] [--tasks topics,...]
        [--rivals capo,opro,evoprompt-ga,evoprompt-de,gepa] [--pairs 600] [--rows 24]

All start from the user's prompt, the population methods from four generic prompts that name the
labels as well, the ones our search starts from. Train and validation rows are bench_search.py's;
promptolution scores on validation (blocks of 6 for CAPO) and shows train rows as CAPO's examples,
gepa takes both by its own names. A pair is one answer that is scored, at temperature 0 and at most
32 tokens; the pair that would exceed the budget ends the search, and so do 12 steps of promptolution's, since
proposals that it has scored before cost no pairs. Meta-prompts are sampled at
temperature 1, at most 128 tokens. Answers are read as each library reads them: promptolution by
the first label that occurs, or by its tags where a label is two words; gepa by our rule `labels`.
Rows go to FILE one by one, and the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bench_search
import gepa
import numpy as np
import pandas
from bench_arguments import (
    at_least,
    check_room,
    check_same,
    earlier_rows,
    model_folder,
    names_of,
    output,
)
from gepa.adapters.default_adapter.default_adapter import DefaultAdapter
from gepa.core.adapter import EvaluationBatch
from promptolution.llms.base_llm import BaseLLM
from promptolution.optimizers import CAPO, OPRO, EvoPromptDE, EvoPromptGA
from promptolution.predictors.first_occurrence_predictor import FirstOccurrencePredictor
from promptolution.predictors.maker_based_predictor import MarkerBasedPredictor
from promptolution.tasks.classification_tasks import ClassificationTask

from opro_local.engines.kinds import engine_class
from opro_local.engines.settings import EngineSettings
from opro_local.problems.prompt.generic import generic
from opro_local.protocols import Engine
from opro_local.scoring import rules
from opro_local.types import Example, Prompt, Request, Sampling

ANSWER_TOKENS, PROPOSAL_TOKENS, STEPS = 32, 128, 12
RIVALS = ("capo", "opro", "evoprompt-ga", "evoprompt-de", "gepa")
Rows = list[dict[str, str]]


class BudgetSpent(Exception):
    """The next pairs would be more than there are."""


@dataclass
class Account:
    """What one search has cost."""

    pairs: int
    scored: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "completion": 0})
    proposals: int = 0


class Model:
    """This project's engine as scorer and as optimizer of one search."""

    def __init__(self, engine: Engine, account: Account, seed: int) -> None:
        self._engine, self._account, self._seed = engine, account, seed
        self.counting = True

    def score(self, chats: Sequence[tuple[str | None, str]]) -> list[str]:
        """Answers to (system message, user's turn), which are pairs while a search is on."""
        if self.counting and self._account.scored + len(chats) > self._account.pairs:
            raise BudgetSpent
        self._account.scored += len(chats) if self.counting else 0
        return self._ask(chats, [Sampling(ANSWER_TOKENS)] * len(chats))

    def propose(self, chats: Sequence[tuple[str | None, str]]) -> list[str]:
        samplings = []
        for _ in chats:
            self._account.proposals += 1
            seed = 1000 * self._seed + self._account.proposals
            samplings.append(Sampling(PROPOSAL_TOKENS, temperature=1.0, seed=seed))
        return self._ask(chats, samplings)

    def _ask(
        self, chats: Sequence[tuple[str | None, str]], samplings: Sequence[Sampling]
    ) -> list[str]:
        requests = [
            Request(Prompt(user, system=system), sampling)
            for (system, user), sampling in zip(chats, samplings, strict=True)
        ]
        completions = self._engine.generate(requests)
        if self.counting:
            self._account.tokens["prompt"] += sum(one.prompt_tokens for one in completions)
            self._account.tokens["completion"] += sum(one.completion_tokens for one in completions)
        return [one.text for one in completions]


class ItsModel(BaseLLM):
    """A model as promptolution asks one."""

    def __init__(self, ask: Callable[[Sequence[tuple[str | None, str]]], list[str]]) -> None:
        super().__init__()
        self._ask = ask

    def _get_response(self, prompts: list[str], system_prompts: list[str]) -> list[str]:
        return self._ask(list(zip(system_prompts, prompts, strict=True))) if prompts else []


class Batched(DefaultAdapter):
    """gepa's own adapter, all rows of a batch in one call."""

    def __init__(self, model: Model, right: Callable[[str, str], bool]) -> None:
        super().__init__(model=lambda messages: "")
        self._asked, self._right = model, right

    def evaluate(
        self, batch: list[Any], candidate: dict[str, str], capture_traces: bool = False
    ) -> EvaluationBatch:
        (system,) = candidate.values()
        answers = self._asked.score([(system, row["input"]) for row in batch])
        scores = [
            float(self._right(answer, row["answer"]))
            for answer, row in zip(answers, batch, strict=True)
        ]
        traces = [
            {
                "data": row,
                "full_assistant_response": answer,
                "feedback": f"{'Right' if score else 'Wrong'}. The right answer is {row['answer']}.",
            }
            for row, answer, score in zip(batch, answers, scores, strict=True)
        ]
        outputs = [{"full_assistant_response": answer} for answer in answers]
        return EvaluationBatch(outputs, scores, traces if capture_traces else None)


def framed(rows: Rows) -> pandas.DataFrame:
    return pandas.DataFrame(
        {"x": [row["text"] for row in rows], "y": [row["label"].lower() for row in rows]}
    )


def promptolution_search(
    kind: str, name: str, files: dict[str, Rows], labels: list[str], model: Model, seed: int
) -> tuple[str, list[bool]]:
    """The first prompt at the end, and which test rows it gets right."""
    random.seed(seed)
    np.random.seed(seed)
    lower = [label.lower() for label in labels]
    reader = FirstOccurrencePredictor
    if any(" " in label for label in labels):
        reader = MarkerBasedPredictor
    predictor = reader(ItsModel(model.score), lower)
    user = bench_search.PROMPTS[name]
    task = ClassificationTask(
        framed(files["validation"]), user, n_subsamples=6, eval_strategy="full", seed=seed
    )
    starts, meta = [user, *generic(labels)], ItsModel(model.propose)
    if kind == "capo":
        task.eval_strategy = "sequential_block"
        shown = framed(files["train"])
        search = CAPO(
            predictor,
            task,
            meta,
            starts,
            df_few_shots=shown,
            create_fs_reasoning=False,
            check_fs_accuracy=False,
        )
    elif kind == "opro":
        search = OPRO(predictor, task, meta, [user])
    elif kind == "evoprompt-ga":
        search = EvoPromptGA(predictor=predictor, task=task, meta_llm=meta, initial_prompts=starts)
    else:
        search = EvoPromptDE(predictor=predictor, task=task, meta_llm=meta, initial_prompts=starts)
    best = search.optimize(STEPS)[0].construct_prompt()
    model.counting = False
    test = framed(files["test"])
    answers, _ = predictor.predict([best] * len(test), list(test["x"]))
    return best, [answer == gold for answer, gold in zip(answers, test["y"], strict=True)]


def gepa_search(
    name: str, files: dict[str, Rows], labels: list[str], model: Model, seed: int, pairs: int
) -> tuple[str, list[bool]]:
    """gepa's best candidate, and which test rows it gets right."""
    rule = rules.label_set(labels)

    def right(answer: str, target: str) -> bool:
        return rule.verdict(answer, rule.gold(Example("", "", "", target, ""))) == 1.0

    def given(rows: Rows) -> list[dict[str, Any]]:
        return [
            {"input": row["text"], "answer": row["label"], "additional_context": {}} for row in rows
        ]

    adapter = Batched(model, right)
    ended = gepa.optimize(
        seed_candidate={"instruction": bench_search.PROMPTS[name]},
        trainset=given(files["train"]),
        valset=given(files["validation"]),
        adapter=adapter,
        reflection_lm=lambda prompt: model.propose([(None, str(prompt))])[0],
        max_metric_calls=pairs,
        logger=Quiet(),
        seed=seed,
        raise_on_exception=False,
    )
    best = ended.best_candidate["instruction"]
    model.counting = False
    outcome = adapter.evaluate(given(files["test"]), {"instruction": best})
    return best, [score == 1.0 for score in outcome.scores]


class Quiet:
    """gepa's logger, saying nothing."""

    def log(self, message: str) -> None:
        """Nothing."""


def searched(
    kind: str, name: str, seed: int, budget: bench_search.Budget, engine: Engine
) -> dict[str, Any]:
    """One rival's run as a row of bench_search.py."""
    task = bench_search.load(name)
    files = bench_search.divided(task, seed, budget)
    labels = sorted({row["label"] for row in task.rows})
    account = Account(budget.pairs)
    model, began = Model(engine, account, seed), time.monotonic()
    if kind == "gepa":
        best, right = gepa_search(name, files, labels, model, seed, budget.pairs)
    else:
        best, right = promptolution_search(kind, name, files, labels, model, seed)
    golds = np.array([row["label"] for row in files["test"]])
    parts = [np.array(right)[golds == label].mean() for label in np.unique(golds)]
    return {
        "task": name,
        "mode": kind if kind in ("gepa", "capo") or "evo" in kind else f"promptolution-{kind}",
        "seed": seed,
        "test": float(np.mean(right)),
        "recalls": [None, float(np.mean(parts))],
        "labels": len(labels),
        "scored": account.scored,
        "replies": account.proposals,
        "tokens": account.tokens,
        "seconds": round(time.monotonic() - began, 1),
        "text": best,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rivals", type=names_of(RIVALS), default="capo,gepa,opro")
    parser.add_argument("--tasks", type=names_of(bench_search.PROMPTS), default="topics,tickets")
    parser.add_argument("--seeds", type=at_least(1), default=2)
    parser.add_argument("--pairs", type=at_least(1), default=600)
    parser.add_argument("--rows", type=at_least(2), default=24)
    parser.add_argument("--engine", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--model", type=model_folder, default=bench_search.MODEL)
    parser.add_argument("--out", type=output, required=True)
    given = parser.parse_args()
    check_room(parser, bench_search.sizes(given.tasks), given.rows, given.pairs)
    settings = EngineSettings(
        model=given.model, kind=given.engine, max_model_len=2048, max_num_seqs=32, dtype="float32"
    )
    rows = earlier_rows(str(given.out)) if given.out.exists() else []
    asked = {"rows": given.rows, "pairs": given.pairs, "model": Path(given.model).name}
    check_same(parser, rows, asked)
    known = {(row["task"], row["seed"], row["mode"].split("-")[-1]) for row in rows}
    budget = bench_search.Budget(given.rows, given.pairs)
    engine = engine_class(given.engine)(settings)
    try:
        for seed in range(given.seeds):
            for name in given.tasks:
                for kind in given.rivals:
                    if (name, seed, kind.split("-")[-1]) in known:
                        continue
                    rows.append({**searched(kind, name, seed, budget, engine), "asked": asked})
                    given.out.write_text(json.dumps(rows, indent=1))
                    print({**rows[-1], "text": rows[-1]["text"][:80]}, flush=True)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
