"""Tasks of EleutherAI/lm-evaluation-harness: a YAML file of the generate_until kind, with its data
on disk.

For: rows, stop texts and filters as that project would use them with no few-shot examples. Not for:
what the YAML may say (harness_yaml.py) or the verdicts (scoring/harness.py).
"""

# What such a file looks like (lm_eval/tasks/gsm8k/gsm8k.yaml has this shape):
#   dataset_path: json
#   dataset_kwargs: {data_files: {train: sums_train.jsonl, test: sums_test.jsonl}}
#   training_split: train
#   test_split: test
#   doc_to_text: "Question: {{question}}\nAnswer:"
#   doc_to_target: "{{answer}}"
#   generation_kwargs: {until: ["Question:"], max_gen_toks: 64}
#   filter_list:
#     - name: strict
#       filter: [{function: regex, regex_pattern: "#### (-?\\d+)"}, {function: take_first}]
#   metric_list: [{metric: exact_match, ignore_case: true}]

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opro_local.errors import DataError, UsageError
from opro_local.programs.template import Unrendered, render_all
from opro_local.tasks import harness_yaml, published, table
from opro_local.tasks.division import divide
from opro_local.tasks.rows import SPLIT_NAMES, Row, Table, text_of
from opro_local.tasks.task import SPLITS, Benchmark, Task
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.settings import TaskSettings

VERSION = 1
BUILDERS = ("json", "csv", "parquet")
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def load(settings: TaskSettings) -> Task:
    """The task of the YAML file `task.data`, with the splits that it names.

    Without a training split the only other one is divided as a table is (task.split); of two,
    validation is trained on. Without a test split, test is the validation split, on which the
    harness reports.

    Raises:
        DataError: the YAML says something that is not supported, its data is not here, or a row is
        malformed.
        UsageError: `data` is not set.
    """
    if not settings.data:
        hint = "set task.data to it, and task.data_dir to the folder of its data"
        raise UsageError("harness needs a YAML file", hint)
    path = Path(settings.data)
    said = harness_yaml.read(path)
    steps, names = harness_yaml.filters(path, said)
    stop, most = harness_yaml.generation(path, said)
    pattern = json.dumps(
        {"filters": steps, "metric": harness_yaml.metric(path, said)}, sort_keys=True
    )
    splits, notices = _splits(path, said, settings)
    if len(names) > 1:
        notices.append(f"{path}: {len(names)} filters ({', '.join(names)}): the first decides")
    if said.get("num_fewshot"):
        notices.append(f"{path}: num_fewshot is {said['num_fewshot']}: no examples are shown")
    if said.get("description"):
        notices.append(f"{path}: description is not shown: the instruction takes its place")
    return Task(
        "harness",
        splits,
        "harness",
        "doc_to_text",
        "doc_to_target",
        pattern=pattern,
        notices=tuple(notices),
        stop=stop,
        max_tokens=most,
        version=VERSION,
    )


BENCHMARK = Benchmark(load, VERSION)


def _splits(
    path: Path, said: Mapping[str, Any], settings: TaskSettings
) -> tuple[dict[Split, tuple[Example, ...]], list[str]]:
    keys = zip(SPLITS, harness_yaml.SPLIT_KEYS, strict=True)
    named = {split: said[key] for split, key in keys if said.get(key)}
    if not named:
        raise DataError(
            f"{path}: no split is named", f"set one of: {', '.join(harness_yaml.SPLIT_KEYS)}"
        )
    tables = _tables(path, said, settings, list(named.values()))
    notices: list[str] = []
    rows = {split: _examples(path, said, split, tables[name].rows) for split, name in named.items()}
    if len(rows) == 1 and "train" not in rows:
        ((split, only),) = rows.items()
        rows = divide(only, settings.split, settings.split_seed)
        notices.append(f"{path}: no training_split: {split} is divided")
    elif "train" not in rows:
        rows = {"train": rows["validation"], "test": rows["test"]}
        notices.append(f"{path}: no training_split: validation is trained on")
    elif "test" not in rows and "validation" in rows:
        rows = {"train": rows["train"], "test": rows["validation"]}
        notices.append(f"{path}: no test_split: test is validation, as the harness reports it")
    return {split: tuple(part) for split, part in rows.items()}, notices


