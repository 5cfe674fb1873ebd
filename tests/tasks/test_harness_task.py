"""Tasks of lm-evaluation-harness: what the YAML may say, its data, and its prompts."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from hub import write_parquet, write_saved
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import SCRIPT

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, OproError, UsageError
from opro_local.runs import inspection
from opro_local.scoring import choosing
from opro_local.tasks import harness_yaml, loading

STRICT = {
    "name": "strict",
    "filter": [
        {"function": "regex", "regex_pattern": r"#### (\-?[0-9\.\,]+)"},
        {"function": "take_first"},
    ],
}
LAST = {
    "name": "last",
    "filter": [
        {"function": "regex", "group_select": -1, "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)"},
        {"function": "take_first"},
    ],
}
METRIC = {
    "metric": "exact_match",
    "aggregation": "mean",
    "higher_is_better": True,
    "ignore_case": True,
    "ignore_punctuation": False,
    "regexes_to_ignore": [",", r"\$", "(?s).*#### ", r"\.$"],
}
SUMS = {
    "task": "sums",
    "tag": ["math"],
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"train": "train.jsonl", "test": "test.jsonl"}},
    "output_type": "generate_until",
    "training_split": "train",
    "fewshot_split": "train",
    "test_split": "test",
    "doc_to_text": "Question: {{question}}\nAnswer:",
    "doc_to_target": "{{answer}}",
    "metric_list": [METRIC],
    "generation_kwargs": {
        "until": ["Question:", "</s>"],
        "do_sample": False,
        "temperature": 0.0,
        "max_gen_toks": 64,
    },
    "repeats": 1,
    "num_fewshot": 5,
    "filter_list": [STRICT, LAST],
    "metadata": {"version": 3.0},
}


def rows_of(count, start=0):
    return [
        {"question": f"{n}+{n}?", "answer": f"It is {2 * n:,}.\n#### {2 * n:,}"}
        for n in range(start, start + count)
    ]


def write_rows(folder, **splits):
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write(folder, **changes):
    said = {key: value for key, value in (SUMS | changes).items() if value is not ...}
    (folder / "task.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return folder / "task.yaml"


def load(path, **changes):
    return loading.load(TaskSettings(name="harness", data=str(path), **changes))


@pytest.fixture
def sums(tmp_path):
    write_rows(tmp_path, train=rows_of(6), test=rows_of(4, 998))
    return tmp_path


def test_a_task_of_the_shape_of_gsm8k(sums):
    task = load(write(sums))
    assert {split: [row.id for row in rows] for split, rows in task.splits.items()} == {
        "train": [f"train:{n}" for n in range(6)],
        "test": [f"test:{n}" for n in range(4)],
    }
    row = task.splits["test"][2]
    assert row.input == "Question: 1000+1000?\nAnswer:" and row.target == "It is 2,000.\n#### 2,000"
    assert row.where == f"{sums}/test.jsonl:3" and row.columns["question"] == "1000+1000?"
    assert (task.rule, task.stop, task.max_tokens, task.version) == (
        "harness",
        ("Question:", "</s>"),
        64,
        1,
    )
    assert task.notices == (
        f"{sums}/task.yaml: 2 filters (strict, last): the first decides",
        f"{sums}/task.yaml: num_fewshot is 5: no examples are shown",
    )
    said = json.loads(task.pattern)
    assert task.pattern == json.dumps(said, sort_keys=True)
    assert [step["function"] for step in said["filters"]] == ["regex"] and said["metric"][
        "ignore_case"
    ] is True


def test_its_verdicts(sums):
    task = load(write(sums))
    rule = choosing.make_rule(task.rule, pattern=task.pattern)
    choosing.check_gold(task, rule)
    answers = ["#### 2,000", "so\n#### 2000.", "#### 1999", "2000"]
    values, failed = rule.score(answers, [task.splits["test"][2]] * 4)
    assert (values.tolist(), failed.tolist()) == ([1, 1, 0, 0], [False, False, False, True])
    last = load(write(sums, filter_list=[LAST]))
    values, failed = choosing.make_rule("harness", pattern=last.pattern).score(
        ["It is $2,000.", "2000 or 2001", "two"], [last.splits["test"][2]] * 3
    )
    assert (values.tolist(), failed.tolist()) == ([1, 0, 0], [False, False, True])
    found = inspection.validate(TaskSettings(name="harness", data=str(write(sums))))
    assert (found["rows"], found["wrong"], found["unchecked"]) == (10, [], 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"output_type": "multiple_choice"},
            "output_type 'multiple_choice' and doc_to_choice; give both or neither",
        ),
        ({"output_type": "loglikelihood"}, "supported: generate_until, multiple_choice"),
        ({"doc_to_choice": ["a", "b"]}, "'generate_until' and doc_to_choice; give both or neither"),
        ({"process_docs": "x"}, "process_docs is 'x'; supported: !function"),
        ({"process_results": "x"}, "process_results is not supported; supported: dataset_path"),
        ({"repeats": 3}, "repeats is 3; supported: 1"),
        ({"doc_to_text": ...}, "doc_to_text is None; supported: a text"),
        ({"doc_to_target": 3}, "doc_to_target is 3; supported: a text"),
        ({"doc_to_text": "{{question"}, "doc_to_text: "),
        ({"dataset_path": ...}, "dataset_path is None"),
        ({"training_split": 1}, "training_split is 1; supported: a text"),
        (
            {"training_split": ..., "test_split": ...},
            "no split is named; set one of: training_split, ",
        ),
        ({"test_split": "exam"}, "the data has no split 'exam'; its splits are: train, test"),
        ({"dataset_kwargs": {"data_files": 5}}, "dataset_kwargs: data_files is 5"),
        (
            {"dataset_kwargs": "train.jsonl"},
            "dataset_kwargs is 'train.jsonl'; supported: a mapping",
        ),
        ({"dataset_kwargs": {}}, "dataset_kwargs: data_files is None"),
        (
            {"dataset_kwargs": {"data_files": "train.jsonl", "field": "x"}},
            "dataset_kwargs: field is not supported",
        ),
        (
            {"dataset_path": "owner/name"},
            "dataset_kwargs: data_files is not supported; supported: none, or data_files with",
        ),
        (
            {
                "dataset_path": "owner/name",
                "dataset_kwargs": None,
                "test_split": "exam",
                "training_split": ...,
            },
            "dataset_path: owner/name is not in ",
        ),
        ({"generation_kwargs": {"seed": 5}}, "generation_kwargs: seed is 5; supported: until"),
        ({"generation_kwargs": {"max_gen_toks": 0}}, "generation_kwargs: max_gen_toks is 0"),
        ({"generation_kwargs": {"until": [5]}}, "generation_kwargs: until is [5]"),
        ({"generation_kwargs": "greedy"}, "generation_kwargs is 'greedy'"),
        (
            {"metric_list": [{"metric": "perplexity"}]},
            "metric_list: metric is 'perplexity'; supported: exact_match, bleu",
        ),
        ({"metric_list": [5]}, "metric_list is [5]; supported: a list of metrics"),
        ({"metric_list": [{"ignore_case": True}]}, "metric_list: no metric"),
        (
            {"metric_list": [METRIC | {"ignore_case": "yes"}]},
            "metric_list: ignore_case is 'yes'; supported: true or",
        ),
        (
            {"metric_list": [METRIC | {"regexes_to_ignore": "["}]},
            "metric_list: regexes_to_ignore is '['; supported",
        ),
        (
            {"metric_list": [METRIC | {"regexes_to_ignore": ["["]}]},
            "'[' is no regular expression: unterminated",
        ),
        (
            {"metric_list": [METRIC | {"aggregation": "median"}]},
            "metric_list: aggregation is 'median'",
        ),
        ({"filter_list": []}, "filter_list is []; supported: a list of filters"),
        ({"filter_list": [{"name": "x"}]}, "filter_list: filter is None"),
        (
            {"filter_list": [{"filter": [{"function": "majority_vote"}]}]},
            "function is 'majority_vote'; supported: regex",
        ),
        (
            {"filter_list": [{"filter": [{"function": "regex", "regex_pattern": "("}]}]},
            "is no regular expression",
        ),
        (
            {"filter_list": [{"filter": [{"function": "regex", "flags": 2}]}]},
            "regex: flags is not supported",
        ),
        (
            {"filter_list": [{"filter": [{"function": "regex", "group_select": "0"}]}]},
            "group_select is '0'",
        ),
        (
            {"filter_list": [{"filter": [{"function": "regex", "fallback": 0}]}]},
            "fallback is 0; supported: a text",
        ),
        (
            {"filter_list": [{"filter": [{"function": "map", "mapping_dict": {1: "a"}}]}]},
            "mapping_dict is {1: 'a'}",
        ),
        (
            {"filter_list": [{"filter": [{"function": "take_first"}, {"function": "lowercase"}]}]},
            "take_first is not the",
        ),
        (
            {"filter_list": [{"filter": [{"function": "lowercase", "x": 1}]}]},
            "lowercase: x is not supported",
        ),
    ],
)
def test_what_is_refused(sums, changes, message):
    path = write(sums, **changes)
    with pytest.raises(DataError) as caught:
        load(path)
    assert (
        str(caught.value).startswith(f"{path}: ")
        and message in str(caught.value)
        and "\n" not in str(caught.value)
    )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 5)
    | st.floats()
    | st.sampled_from(["", "train", "{{a}}", "(", "json"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["function", "filter", "metric", "until", "data_files", "train", "x"]),
            inner,
        )
    ),
    max_leaves=6,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from([*harness_yaml.KEYS, "include", "num_fewshot", "description"]), JSON)
def test_any_value_of_any_key_loads_or_is_refused(sums, key, value):
    with contextlib.suppress(OproError):
        task = load(write(sums, **{key: value}))
        choosing.make_rule(task.rule, pattern=task.pattern)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty"),
        ("- a\n", ":1: no mapping of settings"),
        ("a: [\n", ":2: no YAML: "),
        (
            "a: 1\ndoc_to_text: !function utils.text\n",
            ":2: !function is not supported; no code is run",
        ),
        (
            "a: 1\nb: !!python/object/apply:os.system [ls]\n",
            ":2: no YAML: could not determine a constructor",
        ),
        ("include: other.yaml\n", "other.yaml: no such file"),
        ("include: task.yaml\n", ": include goes 20 files deep"),
        ("include: [5]\n", ": include is [5]"),
        ("include: 5\n", ": include is 5"),
    ],
)
def test_files_that_are_no_task(tmp_path, text, message):
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(DataError) as caught:
        load(tmp_path / "task.yaml")
    assert (
        message in str(caught.value)
        and str(tmp_path) in str(caught.value)
        and "\n" not in str(caught.value)
    )


def test_no_file_is_named():
    with pytest.raises(UsageError, match=r"harness needs a YAML file; set task\.data"):
        loading.load(TaskSettings(name="harness"))


def test_include_comes_first(sums):
    (sums / "common").mkdir()
    (sums / "common" / "base.yaml").write_text(yaml.safe_dump(SUMS))
    (sums / "task.yaml").write_text(
        'include: common/base.yaml\ndoc_to_text: "{{question}}"\nfilter_list: null\n'
    )
    task = load(sums / "task.yaml")
    assert task.splits["train"][1].input == "1+1?" and task.splits["train"][1].target.endswith(
        "#### 2"
    )
    assert json.loads(task.pattern)["filters"] == []


def test_until_defaults_to_the_delimiter(sums):
    assert load(write(sums, generation_kwargs=...)).stop == ("\n\n",)
    assert load(
        write(sums, generation_kwargs={"max_gen_toks": 9}, fewshot_delimiter="##")
    ).stop == ("##",)
    assert load(write(sums, generation_kwargs={"until": "Q:"})).stop == ("Q:",)
    assert load(write(sums, generation_kwargs=..., fewshot_delimiter=None)).stop == ()
    assert load(write(sums, generation_kwargs=...)).max_tokens is None


def test_columns_types_and_templates(sums):
    rows = [{"q": "Pick.", "options": ["x", "y"], "right": 1, "points": 2.5} for _ in range(3)]
    write_rows(sums, train=rows, test=rows)
    template = "{{q}} {% for one in options %}[{{one}}]{% endfor %}\n"
    task = load(write(sums, doc_to_text=template, doc_to_target="{{options[right]}}"))
    assert (
        task.splits["train"][0].input == "Pick. [x][y]\n" and task.splits["train"][0].target == "y"
    )
    assert (
        load(write(sums, doc_to_text="q", doc_to_target="points")).splits["train"][0].target
        == "2.5"
    )
    changed = load(write(sums, doc_to_text="{{q|regex_replace('P', 'K')}}", doc_to_target="right"))
    assert (changed.splits["train"][0].input, changed.splits["train"][0].target) == ("Kick.", "1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"doc_to_text": "{{nothing}}"},
            "train.jsonl:1: doc_to_text: 'nothing' is undefined; the columns are question",
        ),
        ({"doc_to_text": "{{question + 1}}"}, "train.jsonl:1: doc_to_text: "),
        (
            {"doc_to_text": "{{question.__class__.__mro__}}"},
            "train.jsonl:1: doc_to_text: access to attribute",
        ),
        (
            {"doc_to_text": "{{question.upper}}{{question.format_map}}{{ 1/0 }}"},
            "train.jsonl:1: doc_to_text: ",
        ),
        ({"doc_to_target": "{{''}}"}, "train.jsonl:1: doc_to_target is empty"),
        ({"doc_to_target": "['', 'b']"}, "train.jsonl:1: doc_to_target is empty"),
    ],
)
def test_rows_that_do_not_render(sums, changes, message):
    with pytest.raises(DataError) as caught:
        load(write(sums, **changes))
    assert str(caught.value).startswith(f"{sums}/{message}") and "\n" not in str(caught.value)


def test_brackets_that_are_no_list_stay(sums):
    assert load(write(sums, doc_to_target="[a b]")).splits["train"][0].target == "[a b]"


def test_splits(sums):
    files = {
        "data_files": {name: "train.jsonl" for name in ("train", "validation")}
        | {"test": "test.jsonl"}
    }

    def sizes(task):
        return {split: len(rows) for split, rows in task.splits.items()}

    full = load(write(sums, dataset_kwargs=files, validation_split="validation"))
    assert sizes(full) == {"train": 6, "validation": 6, "test": 4}
    untested = load(
        write(sums, dataset_kwargs=files, validation_split="validation", test_split=...)
    )
    assert sizes(untested) == {"train": 6, "test": 6}
    assert any("no test_split: test is validation" in line for line in untested.notices)
    untrained = load(
        write(sums, dataset_kwargs=files, validation_split="validation", training_split=...)
    )
    assert sizes(untrained) == {"train": 6, "test": 4}
    assert any("no training_split: validation is trained on" in line for line in untrained.notices)
    divided = load(write(sums, training_split=...), split=(0.5, 0, 0.5))
    assert sizes(divided) == {"train": 2, "test": 2}
    one = load(
        write(sums, dataset_kwargs={"data_files": ["train.jsonl", "test.jsonl"]}, test_split=...)
    )
    assert sizes(one) == {"train": 10}


@pytest.mark.parametrize("write_hub", [write_parquet, write_saved, write_rows])
@pytest.mark.parametrize(
    "place", ["", "owner/name", "owner/name/main", "name", "name/main", "main"]
)
def test_data_of_hugging_face(sums, write_hub, place):
    write_hub(sums / "data" / place, train=rows_of(6), test=rows_of(4, 998))
    path = write(
        sums,
        dataset_path="owner/name",
        dataset_name="main",
        dataset_kwargs={"trust_remote_code": True},
    )
    hub, local = load(path, data_dir=str(sums / "data")), load(write(sums))
    for split, rows in local.splits.items():
        assert [(row.id, row.input, row.target) for row in rows] == [
            (row.id, row.input, row.target) for row in hub.splits[split]
        ]


def test_without_a_data_folder_only_the_dataset_s_own_is_meant(sums):
    path = write(sums, dataset_path="owner/name", dataset_kwargs=...)
    with pytest.raises(
        DataError, match=r"dataset_path: owner/name is not in .*; set task\.data_dir to the folder"
    ):
        load(path)
    write_rows(sums / "name", train=rows_of(3), test=rows_of(2))
    assert len(load(path).splits["train"]) == 3


def test_columns_with_names_of_python(sums):
    write_rows(sums, train=[{"self": "a", "question": "q"}], test=[{"self": "b", "question": "q"}])
    assert load(write(sums, doc_to_target="self")).splits["train"][0].target == "a"


def test_csv_and_parquet_files(sums):
    (sums / "train.csv").write_text("question,answer\n1+1?,#### 2\n")
    write_parquet(sums, test=rows_of(2))
    csv = write(
        sums, dataset_path="csv", dataset_kwargs={"data_files": "train.csv"}, test_split=...
    )
    assert load(csv).splits["train"][0].target == "#### 2"
    files = {"data_files": {"test": "test-00000-of-00001.parquet"}}
    parquet = write(sums, dataset_path="parquet", dataset_kwargs=files, training_split=...)
    assert len(load(parquet, split=(1, 0, 0)).splits["train"]) == 2


def test_malformed_data_names_its_row(sums):
    (sums / "test.jsonl").write_text('{"question": "1+1?", "answer": "2"}\n{"question": "2+2?"}\n')
    with pytest.raises(DataError, match=r"test\.jsonl:2: doc_to_target: 'answer' is undefined"):
        load(write(sums))


def test_another_rule_leaves_the_pattern(sums):
    task = load(write(sums), rule="number")
    assert (task.rule, task.pattern, task.stop) == ("number", None, ("Question:", "</s>"))


def test_a_changed_filter_makes_another_run_of_it(sums):
    from opro_local.config import reading
    from opro_local.runs.plans.prompt import prompt_plan

    def identity():
        scorer = {"engine": "scripted", "script": SCRIPT}
        return prompt_plan(
            reading.build(
                {"task": {"name": "harness", "data": str(sums / "task.yaml")}, "scorer": scorer}
            )
        ).identity

    write(sums)
    before = identity()
    assert identity() == before
    write(sums, filter_list=[LAST])
    after = identity()
    assert after["rule"] != before["rule"] and after["data"] == before["data"]


# Several targets, several metrics, choices, a beginning of the answer


def test_any_of_several_targets_is_right(sums):
    task = load(write(sums, doc_to_target="['a, b', 'C', 7]", filter_list=None))
    rule = choosing.make_rule(task.rule, pattern=task.pattern)
    choosing.check_gold(task, rule)
    row = task.splits["test"][0]
    assert row.target == "a, b"
    values, failed = rule.score(["ab", "c", "7", "d", "['a, b', 'C', 7]"], [row] * 5)
    assert (values.tolist(), failed.tolist()) == ([0, 1, 1, 0, 0], [False] * 5)


def test_the_first_metric_that_can_be_had_decides(sums):
    path = write(sums, metric_list=[{"metric": "ter"}, METRIC, {"metric": "bleu"}])
    task = load(path)
    assert task.rule == "harness" and json.loads(task.pattern)["metric"]["ignore_case"]
    assert f"{path}: 3 metrics (ter, exact_match, bleu): exact_match decides" in task.notices
    text = load(write(sums, metric_list=[{"metric": "chrf"}]))
    assert (text.rule, text.pattern) == ("chrf", None)


@pytest.mark.parametrize("name", ["max_gen_toks", "max_new_tokens", "max_tokens"])
def test_the_most_tokens_by_any_of_their_names(sums, name):
    assert load(write(sums, generation_kwargs={name: 7})).max_tokens == 7


def test_sampling_is_left_out_and_said(sums):
    path = write(sums, generation_kwargs={"do_sample": True, "temperature": 0.8, "top_p": 0.9})
    notice = f"{path}: do_sample, temperature, num_beams: answers are greedy here"
    assert notice in load(path).notices


def test_a_beginning_of_the_answer_ends_the_question(sums):
    task = load(write(sums, gen_prefix="It is"))
    assert task.splits["test"][0].input.endswith("Answer: It is")


CHOOSE = {
    "output_type": "multiple_choice",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    "generation_kwargs": ...,
    "filter_list": ...,
    "repeats": ...,
}


def test_the_same_choices_for_all_rows_are_labels(sums):
    write_rows(sums, train=[{"question": "so?", "gold": n % 2} for n in range(6)])
    write_rows(sums, test=[{"question": "not?", "gold": n % 2} for n in range(4)])
    path = write(sums, **CHOOSE, doc_to_choice=["no", "yes"], doc_to_target="gold")
    task = load(path)
    assert (task.rule, task.labels) == ("labels", ("no", "yes"))
    assert [row.target for row in task.splits["test"]] == ["no", "yes", "no", "yes"]
    assert task.splits["test"][0].input == "Question: not?\n(A) no\n(B) yes\nAnswer:"
    said = [line for line in task.notices if "log-probability" in line]
    assert len(said) == 1 and said[0].endswith(
        "answers are generated and read here, not compared by log-probability as in lm-eval: "
        "figures differ from lm-eval's"
    )
    rule = choosing.task_rule(task, TaskSettings(name="harness", rule="labels"))
    choosing.check_gold(task, rule)


@pytest.mark.parametrize(
    ("options", "gold", "right"),
    [
        ("options", "gold", "cat"),
        ("{{options}}", "{{gold}}", "cat"),
        ("{{options}}", "{{options[gold]}}", "cat"),
        ("options", 1, "cat"),
    ],
)
def test_choices_of_each_row_are_listed_and_read(sums, options, gold, right):
    rows = [{"question": f"{n}?", "options": ["dog", "cat", f"x{n}"], "gold": 1} for n in range(6)]
    write_rows(sums, train=rows, test=rows[:4])
    path = write(sums, **CHOOSE, doc_to_choice=options, doc_to_target=gold)
    task = load(path)
    row = task.splits["test"][0]
    assert row.input == "Question: 0?\n(A) dog\n(B) cat\n(C) x0\nAnswer:"
    assert (task.rule, row.target) == ("choice", right)
    rule = choosing.make_rule(task.rule, examples=task.splits["train"])
    choosing.check_gold(task, rule)
    values, _ = rule.score(["(B)", "cat", "(A)", "dog or cat"], [row] * 4)
    assert values.tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"doc_to_target": "gold", "doc_to_choice": ["a"]}, "doc_to_choice gives ['a']"),
        ({"doc_to_target": "gold", "doc_to_choice": ["a", "a"]}, "supported: distinct texts"),
        ({"doc_to_target": 2, "doc_to_choice": ["a", "b"]}, "doc_to_target gives 2, which is none"),
        ({"doc_to_target": "{{'c'}}", "doc_to_choice": ["a", "b"]}, "gives 'c', which is none"),
        ({"doc_to_target": -1, "doc_to_choice": ["a", "b"]}, "gives -1, which is none of the 2"),
    ],
)
def test_choices_that_are_none(sums, changes, message):
    write_rows(sums, train=[{"question": "so?", "gold": 0}], test=[{"question": "?", "gold": 0}])
    with pytest.raises(DataError) as caught:
        load(write(sums, **CHOOSE, **changes))
    assert message in str(caught.value)


# Functions of the task's own, where the user allowed them


CODE = """
def text(doc):
    return f"What is {doc['question']}"

