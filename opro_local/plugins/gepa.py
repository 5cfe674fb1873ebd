"""OPRO for those who have an adapter of gepa's: the same call, with a model of one's own, held-out
rows and a verdict; and that model for gepa itself.

For: gepa's contract (0.1.4), which needs no import of gepa. Not for: gepa's search.

    from opro_local.plugins import gepa
    from opro_local.plugins.searching import Choices

    choices = Choices("./my-model", steps=8)
    improved = gepa.optimize({"system": "Answer."}, rows, adapter=adapter, choices=choices)
    print(improved.texts["system"], improved.verdict)

The adapter runs and scores the program; its reflective dataset is the feedback that the optimizer
model is shown. The other way round, `Reflection("./my-model")` is a `reflection_lm` for
gepa.optimize.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from opro_local.config import reading
from opro_local.errors import EngineError, UsageError
from opro_local.plugins.scoring import RowScores
from opro_local.plugins.searching import Choices, Improved, divided, improve, rows_digest
from opro_local.problems.named_texts import GivenTexts
from opro_local.runs import hosting
from opro_local.runs.given_config import with_settings
from opro_local.runs.lazy_engine import LazyEngine
from opro_local.runs.plans.plan import cards_of
from opro_local.scoring.reading.thoughts import spoken
from opro_local.types import Prompt, Request, Role, Sampling, Split

SHOWN = 3  # records of a reflective dataset, for the optimizer
CUT = 400  # characters of each
REFLECTION_TOKENS = 1024


class Adapter(Protocol):
    """What is used of gepa's GEPAAdapter."""

    def evaluate(
        self, batch: list[Any], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        """The scores of a batch, as an EvaluationBatch."""

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What went wrong, by component."""


def optimize(
    seed_candidate: Mapping[str, str],
    trainset: Sequence[Any],
    valset: Sequence[Any] | None = None,
    *,
    adapter: Adapter,
    choices: Choices,
    description: str = "",
) -> Improved:
    """Search the texts that an adapter's program does best with. The components take turns.

    Args:
        seed_candidate: the texts by component.
        trainset: rows. Without a valset they are divided into train, validation and test
            (`task.split`).
        valset: rows to choose and to test by, divided between the two.
        adapter: a GEPAAdapter. `evaluate` is called once for each candidate and split.
        choices: the model and the search, see searching.Choices.
        description: what the program does, in words for the optimizer model.

    Raises:
        OproError: see errors.py.
    """
    if not seed_candidate or not trainset:
        raise UsageError(
            "seed_candidate and trainset: there is nothing to optimize",
            "give at least one text and some rows",
        )
    config = choices.config("gepa", seed_candidate)
    splits = divided(config, trainset, valset or ())

    def score(texts: Mapping[str, str], split: Split) -> RowScores:
        return _scores(adapter, dict(texts), splits[split], reflects=split == "train")

    sizes = {split: len(rows) for split, rows in splits.items()}
    given = GivenTexts(seed_candidate, sizes, description, noun="text")
    return improve(config, choices, given, score, rows_digest(splits))


def _scores(
    adapter: Adapter, candidate: dict[str, str], rows: list[Any], reflects: bool
) -> RowScores:
    """What the rows earn, and where the optimizer is to learn from them, why."""
    batch = adapter.evaluate(list(rows), dict(candidate), capture_traces=reflects)
    feedback: dict[str, str] = {}
    if reflects:
        names = list(candidate)
        records = adapter.make_reflective_dataset(dict(candidate), batch, names)
        feedback = {name: _told(records.get(name, ())) for name in names}
    return RowScores(list(batch.scores), feedback)


def _told(records: Sequence[Mapping[str, Any]]) -> str:
    """Some records of a reflective dataset, each in one line."""
    lines = [str(record.get("Feedback") or json.dumps(record, default=str)) for record in records]
    return " | ".join(" ".join(line.split())[:CUT] for line in lines[:SHOWN])


class Reflection:
    """A model of one's own as gepa's `reflection_lm`: called with a prompt, it returns a text.

        with Reflection("./my-model") as reflection:
            gepa.optimize(..., reflection_lm=reflection)

    Args:
        model: a folder, an imported name, or a repository id on disk. It is loaded when it is first
            asked.
        set: any settings of `optimizer`, such as ["optimizer.temperature=0.7"].
    """

    def __init__(self, model: str | Path, set: Mapping[str, Any] | Sequence[str] = ()) -> None:
        tables = {"optimizer": {"model": str(model)}}
        config = reading.build(*with_settings(tables, set))
        settings = hosting.settings_of(config, "optimizer")
        cards = cards_of(config, ("optimizer",))
        folders: dict[Role, Path] = {"optimizer": hosting.folder_of(settings)}
        self._engine = LazyEngine(hosting.hostings(config, cards, folders)["optimizer"])
        self._chat = cards["optimizer"].chat
        self._options, self._seed = config.optimizer, config.run.seed
        self._asked = 0

    def __call__(self, prompt: str | Sequence[Mapping[str, str]]) -> str:
        """The model's reply, without its thoughts.

        Raises:
            EngineError: the prompt does not fit the model's context, or the engine failed.
        """
        asked = prompt if isinstance(prompt, str) else "\n\n".join(m["content"] for m in prompt)
        temperature = 1.0 if self._options.temperature is None else self._options.temperature
        # Another seed for each call, or gepa would get one reply again and again.
        seed = self._seed + self._asked if temperature else None
        self._asked += 1
        tokens = self._options.max_tokens or REFLECTION_TOKENS
        sampling = Sampling(tokens, temperature, self._options.top_p if temperature else 1.0, seed)
        (reply,) = self._engine.generate([Request(Prompt(asked, chat=self._chat), sampling)])
        if reply.finish_reason == "too_long":
            raise EngineError(
                f"the prompt of {len(asked)} characters does not fit the model's context",
                "give gepa a smaller reflection_minibatch_size, or raise optimizer.max_model_len",
            )
        return spoken(reply.text) or ""

    def close(self) -> None:
        """Free the model."""
        self._engine.close()

    def __enter__(self) -> Reflection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
