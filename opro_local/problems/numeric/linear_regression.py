"""Linear regression (paper section 4.1): the optimizer proposes w and b of a line and is shown the
squared error.

For: the instance, reading pairs, their loss, and the known optimum. Not for: asking models, or the
baselines' searches.

A pair is written "[15, 14]", on the grid of `problem.decimals`. Scores are minus the loss.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from opro_local.config.problem import LinearRegressionSettings
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.problems.ask import ask_once
from opro_local.problems.numeric.baselines import (
    Box,
    Point,
    cma_es,
    coordinate_search,
    random_search,
)
from opro_local.problems.numeric.numeric import NumericFigures, Reference, numeric_figures
from opro_local.search.trajectory import Trajectory
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Constraint,
    Prompt,
    Sampling,
    Score,
    Solution,
    Split,
)

# What float() reads, without the underscores that it allows; nan and inf are refused by name later.
NUMBER = re.compile(
    r"""
    [+-]?
    (?: (?: \d+ \.? \d* | \. \d+ ) (?: e [+-]? \d+ )?
      | nan
      | inf (?: inity )?
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
BRACKETS = re.compile(r"\[([^\[\]]*)\]")
NAMES = re.compile(r"\s* w \s* , \s* b \s*", re.IGNORECASE | re.VERBOSE)  # as in "[w, b]"
NAME = re.compile(r"^ \(? \s* [wb] \s* [=:] \s*", re.IGNORECASE | re.VERBOSE)  # as in "(w = 3"


class LinearRegression:
    """w and b of a line through noisy points.

    Args:
        config: `search.seeds` is read, and `run.seed` decides points and starts. Seeds 0 to 4 give
            the five instances of the reference code
            (opro/optimization/optimize_linear_regression.py).
        settings: the config's `problem`.
        constrained: whether replies are held to the form of a pair.

    Raises:
        UsageError: `search.seeds` names something that is not a pair.
    """

    splits: tuple[Split, ...] = ("train",)

    def __init__(
        self, config: Config, settings: LinearRegressionSettings, constrained: bool
    ) -> None:
        self._settings = settings
        seed = config.run.seed + 1
        # RandomState and the multiples of the seed are the reference code's, so that points and
        # starts are too.
        self._x = np.arange(1.0, settings.points + 1)
        noise = np.random.RandomState(seed % 2**32).randn(settings.points)
        self._y = self._x * settings.w + settings.b + settings.noise * noise
        low, high = settings.range
        start_low, start_high = settings.start_range
        self.box = Box(low, high, settings.decimals, start_high - start_low)
        w_random = np.random.RandomState(seed * 10 % 2**32)
        b_random = np.random.RandomState(seed * 100 % 2**32)
        w_starts = w_random.uniform(start_low, start_high, settings.starts)
        b_starts = b_random.uniform(start_low, start_high, settings.starts)
        self._seeds = _chosen(self, config) or [
            self.solution(self.box.point(w, b)) for w, b in zip(w_starts, b_starts, strict=True)
        ]
        self._constraint: Constraint | None = None
        if constrained:
            self._constraint = Constraint("regex", pattern(low, high, settings.decimals))
        self.truth = self.box.point(settings.w, settings.b)
        self.optimum = self._optimum()
        # The search ends once a pair is no worse than the true one; where that is not on the grid,
        # with the best pair that is.
        on_grid = self.truth == (settings.w, settings.b)
        self.target = -self.loss(self.truth if on_grid else self.pair(self.optimum.text))

    def loss(self, pair: Point) -> float:
        """The squared error of a line, summed over the points; the same number on every machine."""
        w, b = pair
        return math.fsum(((self._y - (self._x * w + b)) ** 2).tolist())

    def solution(self, pair: Point) -> Solution:
        """A pair as a solution."""
        digits = self._settings.decimals
        return Solution(f"[{pair[0]:.{digits}f}, {pair[1]:.{digits}f}]")

    def pair(self, text: str) -> Point:
        """The pair that a solution's text says."""
        w, b = text.strip("[]").split(",")
        return float(w), float(b)

    def seeds(self) -> list[Solution]:
        """`search.seeds` where the config names some, else the random starts."""
        return self._seeds

    def ask_optimizer(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        """One Batch, each reply held to the form of a pair where decoding is constrained."""
        if self._constraint:
            samplings = [replace(sampling, constraint=self._constraint) for sampling in samplings]
        return (yield from ask_once(label, prompt, samplings))

    def parse(self, text: str) -> Solution | str:
        """The last pair in a reply, rounded to the grid (the paper rounds and evaluates what was
        rounded).
        """
        parts = last_pair(text)
        if parts is None:
            return f"no pair: {' '.join(text.split())[:60]!r}"
        values = []
        for part in parts:
            value = _number(part)
            if value is None:
                return f"not a number: {part.strip()[:60]!r}"
            values.append(value)
        if not all(map(math.isfinite, values)):
            return f"not finite: {parts[0].strip()[:30]}, {parts[1].strip()[:30]}"
        # Adding 0 makes -0.0 the 0.0 that it equals, so that one pair is one solution.
        w, b = (round(value, self._settings.decimals) + 0.0 for value in values)
        if not all(self.box.low <= value <= self.box.high for value in (w, b)):
            return f"out of range {self.box.low:g} to {self.box.high:g}: {w:g}, {b:g}"
        return self.solution((w, b))

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, BatchResult, list[Score]]:
        """Minus the loss of each pair; asks nobody."""
        yield from ()
        losses = [self.loss(self.pair(solution.text)) for solution in solutions]
        return [Score(-loss, np.array([-loss])) for loss in losses]

    def format_score(self, value: float) -> str:
        """The loss, to as many decimals as pairs have."""
        return f"{abs(value):.{self._settings.decimals}f}"

    def prompt_variables(self) -> Mapping[str, str]:
        """For forms that are not this problem's own."""
        return {
            "place": "in the pair",
            "noun": "pair [w, b]",
            "tag": "PAIR",
            "subject": "minimization",
        }

    def exemplars(self, indices: Sequence[int]) -> Sequence[Mapping[str, str]]:
        """There are no rows to show."""
        return ()

    def figures(self, trajectory: Trajectory) -> NumericFigures:
        """The best pair beside the optimum, the true pair and the baselines at as many evaluated
        pairs.
        """
        starts = [self.pair(seed.text) for seed in self._seeds]
        asked = (self.loss, len(trajectory.entries), starts, self.optimum.value)
        baselines = {
            "cma_es": cma_es(*asked, self.box),
            "coordinate_search": coordinate_search(*asked, self.box),
            "random_search": random_search(*asked, self.box.draw),
        }
        w, b, least = self._least_squares()
        truth = self.solution(self.truth).text
        proposed = any(entry.solution.text == truth for entry in trajectory.entries)
        further = {
            "least_squares": {"w": w, "b": b, "value": least},
            "truth": {"text": truth, "value": -self.target, "proposed": proposed},
        }
        return numeric_figures(trajectory, self.optimum, baselines, further)

    def ending(self, reason: str, figures: NumericFigures) -> str:
        """Why the search ended, in the problem's own words where its target was reached."""
        if not reason.startswith("target score"):
            return reason
        if figures.further["truth"]["proposed"]:
            return "the true pair was proposed"
        return "a pair no worse than the true one was found"

    def _least_squares(self) -> tuple[float, float, float]:
        (w, b), _, _, _ = np.linalg.lstsq(
            np.stack([self._x, np.ones_like(self._x)], 1), self._y, rcond=None
        )
        return float(w), float(b), self.loss((w, b))

    def _optimum(self) -> Reference:
        """Least squares over the grid: every w with its best b, which is the one nearest to the
        mean residual.
        """
        count = round((self.box.high - self.box.low) / self.box.unit) + 1
        w = np.round(self.box.low + self.box.unit * np.arange(count), self.box.decimals)
        x, y = self._x - self._x.mean(), self._y - self._y.mean()
        residual = self._y.mean() - w * self._x.mean()
        b = np.clip(np.round(residual, self.box.decimals), self.box.low, self.box.high)
        # The sum of (y - w x - b)^2 over the points, for all w at once: what is left after the best
        # real b, and how far the b on the grid is from it.
        losses = y @ y - 2 * w * (x @ y) + w**2 * (x @ x) + len(x) * (residual - b) ** 2
        best = self.box.point(w[losses.argmin()], b[losses.argmin()])
        return Reference(
            self.solution(best).text,
            self.loss(best),
            "least squares over the grid of allowed pairs",
        )


def _chosen(problem: LinearRegression, config: Config) -> list[Solution]:
    """The starting pairs that the config names, if it does."""
    if "seeds" not in config.search.model_fields_set:
        return []
    chosen = []
    for text in config.search.texts:
        solution = problem.parse(text)
        if isinstance(solution, str):
            raise UsageError(f"search.seeds: {solution}", 'write pairs, such as "[12, 18]"')
        chosen.append(solution)
    return chosen


def last_pair(text: str) -> tuple[str, str] | None:
    """The two parts of the last pair in square brackets that is not just its names; of the text if
    it has no brackets.

    The reference code takes the last brackets too: a model that reasons ends with its answer.
    """
    insides = [text]
    if "[" in text:
        insides = [inside for inside in BRACKETS.findall(text) if not NAMES.fullmatch(inside)]
    for inside in reversed(insides):
        parts = inside.split(",")
        if len(parts) == 2 and all(part.strip() for part in parts):
            return parts[0], parts[1]
    return None


def _number(part: str) -> float | None:
    part = NAME.sub("", part.strip()).strip().rstrip(")").strip()
    return float(part) if NUMBER.fullmatch(part) else None


def pattern(low: float, high: float, decimals: int) -> str:
    """The regex of a pair in brackets, each number in range; exact for integers where low <= 0 <=
    high.

    Otherwise it also lets numbers through that lie between 0 and the bounds or less than 1 beyond
    them; those are refused when they are read.
    """
    signs = [upto(int(high))] if high >= 0 else []
    signs += [f"-{upto(int(-low))}"] if low < 0 else []
    fraction = rf"(?:\.[0-9]{{1,{decimals}}})?" if decimals else ""
    number = f"(?:{'|'.join(signs)}){fraction}"
    return rf" ?\[{number}, {number}\]"


def upto(largest: int) -> str:
    """The regex of the whole numbers from 0 to `largest` (at least 0), without leading zeros."""
    digits = str(largest)
    if len(digits) == 1:
        return f"[0-{digits}]"
    parts = ["[0-9]"]
    # Shorter numbers, whatever their digits.
    parts += [f"[1-9][0-9]{{{length - 1}}}" for length in range(2, len(digits))]
    # As long ones that agree up to a place and have a smaller digit there: 2[0-3][0-9] for 247.
    for place, digit in enumerate(digits):
        least = 1 if place == 0 else 0
        if int(digit) > least:
            rest = len(digits) - place - 1
            tail = f"[0-9]{{{rest}}}" if rest else ""
            parts.append(f"{digits[:place]}[{least}-{int(digit) - 1}]{tail}")
    return f"(?:{'|'.join([*parts, digits])})"
