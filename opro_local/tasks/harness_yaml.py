"""The YAML of an lm-evaluation-harness task: read with its includes, and refused where it says more
than we do.

For: the part of that format which generate_until tasks with exact_match need. Not for: the task's
rows (harness.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.programs.expression import Expression
from opro_local.tasks import yaml_file

# Keys that change nothing here: names, and what belongs to few-shot prompts or reporting.
WITHOUT_EFFECT = frozenset(
    {"task", "task_alias", "tag", "group", "group_alias", "metadata", "version", "unsafe_code"}
    | {"num_fewshot", "fewshot_split", "fewshot_config", "target_delimiter", "description"}
    | {"should_decontaminate", "doc_to_decontamination_query"}
)
SPLIT_KEYS = ("training_split", "validation_split", "test_split")
READ = (
    "dataset_path",
    "dataset_name",
    "dataset_kwargs",
    *SPLIT_KEYS,
    "doc_to_text",
    "doc_to_target",
)
KEYS = (
    *READ,
    "output_type",
    "generation_kwargs",
    "fewshot_delimiter",
    "repeats",
    "filter_list",
    "metric_list",
)

# The options of each filter, with the harness's own defaults (lm_eval/filters).
FILTERS: Mapping[str, Mapping[str, Any]] = {
    "regex": {"regex_pattern": r"#### (\-?[0-9\.\,]+)", "group_select": 0, "fallback": "[invalid]"},
    "map": {"mapping_dict": {}, "default_value": None},
    "take_first": {},
    "remove_whitespace": {},
    "lowercase": {},
    "uppercase": {},
}
METRIC = {
    "ignore_case": False,
    "ignore_punctuation": False,
    "ignore_numbers": False,
    "regexes_to_ignore": [],
}
DEEPEST = 20
MOST_FILES = 100  # read by the includes of one task


def read(path: Path) -> dict[str, Any]:
    """The task's settings, its includes merged in, checked as far as that needs no rows.

    Raises:
        DataError: the file is no YAML mapping, or holds a key or value that is not supported; the
        key is named.
    """
    settings = _merged(path, 0, [])
    for key, value in settings.items():
        if key not in KEYS and key not in WITHOUT_EFFECT and value is not None:
            raise DataError(f"{path}: {key} is not supported", f"supported: {', '.join(KEYS)}")
    if (kind := settings.get("output_type", "generate_until")) != "generate_until":
        raise DataError(f"{path}: output_type is {kind!r}", "supported: generate_until")
    if settings.get("repeats") not in (None, 1):
        raise DataError(f"{path}: repeats is {settings['repeats']!r}", "supported: 1")
    for key in ("dataset_path", "doc_to_text", "doc_to_target"):
        if not isinstance(settings.get(key), str) or not settings[key]:
            raise DataError(f"{path}: {key} is {settings.get(key)!r:.60}", "supported: a text")
    if not isinstance(settings.get("dataset_kwargs"), dict | None):
        raise DataError(
            f"{path}: dataset_kwargs is {settings['dataset_kwargs']!r:.60}", "supported: a mapping"
        )
    for key in ("dataset_name", *SPLIT_KEYS, "description", "fewshot_delimiter"):
        if not isinstance(settings.get(key), str | None):
            raise DataError(f"{path}: {key} is {settings[key]!r:.60}", "supported: a text")
    return settings


def _merged(path: Path, depth: int, files: list[Path]) -> dict[str, Any]:
    """A file with its includes; every file that is read is added to `files`."""
    files.append(path)
    if len(files) > MOST_FILES:
        raise DataError(f"{path}: includes read more than {MOST_FILES} files", "include fewer")
    said = _mapping(path)
    included = said.pop("include", None) or []
    if depth == DEEPEST:
        raise DataError(f"{path}: include goes {DEEPEST} files deep", "does a file include itself?")
    merged: dict[str, Any] = {}
    names = [included] if isinstance(included, str) else included
    if not (isinstance(names, list) and are_texts(names)):
        raise DataError(
            f"{path}: include is {included!r:.60}", "supported: the path of a YAML file, or a list"
        )
    for name in names:
        merged |= _merged(path.parent / name, depth + 1, files)
    return merged | said


def are_texts(values: Iterable[Any]) -> bool:
    """Whether all of these are texts; true where there are none."""
    return all(isinstance(value, str) for value in values)


def _mapping(path: Path) -> dict[str, Any]:
    settings = yaml_file.document(path)
    if not (isinstance(settings, dict) and are_texts(settings)):
        raise DataError(f"{path}:1: no mapping of settings", "give the YAML file of one task")
    return settings


def generation(path: Path, said: Mapping[str, Any]) -> tuple[tuple[str, ...], int | None]:
    """The texts that end an answer, and its most new tokens or None.

    Without `until`, the harness ends an answer at the few-shot delimiter (lm_eval/config/task.py).
    """
    options = said.get("generation_kwargs") or {}
    if not isinstance(options, dict):
        raise DataError(f"{path}: generation_kwargs is {options!r:.60}", "supported: a mapping")
    for key, value in options.items():
        is_greedy = (key, value) in (("do_sample", False), ("temperature", 0))
        if is_greedy or key in ("until", "max_gen_toks"):
            continue
        supported = "until, max_gen_toks, do_sample false, temperature 0"
        raise DataError(
            f"{path}: generation_kwargs: {key} is {value!r:.60}", f"supported: {supported}"
        )
    delimiter = said.get("fewshot_delimiter", "\n\n")
    until = options.get("until", [] if delimiter is None else delimiter)
    until = [until] if isinstance(until, str) else until
    if not isinstance(until, list) or not all(isinstance(text, str) and text for text in until):
        raise DataError(
            f"{path}: generation_kwargs: until is {until!r:.60}",
            "supported: a text or a list of texts",
        )
    most = options.get("max_gen_toks")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise DataError(
            f"{path}: generation_kwargs: max_gen_toks is {most!r:.60}",
            "supported: a whole number above 0",
        )
    return tuple(until), most


def filters(path: Path, said: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The steps of the first filter with all their options, and the names of all filters: the first
    decides.
    """
    pipelines = said.get("filter_list")
    if pipelines is None:
        return [], []
    if not pipelines or not _are_mappings(pipelines):
        raise DataError(
            f"{path}: filter_list is {pipelines!r:.60}",
            "supported: a list of filters, each name, filter",
        )
    steps = pipelines[0].get("filter")
    if not _are_mappings(steps):
        raise DataError(
            f"{path}: filter_list: filter is {steps!r:.60}", "supported: a list of functions"
        )
    known = [_step(path, step) for step in steps]
    if any(step["function"] == "take_first" for step in known[:-1]):
        raise DataError(f"{path}: filter_list: take_first is not the last function", "put it last")
    names = [str(one.get("name", number)) for number, one in enumerate(pipelines, 1)]
    return [step for step in known if step["function"] != "take_first"], names


