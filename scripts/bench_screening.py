"""How well screening guesses which drafts are worth scoring, from runs in which everything was
scored.

    python scripts/bench_screening.py RUN [RUN ...]

Each RUN is the folder of a run without worked examples and with `search.drafts = 1`
(scripts/bench_search.py --modes no-screening --runs DIR makes such: DIR/*/no-screening/*/run). For
every step of at least four solutions their scores
are guessed from those of the steps before, as a search does, but for one thing: it compares what
was scored on some rows with the best on the same rows, and this takes the scores as they are. The
table, means over steps: the rank correlation of guesses and scores, the mean score of all and of
the third that promised most, the best score of all and in that third.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from opro_local.problems.prompt.selection import promise
from opro_local.runs.store import read_store

LINE = "{:<28}{:>7}{:>13}{:>11}{:>13}{:>11}{:>15}"


def steps(folder: Path) -> list[tuple[float, float, float, float, float]]:
    """For each step: rank correlation (nan if all scores are equal), means of all and the chosen,
    best of these.
    """
    store = read_store(folder)
    try:
        rows = store.solutions("train")
    finally:
        store.close()
    found = []
    for step in range(1, max(row["step"] for row in rows) + 1):
        before = [(row["text"], row["score"], row["n"]) for row in rows if row["step"] < step]
        own = [row for row in rows if row["step"] == step]
        if len(own) < 4:
            continue
        scores, guesses = (
            np.array([row["score"] for row in own]),
            promise([row["text"] for row in own], before),
        )
        chosen = scores[np.argsort(-guesses, kind="stable")[: -(-len(own) // 3)]]
        varied = len(set(scores)) > 1 and len(set(guesses)) > 1
        correlation = spearmanr(guesses, scores).statistic if varied else np.nan
        found.append((correlation, scores.mean(), chosen.mean(), scores.max(), chosen.max()))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    given = parser.parse_args()
    groups: dict[str, list] = {}
    for folder in given.runs:
        groups.setdefault("/".join(folder.resolve().parts[-4:-2]), []).extend(steps(folder))
    print(
        LINE.format("runs", "steps", "correlation", "mean", "mean third", "best", "best in third")
    )
    for name, found in groups.items():
        means = [f"{value:.3f}" for value in np.nanmean(np.array(found), axis=0)]
        print(LINE.format(name, len(found), *means))


if __name__ == "__main__":
    main()
