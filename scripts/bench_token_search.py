"""Rivals of bench_search.py that need a model's weights: AutoPrompt (arXiv 2010.15980) and RLPrompt
(arXiv 2205.12548), on the same model, rows and pairs.

    python scripts/bench_token_search.py --out FILE [--seeds 1] [--first-seed 0] [--tasks topics,...]
        [--modes autoprompt,autoprompt-fluent,rlprompt] [--pairs 600] [--rows 24]

    autoprompt         the tokens of the user's prompt are exchanged one at a time: the gradient of
                       the right labels' log-probability says which forty tokens might help at a
                       place, six of them are scored beside what is there, the best stays
    autoprompt-fluent  the six are those of the forty that the model itself finds likeliest
    rlprompt           a frozen model with a small trained head writes five tokens; its reward is
                       how far the right label's probability is above the next one's, by REINFORCE

Labels are read as probabilities, and those of the end with a bias fitted on train and validation,
as `random-probability` is. A pair is one row read with one prompt; a row of a gradient counts as
another. The best on train is chosen between what a mode made and the user's prompt. What it does
where answers are written is asked beside. The transformers engine serves, for it has the weights.
Rows go to FILE one by one, bench_search_table.py reads them, and the same command goes on.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import bench_rows
import bench_search
import numpy as np
import torch
from bench_arguments import (
    at_least,
    check_room,
    check_same,
    earlier_rows,
    model_folder,
    names_of,
    output,
)

from opro_local.engines.settings import EngineSettings
from opro_local.engines.transformers import TransformersEngine
from opro_local.problems.prompt.layout import Layout
from opro_local.records import log_probabilities
from opro_local.scoring import rules
from opro_local.scoring.label_bias import LabelBias, cross_fitted, fit
from opro_local.types import Example, Request, Sampling

ANSWER_TOKENS = 10
# How SmolLM2's card has prompts laid out.
LAYOUT = Layout("Q_begin", chat=False, qa=True)
# What stands before the text of such a prompt; the space after it is part of the text's first token.
HEAD = "Q:"
BATCH, PROMISING, TRIED = 8, 40, 6
WRITTEN_TOKENS, SAMPLES, HIDDEN, RATE = 5, 4, 64, 1e-2


class Cell:
    """The rows of a task and a seed, a model with its weights, and the pairs that are left."""

    def __init__(
        self, name: str, seed: int, budget: bench_search.Budget, engine: TransformersEngine
    ) -> None:
        task = bench_search.load(name)
        files = bench_search.divided(task, seed, budget)
        self.prompt, self.labels = task.prompt, sorted({row["label"] for row in task.rows})
        splits = ("train", "validation", "test")
        self.train, self.validation, self.test = (_examples(files[split]) for split in splits)
        self.rng = np.random.default_rng((seed, 19))
        self.scored = 2 * len(self.train) + len(self.validation)  # for the choice at the end
        self.pairs = budget.pairs - self.scored
        self.engine, self.model = engine, engine._model
        self.model.requires_grad_(False)  # no gradient of a weight is wanted or kept
        self.tokenizer = engine._prompts.tokenizer
        self.start = len(self.ids(HEAD))

    def golds(self, rows: Sequence[Example]) -> np.ndarray:
        return np.array([self.labels.index(row.target) for row in rows])

    def read(self, texts: Sequence[str], rows: Sequence[Example]) -> np.ndarray:
        """Log-probabilities of the labels, shape (texts, rows, labels)."""
        sampling = Sampling(ANSWER_TOKENS, labels=tuple(self.labels))
        prompts = [one for text in texts for one in LAYOUT.prompts(text, [], rows)]
        replies = self.engine.generate([Request(prompt, sampling) for prompt in prompts])
        logs = [log_probabilities(one.text, self.labels) for one in replies]
        if unread := logs.count(None):
            raise SystemExit(f"{unread} of {len(logs)} prompts can't be read: are they too long?")
        return np.array(logs).reshape(len(texts), len(rows), -1)

    def batch(self) -> list[Example]:
        return [self.train[int(place)] for place in self.rng.permutation(len(self.train))[:BATCH]]

    def spend(self, pairs: int) -> bool:
        """Whether so many pairs are left; they are spent."""
        if pairs > self.pairs:
            return False
        self.pairs, self.scored = self.pairs - pairs, self.scored + pairs
        return True

    def ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def text(self, ids: Sequence[int]) -> str:
        """The prompt whose tokens, behind the head of a layout, are these."""
        return str(self.tokenizer.decode(ids)).removeprefix(" ")

    def survives(self, ids: Sequence[int]) -> bool:
        """Whether tokens are the same ones again after they were a text before a row, and all of
        them are text: a mark of a chat's turns is none.
        """
        added = self.tokenizer.added_tokens_decoder
        if any(token in added and added[token].special for token in ids):
            return False
        (prompt,) = LAYOUT.prompts(self.text(ids), [], self.train[:1])
        return self.ids(prompt.text)[self.start :][: len(ids)] == list(ids)


def _examples(rows: list[dict[str, str]]) -> list[Example]:
    return [Example(str(i), row, row["text"], row["label"], "") for i, row in enumerate(rows)]


def right_shares(logs: np.ndarray, golds: np.ndarray) -> np.ndarray:
    """The right label's log-probability among the labels; shape (..., rows)."""
    normal = logs - np.logaddexp.reduce(logs, axis=-1, keepdims=True)
    return np.take_along_axis(normal, golds[None, :, None], axis=-1)[..., 0]


