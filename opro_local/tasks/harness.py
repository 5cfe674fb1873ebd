"""Tasks of EleutherAI/lm-evaluation-harness: a YAML file, with its data on disk.

For: the splits, stop texts and rule as that project would use them with no few-shot examples. Not
for: what the YAML may say (harness_yaml.py), what a row becomes (harness_rows.py) or the verdicts
(scoring/harness.py).
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

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opro_local.errors import DataError, UsageError
from opro_local.tasks import harness_rows, harness_yaml, table
from opro_local.tasks.division import divide
from opro_local.tasks.rows import SPLIT_NAMES, Table
from opro_local.tasks.task import SPLITS, Benchmark, Task
from opro_local.types import Example, Split

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

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
    said = harness_yaml.read(path, settings.harness_code)
    metric, options = harness_yaml.metric(path, said)
    steps, names = harness_yaml.filters(path, said)
    stop, most = harness_yaml.generation(path, said)
    splits, notices = _splits(path, said, settings)
    if len(names) > 1:
        notices.append(f"{path}: {len(names)} filters ({', '.join(names)}): the first decides")
    task = Task(
        "harness",
        splits,
        "harness",
        "doc_to_text",
        "doc_to_target",
        notices=(*notices, *harness_yaml.notices(path, said)),
        stop=stop,
        max_tokens=most,
        version=VERSION,
        content=harness_yaml.code_digest(path) if settings.harness_code else "",
    )
    if harness_yaml.is_multiple_choice(said):
        return _with_choices(path, task, said)
    if metric != harness_yaml.EXACT:
        return replace(task, rule=metric)
    pattern = json.dumps({"filters": steps, "metric": options}, sort_keys=True)
    return replace(task, pattern=pattern)


def _with_choices(path: Path, task: Task, said: Mapping[str, Any]) -> Task:
    """A multiple_choice task, whose answers the harness compares by log-probability and we read."""
    notice = (
        f"{path}: multiple_choice: answers are generated and read here, not compared by "
        "log-probability as in lm-eval: figures differ from lm-eval's"
    )
    task = replace(task, notices=(*task.notices, notice), stop=(), max_tokens=None)
    every = [row for rows in task.splits.values() for row in rows]
    listed = {row.columns[harness_rows.CHOICES] for row in every}
    if len(listed) == 1 and not any(harness_rows.are_letters(each) for each in listed):
        labels = tuple(json.loads(listed.pop()))
        return replace(task, rule="labels", labels=labels)
    return replace(task, rule="choice")


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
    rows = {
        split: harness_rows.examples(path, said, split, tables[name].rows)
        for split, name in named.items()
    }
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
        tables[name] = harness_rows.processed(path, said, there[own_name])
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
