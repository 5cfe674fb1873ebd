"""The result of a run as a typed, frozen structure.

For: what Python users, the command line and reports read, with names that a type checker knows; its
JSON is made here and in the parts it is put together of. Not for: working a result out (result.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opro_local.errors import UsageError
from opro_local.exports import formats
from opro_local.exports.whole_prompt import WholePrompt
from opro_local.problems.prompt.alarms import Alarm
from opro_local.records import entries, require_types
from opro_local.runs.costs import Costs
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.figures import SplitResult
from opro_local.runs.result_html import result_html
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.winner import Winner

if TYPE_CHECKING:
    from opro_local.runs.prediction import Predictions


# Two results are equal where their JSON is, as for any Mapping.
@dataclass(frozen=True, slots=True, eq=False)
class RunResult(Mapping[str, Any]):
    """What a finished run came to.

    Example:
        result = opro_local.optimize("mails.csv", input="text", target="label", model="./my-model",
                                     run="runs/mails")
        result.verdict                        # "reliable gain"
        result.best.text                      # "Is this mail urgent? Answer yes or no."
        result.test.difference.interval       # (0.045, 0.173)
        result["test"]["difference"]["value"] # the JSON's own names work, too

    Attributes:
        name: the run's name.
        outcome: what its trajectory decides, of a search or of an evaluation.
        costs: calls, tokens and seconds.
        engine: what ran, by role.
        rule: how answers were scored; "" where nothing has a rule.
        shares: whether scores are shares of rows; false of objectives on a scale of their own.
        notices: what to know about the run.
        skipped_rows: how many rows of the data were left out (task.bad_rows); each is listed, with
            what is wrong, in skipped_rows.txt of the run's folder.
        alarms: what was wrong with how answers were asked for or read, by the first of them.
        prompt: the chosen prompt with all that is needed to ask with it; None where the problem has
            none. best.json has it, the JSON of a result has not.
        folder: the run's; None of a result that was read from its JSON alone.
        read_answers: what `answers` calls; None where the result is not that of `evaluate`.
    """

    name: str
    outcome: SearchOutcome | EvaluationOutcome
    costs: Costs
    engine: Mapping[str, Any] | None
    rule: str
    shares: bool
    notices: tuple[str, ...]
    alarms: tuple[Alarm, ...] = ()
    skipped_rows: int = 0
    prompt: WholePrompt | None = None
    folder: Path | None = None
    read_answers: Callable[[], list[dict[str, Any]]] | None = None

    def __getitem__(self, key: str) -> Any:
        return self.to_json()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_json())

    def __len__(self) -> int:
        return len(self.to_json())

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return result_html(self)

    def to_json(self) -> dict[str, Any]:
        """The record that stands in the store and in result.json, see docs/result.md."""
        record = {
            "name": self.name,
            "state": self.state,
            **self.outcome.to_json(),
            **self.costs.to_json(),
            "engine": self.engine,
            "rule": self.rule,
            "shares": self.shares,
            "notices": list(self.notices),
        }
        if self.alarms:
            record["alarms"] = [alarm.to_json() for alarm in self.alarms]
        if self.skipped_rows:
            record["skipped_rows"] = self.skipped_rows
        # A search's sentences come last; the other kinds have put theirs beside their figures.
        record.setdefault("summary", list(self.summary))
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> RunResult:
        """What `to_json` wrote, in this version or in one that opens the same stores.

        Raises:
            ValueError: it is something else: a key is missing, or a value has another type.
        """
        try:
            result = cls._read(record)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None
        require_types(result)
        return result

    @classmethod
    def _read(cls, record: Mapping[str, Any]) -> RunResult:
        outcome: SearchOutcome | EvaluationOutcome
        if record.get("kind") == EvaluationOutcome.KIND:
            outcome = EvaluationOutcome.from_json(record)
        else:
            further = {name: value for name, value in record.items() if name not in NAMED}
            outcome = SearchOutcome.from_json(record, further)
        return cls(
            name=record["name"],
            outcome=outcome,
            costs=Costs.from_json(record),
            engine=record["engine"],
            rule=record["rule"],
            shares=record.get("shares", True),
            notices=entries(record["notices"]),
            alarms=tuple(map(Alarm.from_json, entries(record.get("alarms", ())))),
            skipped_rows=record.get("skipped_rows", 0),
        )

    def export(self, name: str) -> str:
        """The chosen prompt in the form of another program, see docs/exports.md.

        Args:
            name: of a format: one of exports.formats.FORMATS.

        Raises:
            UsageError: there is no such format, it has no room for this prompt, or there is no
                prompt to export.
        """
        if self.prompt is None:
            raise UsageError(
                f"{self.name}: this result has no prompt to export",
                "name a finished run of a prompt problem",
            )
        return formats.export(self.prompt, name)

    def answers(self) -> list[dict[str, Any]]:
        """Every answer of an evaluation with its row, by prompt and then by row: `prompt` (its
        number), `id`, `input`, `target`, `answer`, `parsed` (None for unread), `correct` (what it
        earned) and more, as `evaluate --output` writes them (docs/evaluate.md).

        They are read from the run's folder; a metric of the calling program is asked again.

        Raises:
            UsageError: the result is not one that `opro_local.evaluate` gave.
            StoreError: the run is gone, or damaged.
        """
        if self.read_answers is None:
            raise UsageError(
                f"{self.name}: this result has no rows",
                "opro_local.evaluate(..., prompt=result.best.text).answers() has them",
            )
        return self.read_answers()

    def predict(self, rows: Any, trust_code: bool = False, vote: bool = False) -> Predictions:
        """Ask the chosen prompt about new rows, see `opro_local.predict`.

        Raises:
            UsageError: this result was read without its run; or see `opro_local.predict`.
        """
        from opro_local.runs.predicting import predict

        if self.folder is None:
            raise UsageError(
                f"{self.name}: this result has no run to predict with",
                "name its folder: opro_local.predict(run, rows)",
            )
        return predict(self.folder, rows, trust_code, vote)

    @property
    def state(self) -> str:
        """A run that has a result is finished; others are a RunProgress."""
        return "finished"

    @property
    def search(self) -> SearchOutcome | None:
        """The outcome of a search; None of an evaluation."""
        return self.outcome if isinstance(self.outcome, SearchOutcome) else None

    @property
    def evaluation(self) -> EvaluationOutcome | None:
        """The outcome of an evaluation; None of a search."""
        return self.outcome if isinstance(self.outcome, EvaluationOutcome) else None

    @property
    def reason(self) -> str:
        """Why the search ended."""
        return self.outcome.reason

    @property
    def digest(self) -> str:
        """64 hex digits over all solutions, scores and their order: equal runs have equal ones."""
        return self.outcome.digest

    @property
    def steps(self) -> int:
        """The last step."""
        return self.outcome.steps

    @property
    def verdict(self) -> str | None:
        """One of "reliable gain", "no reliable gain", "no reliable gain over a constant answer",
        "no usable proposals", "reliable loss: keep the baseline" or "not tested"; None of an
        evaluation, which compares pairs instead.
        """
        return self.search.verdict if self.search else None

    @property
    def summary(self) -> tuple[str, ...]:
        """The verdict in plain sentences."""
        return self.outcome.summary

    @property
    def baseline(self) -> str:
        """The text of the first starting solution."""
        return self.outcome.baseline

    @property
    def best(self) -> Winner:
        """The solution that was chosen."""
        return self.outcome.best

    @property
    def train(self) -> SplitResult | None:
        """On the rows that the search was steered by; None where nothing was scored on all."""
        return self.search.train if self.search else None

    @property
    def validation(self) -> SplitResult | None:
        """On the rows that the winner was chosen by; None without such a split."""
        return self.search.validation if self.search else None

    @property
    def test(self) -> SplitResult | None:
        """On the rows that were opened once, for the baseline and the winner; None without them."""
        return self.search.test if self.search else None


# The keys of a record that the parts of a result beside its outcome read.
NAMED = frozenset(
    (
        *("name", "state", "calls", "tokens", "from_cache", "seconds", "test_opened"),
        *("engine", "rule", "shares", "notices", "alarms", "skipped_rows"),
    )
)


@dataclass(frozen=True, slots=True)
class RunProgress:
    """What a run that has not finished has so far.

    Attributes:
        name: the run's name.
        state: "new", "running", "interrupted" or "failed".
        reason: the error of a failed run; else the state.
        digest: over what was scored on train.
        steps, solutions: the last step; how many solutions were scored.
        rejections: rejected replies by kind of reason.
        baseline: the text of the first starting solution; "" before it is scored.
        best: the text with the highest train score; "" before one is scored.
        best_step: the step it came from.
        train: baseline and best; None before they are scored on all rows.
        costs: calls, tokens and seconds.
        shares: see RunResult.
    """

    name: str
    state: str
    reason: str
    digest: str
    steps: int
    solutions: int
    rejections: Mapping[str, int]
    baseline: str
    best: str
    best_step: int
    train: SplitResult | None
    costs: Costs
    shares: bool

    def to_json(self) -> dict[str, Any]:
        """The shape of a result, as far as it is known."""
        record = {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "digest": self.digest,
            "steps": self.steps,
            "solutions": self.solutions,
            "rejections": dict(self.rejections),
            "baseline": {"text": self.baseline},
            "best": {"text": self.best, "step": self.best_step},
            "shares": self.shares,
            **self.costs.to_json(),
        }
        if self.train is not None:
            record["train"] = self.train.to_json()
        return record