def gradient(cell: Cell, ids: Sequence[int], rows: Sequence[Example]) -> torch.Tensor:
    """Of the right labels' log-probability by the embeddings of the prompt's tokens behind the
    layout's head, summed over rows; shape (tokens, width).
    """
    embed = cell.model.get_input_embeddings()
    summed = torch.zeros(len(ids), embed.weight.shape[1])
    for row in rows:
        (prompt,) = LAYOUT.prompts(cell.text(ids), [], [row])
        before, label = cell.ids(prompt.text), cell.ids(" " + row.target)
        with torch.enable_grad():
            vectors = embed(torch.tensor([before + label])).detach().requires_grad_(True)
            logits = cell.model(inputs_embeds=vectors).logits[0].log_softmax(-1)
            places = torch.arange(len(before) - 1, len(before) + len(label) - 1)
            logits[places, torch.tensor(label)].sum().backward()
        summed += vectors.grad[0, cell.start :][: len(ids)]
    return summed


def unlikeliness(cell: Cell, ids: Sequence[int]) -> float:
    """Minus the mean log-probability of a text's tokens behind its first."""
    with torch.no_grad():
        logits = cell.model(torch.tensor([list(ids)])).logits[0, :-1].log_softmax(-1)
    return -float(logits[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].mean())


def exchanges(cell: Cell, ids: list[int], place: int, slope: torch.Tensor, fluent: bool) -> Any:
    """Up to TRIED texts that have another token at a place."""
    with torch.no_grad():
        order = (cell.model.get_input_embeddings().weight @ slope[place]).argsort(descending=True)
    tried: list[list[int]] = []
    for token in order[: 10 * PROMISING].tolist():
        changed = [*ids[:place], token, *ids[place + 1 :]]
        if token != ids[place] and cell.survives(changed):
            tried.append(changed)
        if len(tried) == (PROMISING if fluent else TRIED):
            break
    if fluent:
        tried.sort(key=lambda one: unlikeliness(cell, one))
    return tried[:TRIED]


def autoprompt(cell: Cell, fluent: bool = False) -> str:
    """Gradient-guided exchange of the tokens of the user's prompt."""
    ids = cell.ids(f" {cell.prompt}")
    if not cell.survives(ids):
        raise SystemExit(f"the tokens of {cell.prompt!r} are others before a row")
    while cell.spend(BATCH * (TRIED + 2)):
        slope = gradient(cell, ids, cell.batch())
        place = int(cell.rng.integers(len(ids)))
        tried = [ids, *exchanges(cell, ids, place, slope, fluent)]
        rows = cell.batch()
        logs = cell.read([cell.text(one) for one in tried], rows)
        ids = tried[int(right_shares(logs, cell.golds(rows)).mean(axis=1).argmax())]
    return cell.text(ids)


