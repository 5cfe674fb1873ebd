"""What a run is asked to do: frozen settings, read from TOML and `--set`, written as canonical JSON.

For: names, types, ranges and defaults of every setting, and one-line messages when they are wrong. Not for: checks
that need data, a model or a disk; those belong to the room that uses them.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from opro_local.errors import UsageError
from opro_local.problem_settings import PROBLEMS, ProblemSettings, PromptSettings, Section, Shares
from opro_local.search_settings import SearchSettings, SeedSettings

Position = Literal["before_Q", "Q_begin", "Q_end", "A_begin", "system", "template"]


class TaskSettings(Section):
    """`[task]`: the examples, how they are split, shown and scored."""

    name: str = "table"
    data: str | None = None
    train: str | None = None
    validation: str | None = None
    test: str | None = None
    data_dir: str | None = None
    input: str | None = None
    target: str | None = None
    split: Shares = (0.4, 0.2, 0.4)
    split_seed: int = Field(0, ge=0)
    train_rows: int | None = Field(None, ge=1)
    validation_rows: int | None = Field(None, ge=0)
    test_rows: int | None = Field(None, ge=0)
    rule: str = "auto"
    labels: tuple[str, ...] = ()
    pattern: str | None = None
    kind: Literal["auto", "number", "boolean", "choice", "text"] = "auto"
    second_round: bool = False
    description: str = ""
    position: Position = "Q_begin"
    template: str | None = None
    qa: bool | None = None

    @model_validator(mode="after")
    def _template_has_its_place(self) -> TaskSettings:
        if self.position == "template" and self.template is None:
            raise ValueError('position = "template" needs task.template')
        if self.template is not None and "{instruction}" not in self.template:
            raise ValueError("task.template has no {instruction}")
        return self


class ModelSettings(Section):
    """`[optimizer]` and `[scorer]`: a model, the engine that hosts it, and how it is sampled."""

    model: str = ""
    adapter: str = ""
    engine: Literal["auto", "vllm", "transformers", "scripted"] = "auto"
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    chat: bool | None = None
    dtype: str = "auto"
    max_model_len: int | None = Field(None, ge=16)
    max_num_seqs: int | None = Field(None, ge=1)
    kv_cache_bytes: int | None = Field(None, ge=1)
    gpu_memory: float | None = Field(None, gt=0, le=1)
    tensor_parallel: int = Field(1, ge=1)
    pipeline_parallel: int = Field(1, ge=1)
    data_parallel: int = Field(1, ge=1)
    batch_tokens: int = Field(8192, ge=64)
    template_args: dict[str, Any] = Field(default_factory=dict)
    engine_args: dict[str, Any] = Field(default_factory=dict)
    script: str | None = None
    stall_seconds: float = Field(900.0, gt=0)
    load_seconds: float = Field(1800.0, gt=0)


class OptimizerSettings(ModelSettings):
    """The optimizer samples at the form's temperature, 1 in the paper (section 5.1). No model means the scorer's."""

    temperature: float | None = Field(None, ge=0, le=2)


class JudgeSettings(ModelSettings):
    """`[judge]`: the model of the rule judge. An empty model means the scorer's."""

    rubric: str | None = None


class EvaluationSettings(Section):
    """`[evaluation]`: how a winner is chosen and judged, and the split that `evaluate` scores on."""

    split: Literal["train", "validation", "test"] = "test"
    finalists: int = Field(8, ge=1)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    doubt: float = Field(0.5, gt=0, le=1)
    mode: Literal["auto", "full", "race", "halve", "subset"] = "auto"
    block: int = Field(256, ge=1)
    drop_alpha: float = Field(0.01, gt=0, lt=0.5)
    subset_rows: int = Field(50, ge=1)
    subset_draw: Literal["fixed", "fresh"] = "fixed"


class RunSettings(Section):
    """`[run]`: name and seed, and the cache that all runs share."""

    name: str = "run"
    seed: int = Field(0, ge=0)
    cache: bool = True
    cache_bytes: int = Field(1 << 30, ge=1 << 20)
    placement: Literal["auto", "split", "swap", "off"] = "auto"


