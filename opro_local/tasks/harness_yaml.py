"""The YAML of an lm-evaluation-harness task: read with its includes, and refused where it says more
than we do.

For: the part of that format which generate_until and multiple_choice tasks need. Not for: the
task's rows (harness_rows.py). Nothing in the file is executed: `!function` is refused, unless the
user asks for it (task.harness_code).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from opro_local.errors import DataError
from opro_local.programs.expression import Expression
from opro_local.tasks import yaml_file
from opro_local.tasks.text_file import bytes_of

# Keys that change nothing here: names, and what belongs to few-shot prompts or reporting.
WITHOUT_EFFECT = frozenset(
    {"task", "task_alias", "tag", "group", "group_alias", "metadata", "version", "unsafe_code"}
    | {"num_fewshot", "fewshot_split", "fewshot_config", "target_delimiter", "description"}
    | {"should_decontaminate", "doc_to_decontamination_query", "aggregate_metric_list"}
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
    "doc_to_choice",
    "gen_prefix",
    "process_docs",
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


# Keys that may be a function of the task's own, where the user allowed it.
CALLABLE = ("doc_to_text", "doc_to_target", "doc_to_choice", "process_docs")
GENERATE, CHOOSE = "generate_until", "multiple_choice"
EXACT = "exact_match"
# Metrics of the harness that are rules of ours.
RULES = {"bleu": "bleu", "chrf": "chrf", "rouge1": "rouge", "rougeL": "rouge"}
CHOICE_METRICS = ("acc", "acc_norm", "acc_bytes", EXACT, "f1", "mcc")
LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens")
# Sampling that a greedy answer goes without.
SAMPLING = ("do_sample", "temperature", "top_p", "top_k", "num_beams")


def read(path: Path, code: bool = False) -> dict[str, Any]:
    """The task's settings, its includes merged in, checked as far as that needs no rows.

    Args:
        path: the YAML file.
        code: let the harness' own loader read it, which imports the functions that `!function`
            names; without it such a file is refused.

    Raises:
        DataError: the file is no YAML mapping, or holds a key or value that is not supported; the
        key is named.
    """
    settings = _with_functions(path) if code else _merged(path, 0, [])
    for key, value in settings.items():
        if key not in KEYS and key not in WITHOUT_EFFECT and value is not None:
            raise DataError(f"{path}: {key} is not supported", f"supported: {', '.join(KEYS)}")
    kind = settings.get("output_type", GENERATE)
    if kind not in (GENERATE, CHOOSE):
        raise DataError(f"{path}: output_type is {kind!r}", f"supported: {GENERATE}, {CHOOSE}")
    if (kind == CHOOSE) != (settings.get("doc_to_choice") is not None):
        raise DataError(f"{path}: output_type {kind!r} and doc_to_choice", "give both or neither")
    if settings.get("repeats") not in (None, 1):
        raise DataError(f"{path}: repeats is {settings['repeats']!r}", "supported: 1")
    _check_texts(path, settings)
    if not isinstance(settings.get("dataset_kwargs"), dict | None):
        raise DataError(
            f"{path}: dataset_kwargs is {settings['dataset_kwargs']!r:.60}", "supported: a mapping"
        )
    return settings


def _check_texts(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse keys that are no text, number, list or allowed function where one is needed."""
    for key in ("dataset_path", "doc_to_text", "doc_to_target"):
        value = settings.get(key)
        is_number = key == "doc_to_target" and is_multiple_choice(settings) and type(value) is int
        is_function = key in CALLABLE and callable(value)
        if not (is_number or is_function or (isinstance(value, str) and value)):
            raise DataError(f"{path}: {key} is {value!r:.60}", "supported: a text")
    for key in ("dataset_name", *SPLIT_KEYS, "fewshot_delimiter", "gen_prefix"):
        if not isinstance(settings.get(key), str | None):
            raise DataError(f"{path}: {key} is {settings[key]!r:.60}", "supported: a text")
    choices = settings.get("doc_to_choice")
    if not (isinstance(choices, str | list | dict | None) or callable(choices)):
        raise DataError(f"{path}: doc_to_choice is {choices!r:.60}", "supported: a text or a list")
    process = settings.get("process_docs")
    if process is not None and not callable(process):
        raise DataError(f"{path}: process_docs is {process!r:.60}", "supported: !function")


