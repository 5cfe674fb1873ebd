"""`[search]` of a config: the settings of OPRO and of the mode that goes beyond it.

For: names, types, ranges and defaults. Not for: reading a config (config.py).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from opro_local.config.facts import Facts
from opro_local.config.problem import Section


class SeedSettings(Section):
    """A starting instruction with worked examples, by the ids of train rows: an entry of
    `search.seeds`.

    `answers` are what the rows are shown with, one for each; without them it is their targets.
    """

    text: str
    demonstrations: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _an_answer_for_each(self) -> SeedSettings:
        if self.answers and len(self.answers) != len(self.demonstrations):
            raise ValueError("as many answers as demonstrations, or none")
        return self


class SearchSettings(Section):
    """`[search]`: OPRO's settings (paper section 5.1 and 5.2), and those of the mode that goes
    beyond it.
    """

    mode: Literal["auto", "opro", "mixed"] = "auto"
    seeds: tuple[str | SeedSettings, ...] = ("Let's solve the problem.",)
    steps: Annotated[int, Facts(free=True)] = Field(20, ge=0)
    candidates: int = Field(8, ge=1)
    history: int = Field(20, ge=0)
    recent: int = Field(0, ge=0)
    order: Literal["ascending", "descending", "random"] = "ascending"
    buckets: int = Field(100, ge=0)
    threshold: float = 0.0
    exemplars: int = Field(3, ge=0)
    exemplar_choice: Literal["random", "constant", "most_wrong", "shown_wrong"] = "random"
    metaprompt: Annotated[str, Facts(path="form")] = "auto"
    schedule: Literal["constant", "linear"] = "constant"
    temperature_end: float | None = Field(None, ge=0, le=2)
    max_characters: int = Field(500, ge=1)
    max_words: int | None = Field(None, ge=1)
    digits: Literal["auto", "allow", "reject"] = "auto"
    constraint: str = ""
    exploration: float = Field(0.0, ge=0)
    similarity: Annotated[str, Facts(path="marked")] = "ngrams"
    patience: Annotated[int, Facts(free=True)] = Field(0, ge=0)
    min_gain: Annotated[float, Facts(free=True)] = Field(0.0, ge=0)
    target_score: Annotated[float | None, Facts(free=True)] = None
    max_tokens: Annotated[int | None, Facts(free=True)] = Field(None, ge=1)
    max_seconds: Annotated[float | None, Facts(free=True)] = Field(None, gt=0)
    max_pairs: int | None = Field(None, ge=1)
    operators: Annotated[tuple[str, ...], Facts(path="form")] = ()
    drafts: int | None = Field(None, ge=1)
    retries: int = Field(2, ge=0)
    near_duplicate: float = Field(0.98, gt=0, le=1)
    generic_seeds: int = Field(4, ge=0)
    written_seeds: int = Field(1, ge=0)
    demonstrations: int = Field(8, ge=0)
    demonstration_tokens: int = Field(1024, ge=1)
    demonstration_answers: Literal["auto", "own", "target"] = "auto"

    @field_validator("seeds")
    @classmethod
    def _some(cls, seeds: tuple[str | SeedSettings, ...]) -> tuple[str | SeedSettings, ...]:
        if not seeds:
            raise ValueError("at least one starting solution")
        return seeds

    @property
    def starts(self) -> tuple[SeedSettings, ...]:
        """The starting solutions, those given as a text alone included."""
        return tuple(
            SeedSettings(text=seed) if isinstance(seed, str) else seed for seed in self.seeds
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts of the starting solutions."""
        return tuple(seed.text for seed in self.starts)

    @property
    def drafts_each(self) -> int:
        """How many texts are asked for each that is scored; with worked examples a text says too
        little to choose.
        """
        return self.drafts or (1 if self.demonstrations else 3)

    @model_validator(mode="after")
    def _consistent(self) -> SearchSettings:
        if self.drafts_each > 1 and self.demonstrations:
            raise ValueError(
                "search.drafts chooses by the text alone and needs search.demonstrations = 0"
            )
        if self.schedule == "linear" and self.temperature_end is None:
            raise ValueError('schedule = "linear" needs search.temperature_end')
        return self
