"""Targets that list several labels: what answers give, what they earn, and when auto sees them."""

from __future__ import annotations

import json

import pytest

from opro_local.errors import UsageError
from opro_local.scoring.choosing import make_rule
from opro_local.tasks import arrow
from opro_local.types import Example

NAMES = ("anger", "joy", "fear", "sadness", "not_safe")
# The answer and the labels it gives, in order; None where nothing is read.
ANSWERS = [
    ("anger; joy", "anger; joy"),
    ("joy, anger", "anger; joy"),
    ("Joy and anger.", "anger; joy"),
    ("**Anger**, **Joy**", "anger; joy"),
    ("- anger\n- joy", "anger; joy"),
    ("1. anger\n2. joy", "anger; joy"),
    ('["anger", "joy"]', "anger; joy"),
    ("['anger', 'joy']", "anger; joy"),
    ('```json\n["joy", "anger"]\n```\nNo fear is shown.', "anger; joy"),
    ('{"labels": ["anger", "joy"], "reason": "fear is absent"}', "anger; joy"),
    ("Labels: anger, joy\nReason: there is no fear or sadness here.", "anger; joy"),
    ("Answer: anger, joy. Fear is not meant.", "anger; joy"),
    ("Emotions:\n- anger\n- joy\n\nFear might come later.", "anger; joy"),
    ("anger, joy\n\nThe text shows no fear.", "anger; joy"),
    ("anger\njoy", "anger; joy"),
    ("anger | joy", "anger; joy"),
    ("anger/joy", "anger; joy"),
    ("The text shows anger and joy, but not fear.", "anger; joy"),
    ("It expresses joy.", "joy"),
    ("joy", "joy"),
    ("Not-safe, fear", "fear; not_safe"),
    ("Die Antwort ist anger, joy", "anger; joy"),
    ("答案：anger、joy", "anger; joy"),
    ("none", "[]"),
    ("[]", "[]"),
    ("Answer: none", "[]"),
    ("None of the emotions.", "[]"),
    ("Answer:\n- anger\n- fear\n\nExplanation: joy is missing", "anger; fear"),
    ("Anger: yes\nJoy: no\nFear: yes\nSadness: no", "anger; fear"),
    ("Possible labels: anger, joy, fear.\nAnswer: joy", "joy"),
    ("\\boxed{anger, fear}", "anger; fear"),
    ("Primary: anger. Secondary: fear.", "anger; fear"),
    ("I don't see joy; there's fear and sadness though", "fear; sadness"),
    ("anger\n\nQ: next\nA: joy", "anger"),
    ("No idea what this means.", None),
    ("", None),
    ("happiness", None),
]


def row(target: str, index: int = 0) -> Example:
    return Example(f"train:{index}", {}, "x", target, f"f.csv:{index + 2}")


def rows(*targets: str) -> list[Example]:
    return [row(target, index) for index, target in enumerate(targets)]


@pytest.mark.parametrize(("answer", "labels"), ANSWERS)
def test_the_labels_of_an_answer(answer, labels):
    assert make_rule("labels_set", labels=NAMES).extract(answer) == labels


@pytest.mark.parametrize(
    ("measure", "answer", "value"),
    [
        (None, "joy; anger", 1),
        (None, "anger", 0),
        (None, "anger, joy, fear", 0),
        ("exact", "anger, joy", 1),
        ("jaccard", "anger", 1 / 2),
        ("jaccard", "anger, joy, fear", 2 / 3),
        ("jaccard", "fear", 0),
        ("f1", "anger", 2 / 3),
        ("f1", "anger, joy, fear", 4 / 5),
        ("f1", "none", 0),
    ],
)
def test_what_a_set_earns(measure, answer, value):
    rule = make_rule("labels_set", labels=NAMES, pattern=measure)
    values, failed = rule.score([answer], rows("anger;joy"))
    assert values.tolist() == [pytest.approx(value)] and not failed.any()


@pytest.mark.parametrize("form", ["{}; {}", "{}|{}", "{}, {}", "{}\n{}", '["{}", "{}"]', "{}、{}"])
def test_every_form_of_target_is_a_set_and_scores_itself(form):
    targets = [form.format(*pair) for pair in (("anger", "joy"), ("joy", "fear"))]
    examples = rows(*targets, "anger")
    rule = make_rule("labels_set", examples=examples)
    assert rule.score([example.target for example in examples], examples)[0].tolist() == [1, 1, 1]
    assert rule.score(["joy, anger"] * 3, examples)[0].tolist() == [1, 0, 0]


def test_a_label_that_holds_the_separator_is_one():
    rule = make_rule("labels_set", labels=("Health, Fitness", "Food"), examples=rows("Food"))
    examples = rows("Health, Fitness")
    assert rule.score(["Health, Fitness", "Food"], examples)[0].tolist() == [1, 0]


def test_one_label_is_not_right_where_three_are_given():
    rule = make_rule("labels", labels=NAMES)
    for answer in ("anger, joy, fear", "anger\njoy\nfear", '["anger", "joy", "fear"]'):
        values, failed = rule.score([answer], rows("anger"))
        assert values.tolist() == [0] and failed.all()


def test_a_measure_that_is_none_is_refused():
    with pytest.raises(UsageError, match="'dice'; accepted: exact, jaccard, f1"):
        make_rule("labels_set", labels=NAMES, pattern="dice")
    with pytest.raises(UsageError, match=r"1 label\(s\); set task.labels"):
        make_rule("labels_set", examples=rows("joy"))


@pytest.mark.parametrize(
    ("targets", "name"),
    [
        (["a1; b1", "b1; c1", "a1", "c1; a1", "b1"] * 4, "labels_set"),
        ([json.dumps(one) for one in (["x", "y"], ["y"], ["x", "z"], ["z"])] * 5, "labels_set"),
        (["Arts, Culture", "World, Politics", "Sports"] * 6, "labels"),
        (["spam", "ham"] * 6, "labels"),
        ([f"one, two and {number} more" for number in range(20)], "exact"),
        (["1,5", "2,5", "3,25"] * 4, "number"),
    ],
)
def test_auto_sees_targets_that_combine_labels(targets, name):
    assert make_rule("auto", examples=rows(*targets)).name == name


def test_the_classes_of_a_list_column_keep_their_names(tmp_path):
    datasets = pytest.importorskip("datasets")
    kinds = datasets.Features(
        {
            "text": datasets.Value("string"),
            "labels": datasets.Sequence(datasets.ClassLabel(names=["anger", "joy"])),
        }
    )
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "labels": [[0, 1], [1]]}, kinds)
    made.to_parquet(tmp_path / "train.parquet")
    made.save_to_disk(tmp_path / "saved")
    tables = [arrow.read_parquet(tmp_path / "train.parquet")]
    tables += arrow.read_saved(tmp_path / "saved").values()
    for table in tables:
        assert [row.columns["labels"] for row in table.rows] == ['["anger", "joy"]', '["joy"]']
    assert len(tables) == 2
