"""Every setting of a run but those of the problem, the task and the search: names, types, ranges
and defaults.

For: frozen settings, and their canonical JSON. Not for: reading them from TOML and `--set`
(reading.py), or checks that need data, a model or a disk; those belong to the wing that uses them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticKnownError

from opro_local.config.facts import Facts
from opro_local.config.problem import ProblemSettings, PromptSettings, Section
from opro_local.config.search import SearchSettings, SeedSettings
from opro_local.config.task import TaskSettings
from opro_local.engines.kinds import CHOICES, asks_server
from opro_local.search.schedules.table import SCHEDULES


def _one_of(names: Sequence[str], value: Any) -> Any:
    """The value, if it is one of the names in a table; else pydantic's own complaint about a
    Literal, so that all settings complain alike.
    """
    if value not in names:
        *others, last = map(repr, names)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return value


class ModelSettings(Section):
    """`[optimizer]` and `[scorer]`: a model, the engine that hosts it, and how it is sampled."""

    model: Annotated[str, Facts(free=True, path="marked")] = Field(
        "", description="A folder, an imported model's name or a repository id on disk."
    )
    adapter: Annotated[str, Facts(free=True, path="any")] = Field(
        "", description="The folder of a LoRA adapter."
    )
    engine: str = Field("auto", description="Which engine hosts it.")
    temperature: float = Field(0.0, ge=0, le=2, description="Of sampling; scoring always takes 0.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Of sampling: the most likely tokens up to this share."
    )
    max_tokens: int | None = Field(
        None, ge=1, description="New tokens per answer; none: by the rule or the form."
    )
    thinking_tokens: int | None = Field(
        None, ge=0, description="New tokens for a thought; none: 4096 where the model thinks."
    )
    chat: bool | None = Field(
        None, description="Whether to use the chat template; none: as the card says."
    )
    dtype: Annotated[str, Facts(to_engine=True)] = Field(
        "auto", description="The type of number that the model computes in."
    )
    max_model_len: Annotated[int | None, Facts(to_engine=True)] = Field(
        None, ge=16, description="Context in tokens, prompt and answer together."
    )
    max_num_seqs: Annotated[int | None, Facts(free=True, to_engine=True)] = Field(
        None, ge=1, description="The most sequences that run at once."
    )
    kv_cache_bytes: Annotated[int | None, Facts(free=True, to_engine=True)] = Field(
        None, ge=1, description="Memory of the KV cache."
    )
    gpu_memory: Annotated[float | None, Facts(free=True, to_engine=True)] = Field(
        None, gt=0, le=1, description="The share of the GPU that the engine may take."
    )
    tensor_parallel: Annotated[int, Facts(free=True, to_engine=True)] = Field(
        1, ge=1, le=1024, description="GPUs that every layer is spread over."
    )
    pipeline_parallel: Annotated[int, Facts(free=True, to_engine=True)] = Field(
        1, ge=1, le=1024, description="Groups of GPUs that the layers are divided between."
    )
    data_parallel: Annotated[int, Facts(free=True, to_engine=True)] = Field(
        1, ge=1, le=1024, description="Workers with a copy of the model each."
    )
    gpu_workers: Annotated[int, Facts(free=True, to_engine=True, added=True)] = Field(
        1, ge=1, le=8, description="Workers with a copy of the model each on every GPU."
    )
    batch_tokens: Annotated[int, Facts(free=True, to_engine=True)] = Field(
        8192, ge=64, description="Padded tokens per batch of the transformers engine."
    )
    chat_template: Annotated[str, Facts(free=True, path="marked", added=True)] = Field(
        "", description="A template's file, or its name in the model's folder; none: the default."
    )
    template_args: dict[str, Any] = Field(
        default_factory=dict, description="Switches of the chat template."
    )
    engine_args: Annotated[dict[str, Any], Facts(to_engine=True)] = Field(
        default_factory=dict, description="Anything else for the engine's constructor."
    )
    script: Annotated[str | None, Facts(free=True, path="any", to_engine=True)] = Field(
        None, description="The scripted engine's function, as file.py:name."
    )
    base_url: Annotated[str, Facts(free=True, added=True, to_engine=True)] = Field(
        "", description="The server that the openai engine asks, as http://127.0.0.1:8000/v1."
    )
    api_key_variable: Annotated[str, Facts(free=True, added=True, to_engine=True)] = Field(
        "", description="The environment variable with that server's key."
    )
    trusted_code: Annotated[tuple[str, ...], Facts(free=True, added=True, to_engine=True)] = Field(
        (), description="Code in the model's folder, or kernels of a hub, that may run; by name."
    )
    allow_pickle: Annotated[bool, Facts(free=True, added=True, to_engine=True)] = Field(
        False, description="Whether weights may be pickles, which run code when they are read."
    )
    stall_seconds: Annotated[float, Facts(free=True, to_engine=True)] = Field(
        900.0, gt=0, description="A call without progress for so long ends the run."
    )
    load_seconds: Annotated[float, Facts(free=True, to_engine=True)] = Field(
        1800.0, gt=0, description="Loading without progress for so long ends the run."
    )

    @field_validator("engine", mode="before")
    @classmethod
    def _engine_is_in_the_table(cls, value: Any) -> Any:
        return _one_of(CHOICES, value)

    @model_validator(mode="after")
    def _address_is_for_a_server(self) -> ModelSettings:
        if self.base_url and not asks_server(self.engine):
            raise ValueError('base_url is for engine = "openai"')
        return self


class ScorerSettings(ModelSettings):
    """`[scorer]`: the model that answers, and what its answers are held to."""

    constrain: Annotated[Literal["", "labels"], Facts(added=True)] = Field(
        "", description='What answers are held to: "labels", the classes there are; "", nothing.'
    )
    end_loops: Annotated[bool, Facts(before=False, added=True)] = Field(
        True, description="Whether long answers that only repeat themselves are ended early."
    )


class OptimizerSettings(ModelSettings):
    """The optimizer samples at the form's temperature, 1 in the paper (section 5.1). No model means
    the scorer's.
    """

    # None is the form's; a scorer always has a number.
    temperature: float | None = Field(
        None, ge=0, le=2, description="Of sampling; none: the form's."
    )  # type: ignore[assignment]


class JudgeSettings(ModelSettings):
    """`[judge]`: the model of the rule judge. An empty model means the scorer's."""

    rubric: str | None = Field(
        None, description="What a right answer is; none: one that agrees with the target."
    )
    scale: Annotated[int | None, Facts(added=True)] = Field(
        None, ge=2, le=100, description="Grades from 1 to this; none: correct or incorrect."
    )