def _are_mappings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) for value in values)


def _step(path: Path, step: Mapping[str, Any]) -> dict[str, Any]:
    name = step.get("function")
    if not isinstance(name, str) or name not in FILTERS:
        raise DataError(
            f"{path}: filter_list: function is {name!r:.60}", f"supported: {', '.join(FILTERS)}"
        )
    whole = dict(FILTERS[name])
    for key, value in step.items():
        if key != "function":
            whole[key] = _option(path, name, key, value)
    return {"function": name, **whole}


def _option(path: Path, function: str, key: str, value: Any) -> Any:
    where = f"{path}: filter_list: {function}: {key}"
    if key not in FILTERS[function]:
        raise DataError(
            f"{where} is not supported",
            f"supported: {', '.join(FILTERS[function]) or 'no options'}",
        )
    if key == "regex_pattern":
        return _expression(value, where)
    if key == "group_select" and (not isinstance(value, int) or isinstance(value, bool)):
        raise DataError(f"{where} is {value!r:.60}", "supported: a whole number")
    if key == "fallback" and not isinstance(value, str):
        raise DataError(f"{where} is {value!r:.60}", "supported: a text; quote it")
    if key == "default_value" and not isinstance(value, str | None):
        raise DataError(f"{where} is {value!r:.60}", "supported: a text; quote it")
    if key == "mapping_dict" and not _are_texts_to_texts(value):
        raise DataError(f"{where} is {value!r:.60}", "supported: texts to texts; quote them")
    return value


def _are_texts_to_texts(value: Any) -> bool:
    return isinstance(value, dict) and are_texts(value) and are_texts(value.values())


def _expression(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where} is {value!r:.60}", "supported: a regular expression")
    try:
        Expression(value)
    except ValueError as error:
        raise DataError(
            f"{where}: {value!r:.60} is no regular expression: {error}", "correct it"
        ) from None
    return value


def metric(path: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    """The options of exact_match, the only metric, all of them."""
    metrics = said.get("metric_list") or [{"metric": "exact_match"}]
    if not isinstance(metrics, list) or len(metrics) != 1 or not isinstance(metrics[0], dict):
        raise DataError(
            f"{path}: metric_list is {metrics!r:.60}", "supported: one metric, exact_match"
        )
    whole = dict(METRIC)
    for key, value in metrics[0].items():
        where = f"{path}: metric_list: {key}"
        if key in METRIC:
            whole[key] = _metric_option(where, key, value)
        elif (key, value) not in (
            ("metric", "exact_match"),
            ("aggregation", "mean"),
            ("higher_is_better", True),
        ):
            options = ", ".join(METRIC)
            raise DataError(
                f"{where} is {value!r:.60}",
                f"supported: metric exact_match, aggregation mean, {options}",
            )
    if metrics[0].get("metric") != "exact_match":
        raise DataError(f"{path}: metric_list: no metric", "supported: exact_match")
    return whole


def _metric_option(where: str, key: str, value: Any) -> Any:
    if key != "regexes_to_ignore":
        if not isinstance(value, bool):
            raise DataError(f"{where} is {value!r:.60}", "supported: true or false")
        return value
    if not isinstance(value, list | None):
        raise DataError(f"{where} is {value!r:.60}", "supported: a list of regular expressions")
    return [_expression(one, where) for one in value or []]