class Config(Section):
    """Everything that decides what a run does."""

    problem: ProblemSettings = PromptSettings()
    task: TaskSettings = TaskSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    scorer: ModelSettings = ModelSettings()
    judge: JudgeSettings = JudgeSettings()
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _parts_need_rows(self) -> Config:
        if self.evaluation.mode not in ("auto", "full") and self.problem.kind != "prompt":
            raise ValueError(f'evaluation.mode = "{self.evaluation.mode}" needs problem.kind = "prompt"')
        return self

    @property
    def is_mixed(self) -> bool:
        """Whether a search proposes in several ways. A form that the user names is the only way, as in the paper."""
        mode, named = self.search.mode, self.search.metaprompt != "auto"
        return self.problem.kind == "prompt" and (mode == "mixed" or (mode == "auto" and not named))

    @property
    def scoring(self) -> Literal["full", "race", "halve", "subset"]:
        """How a step's solutions are scored on train."""
        if self.evaluation.mode != "auto":
            return self.evaluation.mode
        return "halve" if self.is_mixed else "full"

    def starting_from(self, seeds: Sequence[str | SeedSettings]) -> Config:
        """The same with other starting solutions."""
        return self.model_copy(update={"search": self.search.model_copy(update={"seeds": tuple(seeds)})})

    def canonical(self) -> str:
        """Sorted, compact JSON: equal configs give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


# A run may be continued with other values of these: stop rules only decide where it ends, the rest how it is hosted.
# What they stand for (data, models) is held by digests of its own in the store.
FREE = frozenset(
    {"run.name", "run.cache", "run.cache_bytes", "run.placement"}
    | {f"search.{k}" for k in ("steps", "patience", "min_gain", "target_score")}
    | {f"search.{k}" for k in ("max_tokens", "max_seconds")}
    | {f"problem.{k}" for k in ("file", "suite", "data_file", "folder", "parallel")}
    | {f"task.{k}" for k in ("data", "train", "validation", "test", "data_dir")}
    | {
        f"{role}.{k}"
        for role in ("optimizer", "scorer", "judge")
        for k in ("model", "adapter", "script", "max_num_seqs", "kv_cache_bytes", "gpu_memory", "batch_tokens")
        + ("tensor_parallel", "pipeline_parallel", "data_parallel", "stall_seconds", "load_seconds")
    }
)

# Settings of earlier versions, with their defaults. A stored run that has the default is the run it is without the
# setting, and goes on; one that has another value can't be repeated here.
REMOVED: Mapping[str, Any] = {"search.pipelined": False}

FUNCTION = re.compile(r".*\.py:\w+")  # "file.py:name"
PATHS = {
    "task": ("data", "train", "validation", "test", "data_dir", "rule", "pattern"),
    "search": ("metaprompt", "operators", "similarity"),
    **{role: ("model", "adapter", "script") for role in ("optimizer", "scorer", "judge")},
    "problem": ("file", "suite", "data_file", "folder", "function"),
}


def build(tables: Mapping[str, Any], overrides: Iterable[str] = (), base: Path | None = None) -> Config:
    """Build a config from nested tables and `section.key=value` overrides.

    Args:
        tables: as tomllib returns them.
        overrides: each "section.key=value"; the value is read as TOML, else taken as text.
        base: the folder that relative paths in `tables` start from; the working directory if None, as in `overrides`.

    Raises:
        UsageError: an unknown key, a wrong type or a value out of range; one line, with the nearest name.
    """
    merged = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    _resolve_paths(merged, base or Path.cwd())
    for override in overrides:
        _apply(merged, override)
    _resolve_paths(merged, Path.cwd())
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def read(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config from a TOML file; see `build`. Raises UsageError if it is missing or not TOML."""
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: can't read the config ({error.strerror})", "give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file ({error})") from None
    return build(tables, overrides, path.resolve().parent)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The settings that differ between two dumped configs and would make it another run, as "key: old -> new".

    A setting that the old one does not have is newer than it and stood at its default; one that was removed since must
    have stood at its default, too.
    """
    found = []
    defaults = Config().model_dump(mode="json")
    for section in sorted(set(old) | set(new)):
        before, after = {**defaults.get(section, {}), **old.get(section, {})}, new.get(section, {})
        for key in sorted(set(before) | set(after)):
            name = f"{section}.{key}"
            if name in REMOVED and key not in after:
                if before[key] != REMOVED[name]:
                    found.append(f"{name} was {before[key]!r} and is removed: finish it with the version that made it")
            elif not is_free(name, new) and _of_its_own(before.get(key)) != _of_its_own(after.get(key)):
                found.append(f"{name} was {before.get(key)!r}, now {after.get(key)!r}")
    return found


def is_free(name: str, config: Mapping[str, Any]) -> bool:
    """Whether a run may be continued with another value; the number of steps is part of a temperature's schedule."""
    scheduled = name == "search.steps" and config.get("search", {}).get("schedule") == "linear"
    return name in FREE and not scheduled


