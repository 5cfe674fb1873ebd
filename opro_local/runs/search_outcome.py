"""What a search came to, typed: the part of a result that the trajectory decides.

For: the structure and its JSON. Not for: working it out (result.py), or what else a run's result
says (run_result.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opro_local.problems.numeric.numeric import NumericFigures
from opro_local.records import entries
from opro_local.runs.figures import FORMER_ALPHA, Leader, OperatorFigures, SplitResult
from opro_local.runs.vote import VoteFigures
from opro_local.runs.winner import Winner


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """What a search came to.

    Attributes:
        reason: why it ended.
        digest: 64 hex digits over all solutions, scores and their order.
        steps: the last step.
        baseline: the text of the first starting solution.
        best: the solution that was chosen.
        solutions: how many were scored.
        rejections: rejected replies by kind of reason, most frequent first.
        shortened: proposals over the limit that were asked for again in fewer words, and how many
            of these became solutions.
        partial, pairs: train scores on a part of the rows; answers scored on train.
        optimism: how much the best train score is likely to overstate itself for being the best.
        verdict: "reliable gain", "no reliable gain", "no reliable gain over a constant answer", "no
            usable proposals", "reliable loss: keep the baseline" or "not tested".
        alpha: 1 - the level of all intervals.
        train, validation, test: baseline and best on each; None where either was not scored.
        leaders: what was scored on validation, best first; None where nothing was held out.
        operators: of a mixed search, by the operator's name; JSON calls them `ways`.
        description: the task in a few words, where the optimizer was asked for them.
        vote: the best prompts together, where `evaluation.vote` asks for them.
        diff: of an agent file, the unified diff against the original.
        numeric: what a minimized objective adds.
        summary: the verdict in plain sentences.
        further: keys of a record that this build has no name for.
    """

    reason: str
    digest: str
    steps: int
    baseline: str
    best: Winner
    solutions: int
    rejections: Mapping[str, int]
    partial: int
    pairs: int
    optimism: float
    verdict: str
    alpha: float
    train: SplitResult | None = None
    validation: SplitResult | None = None
    test: SplitResult | None = None
    leaders: tuple[Leader, ...] | None = None
    operators: Mapping[str, OperatorFigures] = field(default_factory=dict)
    description: str = ""
    shortened: tuple[int, int] = (0, 0)
    vote: VoteFigures | None = None
    diff: str | None = None
    numeric: NumericFigures | None = None
    summary: tuple[str, ...] = ()
    further: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classified(self) -> tuple[str, SplitResult] | None:
        """The split that says most of single classes, with its name: test, or else validation, or
        train where nothing is held out. None where answers are no classes.
        """
        splits = {"test": self.test, "validation": self.validation, "train": self.train}
        for name, sides in splits.items():
            if sides is not None and sides.best.classes is not None:
                return name, sides
        return None

    @property
    def last_split(self) -> SplitResult | None:
        """The last split that was scored, in whose measure all are shown side by side; None where
        none was.
        """
        return self.test or self.validation or self.train

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it; without the summary, which stands at a result's end."""
        record: dict[str, Any] = {
            "reason": self.reason,
            "digest": self.digest,
            "steps": self.steps,
            "baseline": {"text": self.baseline},
        }
        if self.description:
            record["description"] = self.description
        if self.operators:
            record["ways"] = {name: own.to_json() for name, own in self.operators.items()}
        record |= {
            "best": self.best.to_json(),
            "solutions": self.solutions,
            "partial": self.partial,
            "pairs": self.pairs,
            "rejections": dict(self.rejections),
            "optimism": self.optimism,
        }
        if any(self.shortened):
            record["shortened"] = dict(zip(SHORTENED, self.shortened, strict=True))
        if self.leaders is not None:
            record["leaders"] = [leader.to_json() for leader in self.leaders]
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        record |= {name: sides.to_json() for name, sides in splits.items() if sides is not None}
        record |= {"verdict": self.verdict, "alpha": self.alpha}
        if self.vote is not None:
            record["vote"] = self.vote.to_json()
        if self.diff is not None:
            record["diff"] = self.diff
        if self.numeric is not None:
            record["best"]["value"] = self.numeric.value
            # A numeric problem's own figures stood around its summary from the first version on.
            record |= self.numeric.to_json() | {"summary": list(self.summary)}
            record |= self.numeric.further
        return {**record, **self.further}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], further: Mapping[str, Any]) -> SearchOutcome:
        """What `to_json` wrote, among the other keys of a result.

        Args:
            record: the whole result.
            further: its keys that no other part of it knows.
        """
        own = {name: value for name, value in further.items() if name not in NAMED}
        numeric = None
        if "optimum" in record:
            numeric, own = NumericFigures.from_json(record, own), {}
        leaders = record.get("leaders")
        if leaders is not None:
            leaders = tuple(map(Leader.from_json, entries(leaders)))
        ways, shortened = record.get("ways", {}), record.get("shortened", {})
        vote = record.get("vote")
        return cls(
            reason=record["reason"],
            digest=record["digest"],
            steps=record["steps"],
            baseline=record["baseline"]["text"],
            best=Winner.from_json(record["best"]),
            solutions=record["solutions"],
            rejections=record["rejections"],
            partial=record["partial"],
            pairs=record["pairs"],
            optimism=record["optimism"],
            verdict=record["verdict"],
            alpha=record.get("alpha", FORMER_ALPHA),
            train=_split(record, "train"),
            validation=_split(record, "validation"),
            test=_split(record, "test"),
            leaders=leaders,
            operators={name: OperatorFigures.from_json(own) for name, own in ways.items()},
            description=record.get("description", ""),
            shortened=(shortened.get("asked", 0), shortened.get("usable", 0)),
            vote=None if vote is None else VoteFigures.from_json(vote),
            diff=record.get("diff"),
            numeric=numeric,
            summary=entries(record.get("summary", ())),
            further=own,
        )


SHORTENED = ("asked", "usable")
# The keys of a record that `from_json` reads.
NAMED = frozenset(
    (
        *("reason", "digest", "steps", "baseline", "description", "ways", "best", "solutions"),
        *(
            "partial",
            "pairs",
            "rejections",
            "shortened",
            "optimism",
            "leaders",
            "train",
            "validation",
            "test",
            "verdict",
            "alpha",
            "vote",
        ),
        *("diff", "summary", "optimum", "gap", "reference", "baselines", "proposals"),
        *("evaluations", "reached"),
    )
)


def _split(record: Mapping[str, Any], name: str) -> SplitResult | None:
    sides = record.get(name)
    return None if sides is None else SplitResult.from_json(sides)
