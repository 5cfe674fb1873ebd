"""The paper's numeric problems as its tables report them: one recipe, run once or over several
instances.

For: the config of each repetition, where each is kept, and what they come to together. Not for:
running or printing.
"""

from __future__ import annotations

import hashlib
import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.problems.numeric.numeric import NumericFigures
from opro_local.runs.run_result import RunResult

RECIPES = {name: f"{name.replace('-', '_')}.toml" for name in ("linear-regression", "tsp")}


def config_of(problem: str, overrides: Sequence[str] = ()) -> Config:
    """The config of a problem's recipe with settings changed; paths start from the working
    directory.

    Args:
        problem: "linear-regression" or "tsp".
        overrides: each "section.key=value".

    Raises:
        UsageError: there is no such problem, or a setting is wrong.
    """
    if problem not in RECIPES:
        raise UsageError(f"there is no problem {problem!r}", f"accepted: {', '.join(RECIPES)}")
    recipe = Path(__file__).parents[1] / "recipes" / RECIPES[problem]
    return reading.build(tomllib.loads(recipe.read_text("utf-8")), overrides)


def repetitions(config: Config, folder: Path, count: int) -> list[tuple[Config, Path]]:
    """The runs of a problem: one in `folder`, or several below it with the seeds that follow
    (paper: 5 instances).
    """
    if count == 1:
        return [(config, folder)]
    seed = config.run.seed
    return [
        (
            config.model_copy(update={"run": config.run.model_copy(update={"seed": seed + i})}),
            folder / str(i + 1),
        )
        for i in range(count)
    ]


@dataclass(frozen=True, slots=True)
class Repetitions:
    """What one run or several repetitions of it came to.

    Attributes:
        results: of each repetition, in order; at least one.
    """

    results: tuple[RunResult, ...]

    @property
    def best(self) -> RunResult:
        """The repetition with the smallest gap: of equals the first, and the first of all without
        an optimum.
        """
        return min(self.results, key=_gap)

    @property
    def reached(self) -> tuple[RunResult, ...]:
        """Those that found the optimum."""
        return tuple(result for result in self.results if figures_of(result).reached)

    @property
    def digest(self) -> str:
        """64 hex digits over all of them; of one alone its own digest."""
        if len(self.results) == 1:
            return self.best.digest
        together = "".join(result.digest for result in self.results)
        return hashlib.sha256(together.encode()).hexdigest()

    @property
    def gap(self) -> Spread | None:
        """Of all whose optimum is known."""
        gaps = [figures_of(result).gap for result in self.results]
        return spread([gap for gap in gaps if gap is not None])

    @property
    def steps(self) -> Spread | None:
        """Of those that found the optimum, as in the paper's tables 2 and 3."""
        return spread([result.steps for result in self.reached])

    @property
    def evaluations(self) -> Spread | None:
        """Of those that found the optimum, as in the paper's tables 2 and 3."""
        return spread([figures_of(result).evaluations for result in self.reached])

    def to_json(self) -> dict[str, Any]:
        """The best one's JSON; of several with their digest and `repetitions`, see
        docs/numeric.md.
        """
        if len(self.results) == 1:
            return self.best.to_json()
        together = {
            "runs": [_row(result) for result in self.results],
            "reached": len(self.reached),
            "gap": spread_to_json(self.gap),
            "steps": spread_to_json(self.steps),
            "evaluations": spread_to_json(self.evaluations),
        }
        return {**self.best.to_json(), "digest": self.digest, "repetitions": together}


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of a figure over repetitions."""

    mean: float
    std: float


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and standard deviation; None where there is nothing to average."""
    if not values:
        return None
    return Spread(statistics.fmean(values), statistics.pstdev(values))


def spread_to_json(figure: Spread | None) -> dict[str, float] | None:
    """A spread as docs/numeric.md shows it."""
    return None if figure is None else {"mean": figure.mean, "std": figure.std}


def figures_of(result: RunResult) -> NumericFigures:
    """What a minimized objective adds to a result. Raises TypeError for one that is none."""
    if result.search is None or result.search.numeric is None:
        raise TypeError(f"{result.name} is not the result of a numeric problem")
    return result.search.numeric


def _gap(result: RunResult) -> float:
    gap = figures_of(result).gap
    return float("inf") if gap is None else gap


def _row(result: RunResult) -> dict[str, Any]:
    figures = figures_of(result)
    return {
        "steps": result.steps,
        "evaluations": figures.evaluations,
        "gap": figures.gap,
        "reached": figures.reached,
        "digest": result.digest,
    }
