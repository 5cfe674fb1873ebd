"""Plain answers against label probabilities, without and with a bias per label: the same prompts,
the same worked examples, the same rows.

    python scripts/bench_label_probability.py ask [--engine vllm] [--seeds 3] --reads FILE
    python scripts/bench_label_probability.py table --reads FILE

`ask` puts every row of four frozen tasks (scripts/search_tasks) to SmolLM2-135M with four random
draws of worked examples a seed, twice: once for a reply of at most 8 tokens, once for the
probabilities of the labels, with no token generated. It appends to FILE, and goes on where it was
cut. `table` needs no model: it chooses among the draws on the train rows alone, as a search would,
and says how many of the test rows are right.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_arguments import at_least
from scipy import stats

from opro_local.engines.kinds import engine_class
from opro_local.engines.settings import EngineSettings
from opro_local.problems.prompt.layout import Layout
from opro_local.scoring import rules
from opro_local.scoring.label_bias import LabelFit, fit
from opro_local.types import Example, Request, Sampling

ROOT = Path(__file__).resolve().parent.parent
MODEL = str(ROOT / "models" / "weights" / "smollm2-135m-instruct")
TASKS = Path(__file__).with_name("search_tasks")
TRAIN, TEST, DRAWS, SHOWN = 24, 40, 4, 6
PROMPTS = {
    "alerts": "Is the message urgent or routine?",
    "topics": "Name the topic: weather, sports, cooking, money, health, travel or computers.",
    "intents": (
        "What is the request about: card lost, card delivery, card declined, pin change, refund, "
        "double charge, transfer pending, exchange rate, top up, close account, identity check or "
        "fees?"
    ),
    "tickets": "Is the ticket about billing or technical?",
}
LAYOUT = Layout("Q_begin", chat=False, qa=True)


def rows_of(task: str) -> list[Example]:
    with (TASKS / f"{task}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Example(str(i), r, r["text"], r["label"], "") for i, r in enumerate(rows)]


def drawn(task: str, seed: int, draw: int) -> tuple[list[Example], list[Example], list[Example]]:
    """Train rows, test rows and worked examples. One draw's rows are another's too."""
    rows = rows_of(task)
    order = np.random.default_rng((seed, 1)).permutation(len(rows))
    train, test = ([rows[i] for i in part] for part in (order[:TRAIN], order[TRAIN : TRAIN + TEST]))
    shown = np.random.default_rng((seed, 2, draw)).permutation(TRAIN)[:SHOWN]
    return train, test, [train[i] for i in shown]


def requests_of(task: str, seed: int, draw: int) -> tuple[list[Request], list[Request]]:
    """The rows of train and then test, to be answered, and to be read."""
    train, test, shown = drawn(task, seed, draw)
    labels = tuple(sorted({row.target for row in rows_of(task)}))

    def instead(row: Example) -> list[tuple[Example, str]] | None:
        if row not in shown:
            return None
        return [(one, one.target) for one in shown if one != row]

    worked = [(one, one.target) for one in shown]
    prompts = LAYOUT.prompts(PROMPTS[task], worked, [*train, *test], instead)
    plain = Sampling(8, stop=("\n",))
    return [Request(p, plain) for p in prompts], [
        Request(p, Sampling(8, labels=labels)) for p in prompts
    ]


def ask(engine_name: str, seeds: int, file: Path) -> None:
    known = {tuple(entry["of"]) for entry in read(file)} if file.exists() else set()
    settings = EngineSettings(
        model=MODEL, kind=engine_name, max_model_len=1024, max_num_seqs=32, dtype="float32"
    )
    engine = engine_class(engine_name)(settings)
    for seed in range(seeds):
        for task in PROMPTS:
            for draw in range(DRAWS):
                if (task, seed, draw) in known:
                    continue
                plain, labelled = requests_of(task, seed, draw)
                texts = [one.text for one in engine.generate(plain)]
                reads = [json.loads(one.text) for one in engine.generate(labelled)]
                entry = {"of": [task, seed, draw], "texts": texts, "reads": reads}
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(entry) + "\n")
    engine.close()


def read(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@dataclass(frozen=True)
class Draw:
    """One prompt's answers: places of the right labels and of those given, train rows first."""

    labels: list[str]
    golds: np.ndarray
    plain: np.ndarray
    logs: np.ndarray