class EvaluationSettings(Section):
    """`[evaluation]`: how a winner is chosen and judged, and what the verb `evaluate` scores on."""

    split: Literal["train", "validation", "test"] = Field(
        "test", description="The rows that the verb evaluate scores on."
    )
    finalists: int = Field(
        8, ge=1, description="How many of the best on train are scored on validation."
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="Level of intervals and of the verdict.")
    doubt: float = Field(
        0.5, gt=0, le=1, description="The p-value on validation above which the baseline stays."
    )
    vote: Annotated[int, Facts(added=True)] = Field(
        1, ge=1, description="How many of the best prompts are asked together on test, too."
    )
    mode: str = Field("auto", description="How a step's solutions are scored on train.")
    block: int = Field(256, ge=1, description="race: prompts in one call.")
    running: Annotated[int, Facts(before=0, added=True)] = Field(
        0,
        ge=0,
        description="Requests the scorer's engine runs at once; 0: by the plan of a GPU.",
    )
    drop_alpha: float = Field(
        0.01,
        gt=0,
        lt=0.5,
        description="race: the chance to drop a solution although it is the best.",
    )
    subset_rows: int = Field(
        50, ge=1, description="subset: how many train rows a step is scored on."
    )
    subset_draw: Literal["fixed", "fresh"] = Field(
        "fixed", description="subset: the same rows in every step, or fresh ones."
    )

    @property
    def solutions(self) -> dict[str, int]:
        """How many solutions the end of a search scores on each split that was held out."""
        voters = self.vote if self.vote > 1 else 0
        return {"validation": self.finalists + 1, "test": 2 + voters}

    @field_validator("mode", mode="before")
    @classmethod
    def _mode_is_in_the_table(cls, value: Any) -> Any:
        return _one_of(("auto", *SCHEDULES), value)


