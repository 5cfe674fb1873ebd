"""Rivals of bench_search.py that search nothing: examples chosen per row by similarity, and a
classifier without a language model, on the same rows.

    python scripts/bench_nearest.py --out FILE [--seeds 2] [--tasks topics,...]
        [--modes nearest-examples,nearest-probability,linear] [--rows 24] [--engine vllm]

All labelled rows, train and validation together, are known to each:

    nearest-examples      the eight of them that are most like the row (tf-idf of words and their
                          pairs, cosine), the most alike last, are shown with the user's prompt;
                          the model writes its answer
    nearest-probability   the same, with the labels read as probabilities; the bias is fitted on the
                          labelled rows, each shown with its neighbours among the others
    linear                logistic regression on tf-idf: no language model

scikit-learn is needed (it comes with the extra `text`'s packages or from `pip install
scikit-learn`). Rows are as bench_search.py writes them; bench_search_table.py reads them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import bench_rows
import bench_search
import numpy as np
from bench_arguments import at_least, check_room, model_folder, names_of, output
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from opro_local.engines.kinds import engine_class
from opro_local.engines.settings import EngineSettings
from opro_local.problems.prompt.layout import Layout
from opro_local.protocols import Engine
from opro_local.records import log_probabilities
from opro_local.scoring import rules
from opro_local.scoring.label_bias import fit
from opro_local.types import Example, Request, Sampling

SHOWN, ANSWER_TOKENS = 8, 10
# How SmolLM2's card has worked examples laid out.
LAYOUT = Layout("Q_begin", chat=False, qa=True)


class Cell:
    """The rows of a task and a seed: those with known labels, and the test."""

    def __init__(self, name: str, seed: int, budget: bench_search.Budget) -> None:
        files = bench_search.divided(bench_search.load(name), seed, budget)
        known = [*files["train"], *files["validation"]]
        self.prompt = bench_search.PROMPTS[name]
        self.known, self.test = _examples(known), _examples(files["test"])
        self.labels = sorted({row["label"] for row in bench_search.load(name).rows})
        self.vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
        self.vectors.fit([row.input for row in self.known])

    def places(self, rows: Sequence[Example]) -> np.ndarray:
        return np.array([self.labels.index(row.target) for row in rows])

    def requests(self, rows: Sequence[Example], sampling: Sampling) -> list[Request]:
        """Each row with its neighbours; a known row is not its own neighbour."""
        own, others = (
            self.vectors.transform([row.input for row in part]) for part in (rows, self.known)
        )
        alike = (own @ others.T).toarray()
        requests = []
        for row, likenesses in zip(rows, alike, strict=True):
            order = [place for place in np.argsort(-likenesses) if self.known[place] is not row]
            worked = [(self.known[place], self.known[place].target) for place in order[:SHOWN]]
            (prompt,) = LAYOUT.prompts(self.prompt, worked[::-1], [row])
            requests.append(Request(prompt, sampling))
        return requests


def _examples(rows: list[dict[str, str]]) -> list[Example]:
    return [Example(str(i), row, row["text"], row["label"], "") for i, row in enumerate(rows)]


def examples_shown(cell: Cell, engine: Engine) -> tuple[np.ndarray, int]:
    """Places of the labels that are written, and how many pairs were scored before the test."""
    rule = rules.label_set(cell.labels)
    sampling = Sampling(ANSWER_TOKENS, stop=("\n",))
    answers = engine.generate(cell.requests(cell.test, sampling))
    known = {rule.extract(label): place for place, label in enumerate(cell.labels)}
    return np.array([known.get(rule.extract(answer.text), -1) for answer in answers]), 0


def labels_read(cell: Cell, engine: Engine) -> tuple[np.ndarray, int]:
    sampling = Sampling(ANSWER_TOKENS, labels=tuple(cell.labels))
    asked = cell.requests([*cell.known, *cell.test], sampling)
    replies = engine.generate(asked)
    unread = [np.nan] * len(cell.labels)
    logs = np.array([log_probabilities(one.text, cell.labels) or unread for one in replies])
    own, test = logs[: len(cell.known)], logs[len(cell.known) :]
    return fit(cell.labels, own, cell.places(cell.known)).chosen(test), len(cell.known)


def linear(cell: Cell, engine: Engine) -> tuple[np.ndarray, int]:
    known, test = (
        cell.vectors.transform([row.input for row in rows]) for rows in (cell.known, cell.test)
    )
    model = LogisticRegression(C=10, max_iter=1000).fit(known, cell.places(cell.known))
    return model.predict(test), 0


MODES: dict[str, Callable[[Cell, Engine], tuple[np.ndarray, int]]] = {
    "nearest-examples": examples_shown,
    "nearest-probability": labels_read,
    "linear": linear,
}


def measured(
    name: str, seed: int, mode: str, budget: bench_search.Budget, engine: Engine
) -> dict[str, Any]:
    """A row of bench_search.py."""
    cell, began = Cell(name, seed, budget), time.monotonic()
    chosen, pairs = MODES[mode](cell, engine)
    golds = cell.places(cell.test)
    parts = [(chosen == golds)[golds == place].mean() for place in np.unique(golds)]
    return {
        "task": name,
        "mode": mode,
        "seed": seed,
        "test": float((chosen == golds).mean()),
        "recalls": [None, float(np.mean(parts))],
        "labels": len(cell.labels),
        "scored": pairs,
        "seconds": round(time.monotonic() - began, 1),
        "text": cell.prompt,
        "demonstrations": SHOWN,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tasks",
        type=names_of(bench_search.PROMPTS),
        default="topics,intents,letters,tenses,tickets,reviews",
    )
    parser.add_argument("--modes", type=names_of(MODES), default=",".join(MODES))
    parser.add_argument("--seeds", type=at_least(1), default=2)
    parser.add_argument("--rows", type=at_least(2), default=24)
    parser.add_argument("--engine", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--model", type=model_folder, default=bench_search.MODEL)
    parser.add_argument("--out", type=output, required=True)
    given = parser.parse_args()
    check_room(parser, bench_search.sizes(given.tasks), given.rows, 2 * given.rows)
    settings = EngineSettings(
        model=given.model, kind=given.engine, max_model_len=2048, max_num_seqs=32, dtype="float32"
    )
    budget = bench_search.Budget(given.rows)
    cells = bench_rows.cells(range(given.seeds), given.tasks, given.modes)
    engine = engine_class(given.engine)(settings)
    try:
        bench_rows.write_rows(given.out, cells, partial(measured, budget=budget, engine=engine))
    finally:
        engine.close()


if __name__ == "__main__":
    main()
