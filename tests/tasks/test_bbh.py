"""BIG-Bench Hard in both layouts, the paper's split, the rule of each task, and rows that are
broken.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hub import write_parquet, write_saved

from opro_local.config.task import TaskSettings
from opro_local.errors import DataError, UsageError
from opro_local.runs import inspection
from opro_local.tasks import bbh, loading, published

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not (SHARED / "bbh").is_dir(), reason=f"no BIG-Bench Hard in {SHARED}"
)

# np.random.seed(0); np.sort(np.random.choice(n, int(0.2 * n), replace=False)), as
# optimize_instructions.py draws.
PAPER = {250: ([5, 8, 12, 22, 37, 44, 45, 55], 50), 187: ([4, 5, 7, 18, 26, 33, 37, 44], 37)}
PAPER |= {146: ([7, 8, 16, 22, 24, 26, 27, 33], 29), 178: ([4, 5, 7, 8, 18, 26, 33, 37], 35)}


def load(name, folder, **changes):
    return loading.load(TaskSettings(name=f"bbh/{name}", data_dir=str(folder), **changes))


def ids(rows):
    return [int(row.id.partition(":")[2]) for row in rows]


def write(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({"canary": "none", "examples": rows}))


def navigate(count=20):
    return [
        {"input": f"Walk {n} steps.\nOptions:\n- Yes\n- No", "target": "Yes" if n % 3 else "No"}
        for n in range(count)
    ]


def test_there_are_27_files_of_23_tasks():
    sized = [
        name
        for name in bbh.TASKS
        if name.startswith(("logical_deduction", "tracking_shuffled_objects"))
    ]
    assert (len(bbh.TASKS), len(set(bbh.TASKS)), len(sized)) == (27, 27, 6)


@pytest.mark.parametrize("rows", PAPER)
def test_paper_split(rows):
    start, count = PAPER[rows]
    train, validation, test = published.paper_split(rows, int(0.2 * rows))
    assert (train[:8], len(train), validation) == (start, count, [])
    assert sorted(train + test) == list(range(rows)) and test == sorted(test)


def test_validation_is_drawn_from_the_test_rows():
    train, validation, test = published.paper_split(250, 50, 30)
    assert train == published.paper_split(250, 50)[0]
    assert len(validation) == 30 and validation == sorted(validation)
    assert sorted(train + validation + test) == list(range(250))
    assert published.paper_split(250, 50, 1000)[1:] == (published.paper_split(250, 50)[2], [])


@needs_shared
@pytest.mark.parametrize("place", ["", "bbh"])
def test_the_benchmark(place):
    task = load("sports_understanding", SHARED / place)
    assert {split: len(rows) for split, rows in task.splits.items()} == {"train": 50, "test": 200}
    assert ids(task.splits["train"])[:8] == PAPER[250][0]
    assert (task.rule, task.kind, task.version) == ("boolean", "boolean", 1)
    row = task.splits["test"][0]
    assert (row.id, row.target) == ("sports_understanding:0", "no")
    assert row.input == 'Is the following sentence plausible? "Elias Lindholm beat the buzzer."'
    assert row.where.endswith("sports_understanding.json:1")


@needs_shared
@pytest.mark.parametrize("name", sorted(path.stem for path in (SHARED / "bbh").glob("*.json")))
def test_every_gold_answer_scores_one_but_for_the_broken_row(name):
    found = inspection.validate(TaskSettings(name=f"bbh/{name}", data_dir=str(SHARED)))
    assert found["rows"] == (146 if name == "penguins_in_a_table" else 250)
    wrong = [(row["id"], row["target"]) for row in found["wrong"]]
    assert set(wrong) <= (
        {("movie_recommendation:163", "Monsters, Inc")} if name == "movie_recommendation" else set()
    )


@needs_shared
def test_a_broken_published_row_is_named():
    task = load("movie_recommendation", SHARED)
    assert list(task.faults) == ["movie_recommendation:163"]
    assert any(
        "movie_recommendation.json:164: the published row's option was cut" in line
        for line in task.notices
    )


@pytest.mark.parametrize(
    ("name", "target", "rule", "kind"),
    [
        ("navigate", "Yes", "boolean", "boolean"),
        ("boolean_expressions", "True", "boolean", "boolean"),
        ("formal_fallacies", "valid", "boolean", "boolean"),
        ("object_counting", "7", "number", "number"),
        ("multistep_arithmetic_two", "-7", "number", "number"),
        ("word_sorting", "a b", "exact", "text"),
        ("dyck_languages", "] )", "exact", "text"),
        ("snarks", "(A)", "choice", "choice"),
    ],
)
def test_rules_and_kinds(tmp_path, name, target, rule, kind):
    write(
        tmp_path,
        name,
        [{"input": f"{n}?\nOptions:\n(A) x\n(B) y", "target": target} for n in range(10)],
    )
    task = load(name, tmp_path)
    assert (task.rule, task.kind) == (rule, kind)
    other = load(name, tmp_path, rule="opro", kind="text")
    assert (other.rule, other.kind) == ("opro", "text")


@pytest.mark.parametrize("write_hub", [write_parquet, write_saved])
@pytest.mark.parametrize("place", ["", "bbh", "lukaemon/bbh"])
def test_both_layouts_give_the_same_rows(tmp_path, write_hub, place):
    write(tmp_path / "opro" / "data" / "BIG-Bench-Hard-data", "navigate", navigate())
    write_hub(tmp_path / "hub" / place / "navigate", test=navigate())
    opro, hub = (load("navigate", tmp_path / name, validation_rows=3) for name in ("opro", "hub"))
    assert {split: len(rows) for split, rows in opro.splits.items()} == {
        "train": 4,
        "validation": 3,
        "test": 13,
    }
    for split, rows in opro.splits.items():
        assert [(row.id, row.input, row.target) for row in rows] == [
            (row.id, row.input, row.target) for row in hub.splits[split]
        ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"input": "Walk."}, ":21: target is missing"),
        ({"target": "Yes"}, ":21: input is missing"),
        ({"input": "Walk.", "target": None}, ":21: target is missing"),
        ({"input": "Walk.", "target": " "}, ":21: target is empty"),
        ({"input": "", "target": "Yes"}, ":21: input is empty"),
        ({"input": "Walk.", "target": 5}, ":21: target is 5, not a text"),
        ({"input": ["Walk."], "target": "Yes"}, ":21: input is ['Walk.'], not a text"),
        (
            {"input": "Walk.", "target": "Maybe"},
            ":21: the target 'Maybe' is not one of ('Yes', 'No')",
        ),
        ({"input": "Walk\0.", "target": "Yes"}, ":21: input holds a NUL"),
        ({"input": "\ud800", "target": "Yes"}, ":21: input holds a NUL or half a surrogate pair"),
        (["Walk.", "Yes"], ":21: ['Walk.', 'Yes'] where an object is expected"),
        (None, ":21: None where an object is expected"),
    ],
)
def test_broken_rows(tmp_path, row, message):
    write(tmp_path, "navigate", [*navigate(), row])
    with pytest.raises(DataError) as caught:
        load("navigate", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/navigate.json{message}") and "\n" not in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty"),
        ("[]", ":1: no list called examples"),
        ('{"canary": ""}', ":1: no list called examples"),
        ('{"examples": {}}', ":1: no list called examples"),
        ('{"examples": []}', ":1: examples is empty"),
        ('{"examples": [}', ":1: no JSON: expecting value at column 15"),
        ('{"examples": [\n\n{"input" 5}]}', ":3: no JSON: "),
        (
            '{"examples": [{"input": "a", "input": "b", "target": "No"}]}',
            ":1: the key 'input' appears twice",
        ),
        ('{"examples": ' + "[" * 100_000, ":1: nested too deep"),
        (
            '{"examples": [{"input": "a", "target": "No"}]}',
            ":1: 1 rows are too few; 20 % of them must be a row",
        ),
    ],
)
def test_broken_files(tmp_path, content, message):
    (tmp_path / "navigate.json").write_text(content)
    with pytest.raises(DataError) as caught:
        load("navigate", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/navigate.json{message}")


@pytest.mark.parametrize(
    ("name", "target"), [("snarks", "(D)"), ("snarks", "A"), ("object_counting", "seven")]
)
def test_targets_a_task_does_not_have(tmp_path, name, target):
    write(tmp_path, name, [{"input": "Which?\nOptions:\n(A) x\n(B) y", "target": target}] * 10)
    with pytest.raises(DataError, match=rf"{name}\.json:1: the target .* is not "):
        load(name, tmp_path)


def test_columns_missing_in_parquet(tmp_path):
    write_parquet(tmp_path / "navigate", test=[{"input": "Walk.", "label": "Yes"}])
    with pytest.raises(
        DataError,
        match=r"navigate/test-.*parquet: no column 'target'; the columns are 'input', 'label'",
    ):
        load("navigate", tmp_path)


def test_names_and_folders(tmp_path):
    with pytest.raises(
        UsageError,
        match=r"unknown task 'bbh/navigat'; did you mean bbh/navigate\? its tasks: boolean_",
    ):
        load("navigat", tmp_path)
    with pytest.raises(UsageError, match="unknown task 'bbh'; "):
        loading.load(TaskSettings(name="bbh", data_dir=str(tmp_path)))
    with pytest.raises(UsageError, match=r"bbh/navigate needs its files; set task\.data_dir"):
        loading.load(TaskSettings(name="bbh/navigate"))
    with pytest.raises(
        DataError, match=r"no bbh/navigate here; expected navigate\.json, or a folder navigate"
    ):
        load("navigate", tmp_path)
    with pytest.raises(DataError, match="nowhere: no such folder"):
        load("navigate", tmp_path / "nowhere")
