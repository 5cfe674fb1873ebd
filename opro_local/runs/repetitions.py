"""The paper's numeric problems as its tables report them: one recipe, run once or over several
instances.

For: the config of each repetition, where each is kept, and what they come to together. Not for:
running or printing.
"""

from __future__ import annotations

import hashlib
import statistics
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.settings import Config
from opro_local.errors import UsageError

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


def combined(results: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What several repetitions come to, in the shape of one.

    Returns:
        the result of the repetition with the smallest gap (of equals the first; the first of all
        without an optimum), its digest replaced by one over all of them, and `repetitions`: `runs`
        (a few figures of each), `reached` (how many found the optimum), and mean and standard
        deviation of `gap`, and over those that reached it of `steps` and `evaluations`, as in the
        paper's tables 2 and 3; None where there is nothing to average.
    """
    if len(results) == 1:
        return results[0]
    best = min(results, key=lambda result: float("inf") if result["gap"] is None else result["gap"])
    reached = [result for result in results if result["reached"]]
    runs = [
        {key: result[key] for key in ("steps", "evaluations", "gap", "reached", "digest")}
        for result in results
    ]
    together = {
        "runs": runs,
        "reached": len(reached),
        "gap": _spread([result["gap"] for result in results if result["gap"] is not None]),
        "steps": _spread([result["steps"] for result in reached]),
        "evaluations": _spread([result["evaluations"] for result in reached]),
    }
    digest = hashlib.sha256("".join(result["digest"] for result in results).encode()).hexdigest()
    return {**best, "digest": digest, "repetitions": together}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {"mean": statistics.fmean(values), "std": statistics.pstdev(values)}