def draws(file: Path) -> dict[tuple[str, int], list[Draw]]:
    """By task and seed."""
    made: dict[tuple[str, int], list[Draw]] = {}
    for entry in read(file):
        task, seed, draw = entry["of"]
        train, test, _ = drawn(task, seed, draw)
        labels = list(entry["reads"][0])
        rule = rules.label_set(labels)
        golds = np.array([labels.index(row.target) for row in (*train, *test)])
        known = {rule.extract(label): place for place, label in enumerate(labels)}
        plain = np.array([known.get(rule.extract(text), -1) for text in entry["texts"]])
        logs = np.array([[scores[label] for label in labels] for scores in entry["reads"]])
        made.setdefault((task, seed), []).append(Draw(labels, golds, plain, logs))
    return made


def recall(right: np.ndarray, golds: np.ndarray) -> float:
    """The mean over the labels of the share of their rows that are right."""
    return float(np.mean([right[golds == place].mean() for place in np.unique(golds)]))


def outcomes(draw: Draw) -> dict[str, tuple[float, float, float, float]]:
    """By way of answering: what the train rows say of the draw, and accuracy, mean recall and the
    share of unread answers on test.
    """
    train, golds = slice(0, TRAIN), draw.golds
    raw = draw.logs.argmax(axis=1)
    ways = {
        "plain": (draw.plain, float((draw.plain[train] == golds[train]).mean())),
        "labels": (raw, float((raw[train] == golds[train]).mean())),
    }
    for name, balanced in (("bias", False), ("bias, balanced", True)):
        own = LabelFit(draw.logs[train], golds[train], balanced)
        bias = fit(draw.labels, draw.logs[train], golds[train], balanced)
        ways[name] = (bias.chosen(draw.logs), own.value())
    figures = {}
    for name, (given, score) in ways.items():
        right = (given == golds)[TRAIN:]
        unread = float((given[TRAIN:] < 0).mean())
        figures[name] = (score, float(right.mean()), recall(right, golds[TRAIN:]), unread)
    return figures


def table(file: Path) -> None:
    kept: dict[str, list[np.ndarray]] = {}
    for task in PROMPTS:
        cells: dict[str, list[list[float]]] = {}
        for (named, _), own in sorted(draws(file).items()):
            if named != task:
                continue
            each = [outcomes(draw) for draw in own]
            for way in each[0]:
                figures = np.array([one[way] for one in each])
                best = figures[figures[:, 0].argmax()]
                cells.setdefault(way, []).append([*figures[:, 1:].mean(axis=0), best[1], best[2]])
        print(f"{task}: any draw: accuracy, mean recall, unread; the chosen one: both; by seed")
        for way, rows in cells.items():
            means = np.mean(rows, axis=0)
            seeds = " ".join(f"{100 * row[3]:.1f}" for row in rows)
            print(f"  {way:15}", *(f"{100 * value:6.1f}" for value in means), f"  ({seeds})")
            kept.setdefault(way, []).append(np.array(rows))
    print("differences over tasks and seeds: any draw, the chosen one (95 % by t)")
    for first, second in (("plain", "labels"), ("labels", "bias"), ("plain", "bias")):
        gaps = 100 * (np.concatenate(kept[second]) - np.concatenate(kept[first]))[:, [0, 3]]
        half = stats.t.ppf(0.975, len(gaps) - 1) * gaps.std(axis=0, ddof=1) / len(gaps) ** 0.5
        said = [
            f"{mean:+.1f} +- {own:.1f}" for mean, own in zip(gaps.mean(axis=0), half, strict=True)
        ]
        print(f"  {second} - {first}:", *said, f"({len(gaps)} cells)")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("ask", "table"))
    parser.add_argument("--engine", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--seeds", type=at_least(1), default=3)
    parser.add_argument("--reads", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.verb == "table" or given.reads.exists():
        try:
            known = read(given.reads)
            whole = all(entry.keys() >= {"of", "texts", "reads"} for entry in known)
            whole = whole and bool(known or given.verb == "ask")
        except (OSError, ValueError, AttributeError):
            whole = False
        if not whole:
            parser.error(f"--reads: {str(given.reads)!r} is not what `ask` writes")
    elif not given.reads.absolute().parent.is_dir():
        parser.error(f"--reads: there is no folder {str(given.reads.parent)!r}")
    if given.verb == "ask":
        ask(given.engine, given.seeds, given.reads)
    else:
        table(given.reads)


if __name__ == "__main__":
    main()