class RunSettings(Section):
    """`[run]`: name and seed, and the cache that all runs share."""

    name: Annotated[str, Facts(free=True)] = Field(
        "run", description="The run's name, for its folder and for readers."
    )
    seed: int = Field(0, ge=0, description="Everything random is derived from it.")
    cache: Annotated[bool, Facts(free=True)] = Field(
        True, description="Whether answers that another run asked for are taken from the cache."
    )
    cache_bytes: Annotated[int, Facts(free=True)] = Field(
        1 << 30,
        ge=1 << 20,
        description="The cache's size, above which the least recently used answers go.",
    )
    placement: Annotated[Literal["auto", "split", "swap", "off"], Facts(free=True)] = Field(
        "auto", description="How several models share GPUs."
    )
    guard: Annotated[bool, Facts(free=True, added=True)] = Field(
        False, description="Whether connections off this machine are refused, and named."
    )
    allowed_hosts: Annotated[tuple[str, ...], Facts(free=True, added=True)] = Field(
        (), description="Hosts that may be spoken to although they are not this machine."
    )
    track: Annotated[tuple[Literal["mlflow", "trackio"], ...], Facts(free=True, added=True)] = (
        Field((), description="Trackers that are told of the run while it goes on.")
    )


class Config(Section):
    """Everything that decides what a run does."""

    problem: ProblemSettings = PromptSettings()
    task: TaskSettings = TaskSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    scorer: ScorerSettings = ScorerSettings()
    judge: JudgeSettings = JudgeSettings()
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _parts_need_rows(self) -> Config:
        schedule = SCHEDULES.get(self.evaluation.mode)
        if schedule and schedule.needs_rows and self.problem.kind != "prompt":
            raise ValueError(
                f'evaluation.mode = "{self.evaluation.mode}" needs problem.kind = "prompt"'
            )
        return self

    @model_validator(mode="after")
    def _servers_have_addresses(self) -> Config:
        for role in ("scorer", "optimizer", "judge"):
            engine = getattr(self, role).engine
            if asks_server(engine) and not self.hosted_as(role).base_url:
                known = self.scorer.base_url or self.optimizer.base_url
                same = f'"{known}" where one server has both models' if known else ""
                raise ValueError(
                    f'{role}.base_url is missing: {role}.engine = "{engine}" asks a server, at '
                    + (same or 'an address such as "http://127.0.0.1:8000/v1"')
                )
        return self

    def hosted_as(self, role: str) -> ModelSettings:
        """How a role's model is hosted: one that names no model is hosted as the scorer is, or as
        the optimizer where there is no scorer.

        Args:
            role: "optimizer", "scorer" or "judge".
        """
        own: ModelSettings = getattr(self, role)
        for settings in (own, self.scorer):
            if settings.model or settings.script or settings.base_url:
                return settings
        return self.optimizer

    @property
    def is_mixed(self) -> bool:
        """Whether a search proposes in several ways. A form that the user names is the only way, as
        in the paper.
        """
        mode, named = self.search.mode, self.search.metaprompt != "auto"
        return self.problem.kind == "prompt" and (mode == "mixed" or (mode == "auto" and not named))

    @property
    def tells_limits(self) -> bool:
        """Whether meta-prompts say how long a text may be; the paper's loop says nothing of it."""
        has_limit = self.problem.kind in ("prompt", "function", "command")
        return has_limit and self.search.revision >= 6 and self.search.mode != "opro"

    @property
    def searches_anew(self) -> bool:
        """Whether the optimizer is asked as from `search.revision` 6 on: mixed searches are."""
        return self.is_mixed and self.search.revision >= 6

    @property
    def scoring_schedule(self) -> str:
        """How a step's solutions are scored on train: a name in SCHEDULES."""
        if self.evaluation.mode != "auto":
            return self.evaluation.mode
        return "halve" if self.is_mixed else "full"

    def starting_from(self, seeds: Sequence[str | SeedSettings]) -> Config:
        """The same with other starting solutions."""
        return self.model_copy(
            update={"search": self.search.model_copy(update={"seeds": tuple(seeds)})}
        )

    def with_answer(self, answer: str) -> Config:
        """The same with `task.answer` settled."""
        return self.model_copy(update={"task": self.task.model_copy(update={"answer": answer})})

    def canonical(self) -> str:
        """Sorted, compact JSON: equal configs give equal text."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        )
