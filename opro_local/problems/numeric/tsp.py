"""The travelling salesman (paper section 4.2): the optimizer proposes tours and is shown their
lengths.

For: asking for tours, freely or city by city, reading and measuring them. Not for: points,
heuristics or the optimum.

A tour is written "0,3,1,2": from city 0 on, in the direction whose second city is the smaller one,
so that one tour is one solution. Scores are minus the length.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from opro_local.config.problem import TspSettings
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.problems.ask import ask_once
from opro_local.problems.numeric import tsp_tours
from opro_local.problems.numeric.baselines import random_search
from opro_local.problems.numeric.numeric import NumericFigures, Reference, numeric_figures
from opro_local.problems.numeric.tsp_chain import Chain, reseeded
from opro_local.problems.numeric.tsp_points import Points
from opro_local.problems.numeric.tsp_tours import Tour
from opro_local.search.metaprompts.metaprompt import Form, parse
from opro_local.search.trajectory import Trajectory
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Prompt,
    Sampling,
    Score,
    Solution,
    Split,
)

# Purposes of the seeds that draw the points and the starts; of chance.py's a tour's search uses 1
# to 3.
POINTS, STARTS = 4, 5
HEURISTICS = {
    "nearest_neighbour": tsp_tours.nearest_neighbour,
    "farthest_insertion": tsp_tours.farthest_insertion,
}


class Tsp:
    """A shortest closed tour through points.

    Args:
        config: `search.seeds` is read, and `run.seed` draws the starts.
        settings: the config's `problem`.
        points: what is to be visited.
        form: how the optimizer is asked; says what stands around a tour in its replies.
        constrained: whether tours are built city by city, each chosen among those that remain.

    Raises:
        UsageError: `search.seeds` names something that is not a tour.
    """

    splits: tuple[Split, ...] = ("train",)

    def __init__(
        self, config: Config, settings: TspSettings, points: Points, form: Form, constrained: bool
    ) -> None:
        self._settings = settings
        self._points, self._form, self._constrained = points, form, constrained
        self.nodes = len(points.xy)
        self._seeds = _chosen(self, config) or self._starts(config.run.seed)
        best = tsp_tours.shortest(points.distances)
        self.optimum: Reference | None = None
        self.target: float | None = None
        if best:
            method = "integer programming (HiGHS), proven"
            self.optimum = Reference(written(best), self.length(best), method)
            # A little below the best score, so that rounding hides no shortest tour.
            self.target = -self.optimum.value * (1 + 1e-9)

    def length(self, tour: Tour) -> float:
        """How long a closed tour is."""
        return tsp_tours.length(tour, self._points.distances)

    def seeds(self) -> list[Solution]:
        """`search.seeds` where the config names some, else a heuristic's tour if wanted, and random
        ones.
        """
        return self._seeds

    def ask_optimizer(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        """One tour per sampling.

        Free: replies that are no tour are asked for again, at most `attempts` times in all; every
        reply is returned, so that the search counts the refused ones. Constrained: one Batch per
        city.
        """
        if self._constrained:
            return (yield from self._chain(label, prompt, samplings))
        if not self._form.chat:  # a model that only continues writes on after the tour
            most = 4 * self.nodes + 16
            samplings = [
                replace(sampling, max_tokens=min(most, sampling.max_tokens))
                for sampling in samplings
            ]
        replies = list((yield from ask_once(label, prompt, samplings)))
        failed = self._failed(replies, samplings)
        for attempt in range(1, self._settings.attempts):
            if not failed or any(reply.finish_reason == "too_long" for reply in replies):
                break
            again = [reseeded(sampling, attempt) for sampling in failed]
            more = yield from ask_once(f"{label}/again{attempt}", prompt, again)
            replies += more
            failed = self._failed(more, again)
        return replies

    def parse(self, text: str) -> Solution | str:
        """The tour in a text: the numbers in it, every city once; a return to the first at the end
        is left away.
        """
        cities = [int(digits[:9]) for digits in re.findall(r"\d+", text)]
        if re.search(r"\d\.\d|-\s*\d", text) or not cities:
            return f"not a list of cities: {' '.join(text.split())[:60]!r}"
        if len(cities) == self.nodes + 1 and cities[0] == cities[-1]:
            del cities[-1]
        reason = self._fault(Counter(cities))
        return reason or Solution(written(tsp_tours.canonical(cities)))

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, BatchResult, list[Score]]:
        """Minus the length of each tour; asks nobody."""
        yield from ()
        lengths = [self.length(tour_of(solution.text)) for solution in solutions]
        return [Score(-value, np.array([-value])) for value in lengths]

    def format_score(self, value: float) -> str:
        """The length, to as many decimals as the points have."""
        return f"{abs(value):.{self._settings.decimals}f}"

    def prompt_variables(self) -> Mapping[str, str]:
        """`points` as the paper lists them, and words for forms that are not this problem's own."""
        listed = ", ".join(
            f"({city}): ({x:.6g}, {y:.6g})" for city, (x, y) in enumerate(self._points.xy)
        )
        return {
            "points": listed,
            "place": "in the trace",
            "noun": "trace",
            "tag": "trace",
            "subject": "routing",
        }

    def exemplars(self, indices: Sequence[int]) -> Sequence[Mapping[str, str]]:
        """There are no rows to show."""
        return ()

    def figures(self, trajectory: Trajectory) -> NumericFigures:
        """The best tour beside the optimum, the heuristics and random tours, as many as were
        evaluated.
        """
        starts = [tour_of(seed.text) for seed in self._seeds]
        floor = self.optimum.value if self.optimum else 0.0
        baselines = {
            name: self.length(make(self._points.distances)) for name, make in HEURISTICS.items()
        }
        baselines["random_search"] = random_search(
            self.length,
            len(trajectory.entries),
            starts,
            floor,
            lambda rng: tsp_tours.random_tour(self.nodes, rng),
        )
        return numeric_figures(trajectory, self.optimum, baselines)

    def ending(self, reason: str, figures: NumericFigures) -> str:
        """Why the search ended, in the problem's own words where its target was reached."""
        if reason.startswith("target score") and figures.reached:
            return "a shortest tour was found"
        return reason

    def _starts(self, seed: int) -> list[Solution]:
        """The starts, all different; there may be fewer tours than are wanted."""
        rng = np.random.default_rng(np.random.SeedSequence((seed, 0, STARTS)))
        start = self._settings.start
        tours = {} if start == "random" else {HEURISTICS[start](self._points.distances): None}
        for _ in range(100 * self._settings.starts):
            if len(tours) >= self._settings.starts:
                break
            tours[tsp_tours.random_tour(self.nodes, rng)] = None
        return [Solution(written(tour)) for tour in tours]

    def _fault(self, visits: Counter[int]) -> str:
        """Why these visits are not a tour; empty if they are."""
        unknown = [city for city in visits if city >= self.nodes]
        if unknown:
            return f"not a tour: there is no city {unknown[0]}"
        twice = sum(count > 1 for count in visits.values())
        missing = self.nodes - len(visits)
        if missing or twice:
            return f"not a tour: {missing} cities missing, {twice} more than once"
        return ""

    def _failed(
        self, replies: Sequence[Completion], samplings: Sequence[Sampling]
    ) -> list[Sampling]:
        """The samplings whose replies are no tour."""
        texts = [parse(self._form, reply.text, self.prompt_variables()) for reply in replies]
        return [
            sampling
            for text, sampling in zip(texts, samplings, strict=True)
            if text is None or isinstance(self.parse(text), str)
        ]

    def _chain(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        """Tours city by city: at each position one Batch, each request with its tour so far and
        what remains of it.
        """
        lead = self._form.prefill or self._mark(self._form.open)
        lead = lead if re.search(r"\b0,\s*$", lead) else f"{lead}0,"
        chains = [Chain((0,), self.nodes, sampling) for sampling in samplings]
        for position in range(1, self.nodes - 1):
            growing = [chain for chain in chains if chain.broken is None]
            if not growing:
                break
            part = f"{label}/city{position}" if position > 1 else label
            reply = yield Batch(
                part, "optimizer", [chain.request(prompt, lead) for chain in growing]
            )
            # One completion for each chain that was asked, in the same order.
            completions = iter(reply.completions)
            for place, chain in enumerate(chains):
                if chain.broken is None:
                    chains[place] = chain.grown(next(completions))
        lead, close = lead.removeprefix(self._form.prefill), self._mark(self._form.close)
        return [chain.completion(lead, close) for chain in chains]

    def _mark(self, source: str) -> str:
        """A form's open or close with this problem's tag in it."""
        return source.replace("{{ tag }}", self.prompt_variables()["tag"])


def written(tour: Tour) -> str:
    """A tour as solutions write it."""
    return ",".join(map(str, tour))


def tour_of(text: str) -> Tour:
    """The tour that a solution's text says."""
    return tuple(map(int, text.split(",")))


def _chosen(problem: Tsp, config: Config) -> list[Solution]:
    """The starting tours that the config names, if it does."""
    if "seeds" not in config.search.model_fields_set:
        return []
    chosen = []
    for text in config.search.texts:
        solution = problem.parse(text)
        if isinstance(solution, str):
            example = written(tuple(range(problem.nodes)))
            raise UsageError(f"search.seeds: {solution}", f"write tours, such as {example!r}")
        chosen.append(solution)
    return chosen