def _tables(
    path: Path, said: Mapping[str, Any], settings: TaskSettings, wanted: Sequence[str]
) -> dict[str, Table]:
    """The tables of the splits that are wanted, by the names the YAML has for them."""
    options = {
        key: value
        for key, value in (said.get("dataset_kwargs") or {}).items()
        if key != "trust_remote_code"
    }
    local = said["dataset_path"] in BUILDERS
    files = options.pop("data_files", None) if local else None
    if options:
        supported = "data_files"
        if not local:
            supported = f"none, or data_files with a dataset_path of {', '.join(BUILDERS)}"
        raise DataError(
            f"{path}: dataset_kwargs: {next(iter(options))} is not supported",
            f"supported: {supported}",
        )
    base = Path(settings.data_dir) if settings.data_dir else path.parent
    there = _data_files(path, base, files) if local else _hub_folder(path, settings, said, wanted)
    tables = {}
    for name in wanted:
        own_name = name if name in there else SPLIT_NAMES.get(name, name)
        if own_name not in there:
            raise DataError(
                f"{path}: the data has no split {name!r}",
                f"its splits are: {', '.join(there) or 'none'}",
            )
        tables[name] = there[own_name]
    return tables


def _data_files(path: Path, base: Path, files: Any) -> dict[str, Table]:
    # `datasets` calls the split of files without a name train.
    named = files if isinstance(files, dict) else {"train": files}
    read = {}
    for split, listed in named.items():
        parts = [listed] if isinstance(listed, str) else listed
        if not (isinstance(parts, list) and parts and harness_yaml.are_texts(parts)):
            hint = "supported: a file, a list of files, or either by split"
            raise DataError(f"{path}: dataset_kwargs: data_files is {files!r:.60}", hint)
        tables = [
            one for name in parts for one in table.read(str(base / name), typed=True).values()
        ]
        first = tables[0]
        read[split] = Table(first.where, first.columns, [row for one in tables for row in one.rows])
    return read


def _hub_folder(
    path: Path, settings: TaskSettings, said: Mapping[str, Any], wanted: Sequence[str]
) -> dict[str, Table]:
    """The dataset in a folder named as at Hugging Face: owner/name/config, or less of it, or
    `data_dir` itself.
    """
    dataset, config = said["dataset_path"], said.get("dataset_name") or ""
    last = Path(dataset).name
    names = [f"{dataset}/{config}", dataset, f"{last}/{config}", last]
    base = path.parent
    if settings.data_dir:
        # Next to the YAML file, only a folder of the dataset's name is meant.
        base = Path(settings.data_dir)
        names += [config, ""]
    for folder in (base / name for name in names):
        if table.is_folder_of_rows(folder):
            return table.read(str(folder), typed=True)
        files = {
            name: file
            for name in wanted
            for end in SUFFIXES
            if (file := folder / f"{name}{end}").is_file()
        }
        if files:
            return {name: table.read(str(file), typed=True)[""] for name, file in files.items()}
    hint = (
        f"set task.data_dir to the folder with {dataset}: "
        "Parquet, JSON Lines or CSV by split, or a saved dataset"
    )
    raise DataError(f"{path}: dataset_path: {dataset} is not in {base}", hint)


def _examples(
    path: Path, said: Mapping[str, Any], split: str, rows: Sequence[Row]
) -> list[Example]:
    questions = _made(path, "doc_to_text", said["doc_to_text"], rows)
    targets = _made(path, "doc_to_target", said["doc_to_target"], rows)
    parts = (_parts(*one) for one in zip(rows, questions, targets, strict=True))
    return published.examples(split, rows, lambda row: next(parts))


def _parts(row: Row, question: Any, target: Any) -> tuple[dict[str, str], str, str]:
    """A row's columns, what is asked and what is right."""
    try:
        columns = {name: text_of(value) or "" for name, value in row.columns.items()}
    except ValueError as error:
        raise DataError(f"{row.where}: {error}", "correct the row") from None
    if isinstance(target, list):
        raise DataError(f"{row.where}: doc_to_target gives a list", "supported: one text")
    shown, right = (None if value is None else str(value) for value in (question, target))
    what = f"{row.where}: doc_to_"
    return (
        columns,
        published.a_text(shown, f"{what}text"),
        published.a_text(right, f"{what}target"),
    )


def _made(path: Path, key: str, source: str, rows: Sequence[Row]) -> list[Any]:
    """What the harness makes of each row: the column of this name, or else a Jinja template of the
    columns.
    """
    templated = [row for row in rows if source not in row.columns]
    names, filters = [row.columns for row in templated], {"regex_replace": _regex_replace}
    try:
        texts = render_all(source, names, filters=filters) if names else []
    except Unrendered as error:
        if error.row is None:
            hint = "supported: a column's name or a Jinja template"
            raise DataError(f"{path}: {key}: {error}", hint) from None
        row = templated[error.row]
        raise DataError(
            f"{row.where}: {key}: {error}", f"the columns are {', '.join(row.columns)}"
        ) from None
    rendered = map(_as_list, texts) if key == "doc_to_target" else iter(texts)
    return [row.columns[source] if source in row.columns else next(rendered) for row in rows]


def _regex_replace(text: str, pattern: str, repl: str, count: int = 0) -> str:
    return re.sub(pattern, repl, text, count=count)


def _as_list(text: str) -> Any:
    """The harness reads a target that looks like a Python list as one."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return text
    return text