class Writer(torch.nn.Module):
    """A frozen model whose last hidden state is changed by a small network before its head."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        width = model.config.hidden_size
        self.net = torch.nn.Sequential(
            torch.nn.Linear(width, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, width)
        )
        torch.nn.init.zeros_(self.net[2].weight)
        torch.nn.init.zeros_(self.net[2].bias)
        self._frozen = [model]

    def write(self, start: Sequence[int]) -> tuple[list[int], torch.Tensor]:
        """Tokens that are drawn, and the logarithm of how likely they were, with its gradient."""
        (model,) = self._frozen
        ids, logs = list(start), []
        for _ in range(WRITTEN_TOKENS):
            with torch.no_grad():
                state = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
            with torch.enable_grad():
                spread = torch.distributions.Categorical(
                    logits=model.lm_head(state + self.net(state))
                )
                token = spread.sample()
                logs.append(spread.log_prob(token))
            ids.append(int(token))
        return ids[len(start) :], torch.stack(logs).sum()


def rlprompt(cell: Cell) -> str:
    """REINFORCE on a small head; the text with the highest reward that was met."""
    torch.manual_seed(int(cell.rng.integers(2**31)))
    writer, start = Writer(cell.model), cell.ids("\n")
    steps = torch.optim.Adam(writer.parameters(), RATE)
    best, most = cell.prompt, -math.inf
    while cell.spend(BATCH * SAMPLES):
        written = [writer.write(start) for _ in range(SAMPLES)]
        texts = [str(cell.tokenizer.decode(ids)) for ids, _ in written]
        rows = cell.batch()
        gaps = _gaps(cell.read(texts, rows), cell.golds(rows)).mean(axis=1)
        if gaps.max() > most:
            best, most = texts[int(gaps.argmax())], float(gaps.max())
        worth = torch.tensor((gaps - gaps.mean()) / (gaps.std() + 1e-6), dtype=torch.float32)
        with torch.enable_grad():
            loss = -(worth * torch.stack([logs for _, logs in written])).mean()
            steps.zero_grad()
            loss.backward()
        steps.step()
    return best


def _gaps(logs: np.ndarray, golds: np.ndarray) -> np.ndarray:
    """The right label's probability less the highest other's; shape (texts, rows)."""
    shares = np.exp(logs - np.logaddexp.reduce(logs, axis=-1, keepdims=True))
    right = np.take_along_axis(shares, golds[None, :, None], axis=-1)[..., 0]
    others = shares.copy()
    np.put_along_axis(others, np.broadcast_to(golds[None, :, None], (*right.shape, 1)), -1.0, -1)
    return right - others.max(axis=-1)


MODES: dict[str, Callable[[Cell], str]] = {
    "autoprompt": autoprompt,
    "autoprompt-fluent": lambda cell: autoprompt(cell, fluent=True),
    "rlprompt": rlprompt,
}


def chosen(cell: Cell, text: str) -> tuple[str, LabelBias]:
    """The text or the user's prompt, whichever has the right labels likelier on train with a
    cross-fitted bias; and its bias, fitted on validation too.
    """
    golds, texts = cell.golds(cell.train), [text, cell.prompt]
    logs = cell.read(texts, cell.train)
    shares = [cross_fitted(own, golds)[np.arange(len(golds)), golds] for own in logs]
    best = int(np.argmax([np.log(np.maximum(own, 1e-3)).mean() for own in shares]))
    (held_out,) = cell.read([texts[best]], cell.validation)
    known = np.concatenate([logs[best], held_out])
    return texts[best], fit(cell.labels, known, cell.golds([*cell.train, *cell.validation]))


def written(cell: Cell, text: str) -> float:
    """The share of the test rows that are right where answers are written."""
    rule = rules.label_set(cell.labels)
    sampling = Sampling(ANSWER_TOKENS, stop=("\n",))
    requests = [Request(prompt, sampling) for prompt in LAYOUT.prompts(text, [], cell.test)]
    replies = cell.engine.generate(requests)
    right = [
        rule.verdict(reply.text, rule.gold(row)) == 1.0
        for reply, row in zip(replies, cell.test, strict=True)
    ]
    return float(np.mean(right))


def searched(
    name: str, seed: int, mode: str, budget: bench_search.Budget, engine: TransformersEngine
) -> dict[str, Any]:
    """One search as a row of bench_search.py."""
    cell, began = Cell(name, seed, budget, engine), time.monotonic()
    text, bias = chosen(cell, MODES[mode](cell))
    spent, golds = time.monotonic() - began, cell.golds(cell.test)
    right = bias.chosen(cell.read([text], cell.test)[0]) == golds
    return {
        "task": name,
        "mode": mode,
        "seed": seed,
        "test": float(right.mean()),
        "recalls": [None, float(np.mean([right[golds == k].mean() for k in np.unique(golds)]))],
        "written": [written(cell, cell.prompt), written(cell, text)],
        "labels": len(cell.labels),
        "scored": cell.scored,
        "seconds": round(spent, 1),
        "text": text,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modes", type=names_of(MODES), default=",".join(MODES))
    parser.add_argument("--tasks", type=names_of(bench_search.PROMPTS), default="topics,tickets")
    parser.add_argument("--seeds", type=at_least(1), default=1)
    parser.add_argument("--first-seed", type=at_least(0), default=0)
    parser.add_argument("--pairs", type=at_least(1), default=600)
    parser.add_argument("--rows", type=at_least(2), default=24)
    parser.add_argument("--model", type=model_folder, default=bench_search.MODEL)
    parser.add_argument("--out", type=output, required=True)
    given = parser.parse_args()
    check_room(parser, bench_search.sizes(given.tasks), given.rows, given.pairs)
    rows = earlier_rows(str(given.out)) if given.out.exists() else []
    asked = {"rows": given.rows, "pairs": given.pairs, "model": Path(given.model).name}
    check_same(parser, rows, asked)
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    cells = bench_rows.cells(seeds, given.tasks, given.modes)
    budget = bench_search.Budget(given.rows, given.pairs)
    settings = EngineSettings(model=given.model, kind="transformers", dtype="float32")
    engine = TransformersEngine(settings)
    try:
        measured = partial(searched, budget=budget, engine=engine)
        further = {"asked": asked}
        bench_rows.write_rows(given.out, cells, measured, before=rows, further=further)
    finally:
        engine.close()


if __name__ == "__main__":
    main()