def target(doc):
    return doc["answer"].rsplit(" ", 1)[-1]

def keep_even(docs):
    return docs.filter(lambda doc: int(doc["question"].split("+")[0]) % 2 == 0)

def broken(doc):
    raise KeyError("no such thing")
"""


def with_functions(sums, **functions):
    pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed here")
    (sums / "utils.py").write_text(CODE)
    path = write(sums, **dict.fromkeys(functions, ...))
    lines = "".join(f"{key}: !function utils.{name}\n" for key, name in functions.items())
    path.write_text(path.read_text() + lines)
    return path


def load_code(path):
    return loading.load(TaskSettings(name="harness", data=str(path), harness_code=True))


def test_functions_run_only_where_they_are_allowed(sums):
    path = with_functions(
        sums, doc_to_text="text", doc_to_target="target", process_docs="keep_even"
    )
    with pytest.raises(DataError, match=r"task\.harness_code"):
        load(path)
    task = load_code(path)
    assert [row.input for row in task.splits["test"]] == ["What is 998+998?", "What is 1000+1000?"]
    assert [row.target for row in task.splits["train"]] == ["0", "4", "8"]
    before = task.content
    (sums / "utils.py").write_text(CODE + "\n")
    assert before and load_code(path).content != before


@pytest.mark.parametrize("key", ["doc_to_text", "process_docs"])
def test_a_function_that_raises_is_named(sums, key):
    path = with_functions(sums, **{key: "broken"})
    with pytest.raises(DataError, match=rf"{key}.* raised KeyError: 'no such thing'"):
        load_code(path)