def is_multiple_choice(said: Mapping[str, Any]) -> bool:
    """Whether answers are one of the choices of `doc_to_choice`."""
    return said.get("output_type") == CHOOSE


def notices(path: Path, said: Mapping[str, Any]) -> list[str]:
    """What the YAML says that is left out here."""
    lines = []
    if said.get("num_fewshot"):
        lines.append(f"{path}: num_fewshot is {said['num_fewshot']}: no examples are shown")
    if said.get("description"):
        lines.append(f"{path}: description is not shown: the instruction takes its place")
    options = said.get("generation_kwargs") or {}
    if options.get("do_sample") or options.get("temperature") or options.get("num_beams", 1) != 1:
        lines.append(f"{path}: do_sample, temperature, num_beams: answers are greedy here")
    metrics = [str(one.get("metric")) for one in said.get("metric_list") or []]
    if len(metrics) > 1:
        first, _ = metric(path, said)
        lines.append(f"{path}: {len(metrics)} metrics ({', '.join(metrics)}): {first} decides")
    return lines


def _with_functions(path: Path) -> dict[str, Any]:
    """The YAML as the harness itself reads it: with its includes, and functions imported."""
    try:
        from lm_eval.tasks._yaml_loader import load_yaml
    except ImportError:
        hint = "pip install 'opro-local[lm-eval]'"
        raise DataError(f"{path}: task.harness_code needs lm-evaluation-harness", hint) from None
    try:
        settings = load_yaml(path)
    # The boundary to the task's own code: whatever it raises is the user's to read, in one line.
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{path}: the harness can't load it: {what}", "correct the file") from error
    if not are_texts(settings):
        raise DataError(f"{path}:1: no mapping of settings", "give the YAML file of one task")
    return dict(settings)


def code_digest(path: Path) -> str:
    """16 hex digits over the Python files beside the YAML, which its functions come from."""
    digest = hashlib.sha256()
    for file in sorted(path.parent.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + bytes_of(file) + b"\0")
    return digest.hexdigest()[:16]


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
        if key not in ("until", *LIMITS, *SAMPLING):
            supported = ", ".join(("until", *LIMITS, *SAMPLING))
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
    most = next((options[key] for key in LIMITS if key in options), None)
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


def metric(path: Path, said: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The first metric that can be had here, and the options of exact_match, all of them.

    Returns:
        `EXACT`, or the name of a rule of ours.
    """
    metrics = said.get("metric_list") or [{"metric": EXACT}]
    if not (_are_mappings(metrics) and metrics):
        raise DataError(f"{path}: metric_list is {metrics!r:.60}", "supported: a list of metrics")
    if is_multiple_choice(said):
        named = [str(one.get("metric")) for one in metrics]
        if not set(named) & set(CHOICE_METRICS):
            raise DataError(
                f"{path}: metric_list: {', '.join(named)}",
                f"supported: {', '.join(CHOICE_METRICS)}",
            )
        return "accuracy", {}
    for one in metrics:
        if (name := one.get("metric")) == EXACT:
            return EXACT, _exact_options(path, one)
        if isinstance(name, str) and name in RULES:
            return RULES[name], {}
    first = metrics[0]
    if "metric" not in first:
        raise DataError(f"{path}: metric_list: no metric", f"supported: {EXACT}")
    shown = f"{first['metric']!r:.60}"
    supported = ", ".join((EXACT, *RULES))
    raise DataError(f"{path}: metric_list: metric is {shown}", f"supported: {supported}")


def _exact_options(path: Path, said: Mapping[str, Any]) -> dict[str, Any]:
    whole = dict(METRIC)
    for key, value in said.items():
        where = f"{path}: metric_list: {key}"
        if key in METRIC:
            whole[key] = _metric_option(where, key, value)
        elif (key, value) not in (
            ("metric", EXACT),
            ("aggregation", "mean"),
            ("higher_is_better", True),
        ):
            options = ", ".join(METRIC)
            raise DataError(
                f"{where} is {value!r:.60}",
                f"supported: metric exact_match, aggregation mean, {options}",
            )
    return whole


def _metric_option(where: str, key: str, value: Any) -> Any:
    if key != "regexes_to_ignore":
        if not isinstance(value, bool):
            raise DataError(f"{where} is {value!r:.60}", "supported: true or false")
        return value
    if not isinstance(value, list | None):
        raise DataError(f"{where} is {value!r:.60}", "supported: a list of regular expressions")
    return [_expression(one, where) for one in value or []]
