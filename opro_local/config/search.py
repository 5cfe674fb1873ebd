"""`[search]` of a config: the settings of OPRO and of the mode that goes beyond it.

For: names, types, ranges and defaults. Not for: reading a config (reading.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from opro_local.config.facts import Facts
from opro_local.config.problem import Section
from opro_local.errors import UsageError

PAPERS_LONGEST = 500  # characters of a proposal, as in the paper's code

Placeholder = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


def prompts_given(prompt: Any) -> list[str]:
    """The prompts that a search is to start from, as a user gives them: one text or several.

    An empty one is refused: it is a variable that was never filled oftener than the paper's empty
    instruction, which `search.seeds` takes.

    Raises:
        UsageError: one of them is no text, or says nothing.
    """
    is_one = isinstance(prompt, (str, bytes)) or not isinstance(prompt, Sequence)
    several = [prompt] if is_one else prompt
    for one in several:
        if not isinstance(one, str):
            raise UsageError(f"prompt is {one!r:.60}, no text", "give one text, or a list of texts")
        if not one.strip():
            raise UsageError(
                f"prompt is {one!r:.60}: it says nothing",
                "leave prompt out to start from one that is made from the data, or set "
                'search.seeds = [""] to start from an empty one',
            )
        if "\0" in one or any("\ud800" <= character <= "\udfff" for character in one):
            what = "a NUL" if "\0" in one else "half a character (a lone surrogate)"
            raise UsageError(f"prompt has {what} in it: {one!r:.60}", "give text")
    return list(several)


class SeedSettings(Section):
    """A starting instruction with worked examples, by the ids of train rows: an entry of
    `search.seeds`.

    `answers` are what the rows are shown with, one for each; without them it is their targets.
    """

    text: str = Field(description="The instruction.")
    demonstrations: tuple[str, ...] = Field(
        (), description="Ids of the train rows shown with it, in order."
    )
    answers: tuple[str, ...] = Field(
        (), description="What each of them is shown with; none: its target."
    )

    @model_validator(mode="after")
    def _an_answer_for_each(self) -> SeedSettings:
        if self.answers and len(self.answers) != len(self.demonstrations):
            raise ValueError("as many answers as demonstrations, or none")
        return self


class SearchSettings(Section):
    """`[search]`: OPRO's settings (paper section 5.1 and 5.2), and those of the mode that goes
    beyond it.
    """

    mode: Literal["auto", "opro", "mixed"] = Field(
        "auto",
        description="Where new solutions come from: one form as in the paper, or several ways.",
    )
    seeds: tuple[str | SeedSettings, ...] = Field(
        ("Let's solve the problem.",), description="Starting solutions; the first is the baseline."
    )
    steps: Annotated[int, Facts(free=True)] = Field(
        20, ge=0, description="How many steps the search takes at most."
    )
    candidates: int = Field(
        8, ge=1, le=10_000, description="Solutions scored a step, proposed in one call."
    )
    history: int = Field(
        20, ge=0, description="How many of the best solutions a meta-prompt shows."
    )
    recent: int = Field(
        0, ge=0, description="How many of the most recent solutions it shows as well."
    )
    order: Literal["ascending", "descending", "random"] = Field(
        "ascending", description="How the shown solutions are sorted by score."
    )
    buckets: int = Field(100, ge=0, description="Steps of the shown score; 0 hides it.")
    threshold: float = Field(0.0, description="Solutions with a lower score are not shown.")
    exemplars: int = Field(3, ge=0, le=1000, description="How many train rows a meta-prompt shows.")
    exemplar_choice: Literal["random", "constant", "most_wrong", "shown_wrong"] = Field(
        "random", description="How the shown rows are chosen."
    )
    metaprompt: Annotated[str, Facts(path="form")] = Field(
        "auto", description="The form's name, or a TOML file with one."
    )
    schedule: Literal["constant", "linear"] = Field(
        "constant", description="How the optimizer's temperature changes over the steps."
    )
    temperature_end: float | None = Field(
        None, ge=0, le=2, description="Where a linear schedule ends."
    )
    max_characters: Annotated[int | None, Facts(before=500)] = Field(
        None,
        ge=1,
        description="Longer proposals are rejected; none: 4000 from chat models, else 500.",
    )
    max_words: int | None = Field(None, ge=1, description="Proposals of more words are rejected.")
    digits: Literal["auto", "allow", "reject"] = Field(
        "auto", description="Whether proposals with digits are rejected."
    )
    constraint: str = Field("", description="A further line of the meta-prompt.")
    exploration: float = Field(
        0.0, ge=0, description="What a solution's similarity to earlier ones costs in its rank."
    )
    similarity: Annotated[str, Facts(path="marked")] = Field(
        "ngrams", description="How similarity is measured: n-grams, or a model's folder."
    )
    patience: Annotated[int, Facts(free=True)] = Field(
        0, ge=0, description="Stop after so many steps without a gain; 0: never."
    )
    min_gain: Annotated[float, Facts(free=True)] = Field(
        0.0, ge=0, description="What counts as no gain, up to and including."
    )
    target_score: Annotated[float | None, Facts(free=True)] = Field(
        None, description="Stop when the score on train reaches it."
    )
    max_tokens: Annotated[int | None, Facts(free=True)] = Field(
        None, ge=1, description="Stop when all roles together have used so many tokens."
    )
    max_seconds: Annotated[float | None, Facts(free=True)] = Field(
        None, gt=0, description="Stop after so many seconds."
    )
    early_stop: Annotated[bool, Facts(free=True, added=True)] = Field(
        True,
        description="mixed: stop where no further step could be told from those before.",
    )
    max_pairs: int | None = Field(
        None, ge=1, description="Stop when so many pairs of solution and train row are scored."
    )
    operators: Annotated[tuple[str, ...], Facts(path="form")] = Field(
        (), description="The forms that proposals are divided among."
    )
    drafts: int | None = Field(
        None, ge=1, le=1000, description="Texts asked for each that is scored."
    )
    retries: int = Field(
        2, ge=0, le=100, description="How often a reply that came to nothing is asked again."
    )
    near_duplicate: float = Field(
        0.98, gt=0, le=1, description="The similarity from which a reply counts as seen before."
    )
    generic_seeds: int = Field(
        4, ge=0, le=1000, description="How many generic instructions are further seeds."
    )
    written_seeds: int = Field(
        1, ge=0, le=1000, description="How many further seeds the optimizer writes."
    )
    demonstrations: int = Field(
        8, ge=0, le=1000, description="The most worked examples a solution may show."
    )
    demonstration_tokens: int = Field(
        1024, ge=1, description="The most tokens they may add to a prompt."
    )
    required: Annotated[tuple[Placeholder, ...], Facts(added=True)] = Field(
        (), description="Texts that every solution must hold, such as your own placeholders."
    )
    revision: Annotated[int, Facts(before=1, added=True)] = Field(
        6,
        ge=1,
        le=6,
        description="How replies are asked for and judged, the first seed, and which equal wins.",
    )
    demonstration_answers: Literal["auto", "own", "target"] = Field(
        "auto",
        description="What worked examples answer: targets, or the model's own right answers.",
    )

    @field_validator("seeds")
    @classmethod
    def _some(cls, seeds: tuple[str | SeedSettings, ...]) -> tuple[str | SeedSettings, ...]:
        texts = [seed if isinstance(seed, str) else seed.text for seed in seeds]
        if any("\0" in text for text in texts):
            raise ValueError("texts without a NUL")
        if not seeds:
            raise ValueError("at least one starting solution")
        return seeds

    @field_validator("required")
    @classmethod
    def _each_once(cls, required: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in text for text in required):
            raise ValueError("texts without a NUL")
        return tuple(dict.fromkeys(required))

    @property
    def longest(self) -> int:
        """The most characters of a proposal; the paper's limit where nobody said."""
        return self.max_characters or PAPERS_LONGEST

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