def _of_its_own(value: Any) -> Any:
    """A setting's value without the folder of a user's function or form: a project may move with them.

    A function's file is held by a digest of its own, what a form says by the requests made of it.
    """
    if isinstance(value, list):
        return [_of_its_own(one) for one in value]
    own = isinstance(value, str) and (FUNCTION.fullmatch(value) or value.endswith(".toml"))
    return Path(value).name if own else value


def _apply(tables: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    section, dot, key = name.strip().partition(".")
    if not (equals and dot and key):
        raise UsageError(f"--set {override}: not of the form section.key=value", "for example --set search.steps=10")
    table = tables.setdefault(section, {})
    if not isinstance(table, dict):
        raise UsageError(f"--set {override}: {section} is not a section")
    table[key] = _value(value)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _resolve_paths(tables: dict[str, Any], base: Path) -> None:
    for section, keys in PATHS.items():
        table = tables.get(section)
        for key in keys if isinstance(table, dict) else ():
            if isinstance(table.get(key), list):
                table[key] = [_resolved(table, key, value, base) for value in table[key]]
            elif key in table:
                table[key] = _resolved(table, key, table[key], base)


def _resolved(table: Mapping[str, Any], key: str, value: Any, base: Path) -> Any:
    is_path = isinstance(value, str) and value and _is_path(table, key, value)
    return str(base / Path(value).expanduser()) if is_path else value


def _is_path(table: Mapping[str, Any], key: str, value: str) -> bool:
    """Whether a value is a path: a rule or a form only with a file of its own, a model where it is written as one."""
    if key in ("rule", "pattern", "function"):
        return FUNCTION.fullmatch(value) is not None and (key != "pattern" or table.get("rule") == "python")
    if key in ("metaprompt", "operators"):
        return value.endswith(".toml")
    return key not in ("model", "similarity") or value in (".", "..") or value.startswith(("./", "../", "~"))


def _explain(error: ValidationError) -> str:
    # Where a seed may be a text or a table, the complaint about the one that was not meant comes first.
    found = error.errors(include_url=False)
    first = next((one for one in found if one["loc"][-1:] != ("str",) or not isinstance(one["input"], dict)), found[0])
    where = [str(part) for part in first["loc"] if part != "str" and "SeedSettings" not in str(part)]
    if first["type"].startswith("union_tag"):
        kind = first["input"].get("kind") if isinstance(first["input"], dict) else first["input"]
        return f"problem.kind: accepted: {', '.join(PROBLEMS)}, got {kind!r}"
    section: Mapping[str, Any] = Config.model_fields
    if where[:1] == ["problem"] and len(where) > 1:
        section = PROBLEMS[where.pop(1)].model_fields  # pydantic names the kind as a part of the place
    elif len(where) > 1 and where[0] in section:
        section = section[where[0]].annotation.model_fields
    name = ".".join(where)
    if name in REMOVED:
        return f"unknown setting {name}: it was removed; leave it out"
    if first["type"] == "extra_forbidden":
        return f"unknown setting {name}{_nearest(where, section)}"
    value = "" if first["type"] in ("value_error", "missing") else f", got {first['input']!r}"
    text = first["msg"].removeprefix("Value error, ")
    return f"{name}: {text[0].lower()}{text[1:]}{value}" if name else text


def _nearest(where: list[str], fields: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(where[-1], list(fields), n=1, cutoff=0.5)
    return f"; did you mean {'.'.join([*where[:-1], close[0]])}?" if close else f"; accepted: {', '.join(fields)}"
