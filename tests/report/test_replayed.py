"""What only a run's completions tell: flips, lineage, operators and meta-prompts."""

from __future__ import annotations

import shutil
from dataclasses import astuple

import pytest
from running import SCRIPT, write_reviews

from opro_local.config import reading
from opro_local.errors import DamageError
from opro_local.report.gathering import gather
from opro_local.report.lineage import word_diff
from opro_local.report.page import page
from opro_local.report.replayed import MetaPrompt, _within
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.runs.store import open_store
from opro_local.runs.verification import verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a mixed search whose winner was proposed, and one whose config names code."""
    folder = tmp_path_factory.mktemp("made")
    write_reviews(folder / "reviews.csv")
    (folder / "rule.py").write_text(
        "def score(answer, target, row):\n    return float(target in answer)\n"
    )
    scripted = {"engine": "scripted", "script": SCRIPT}
    for name, rule, search in (
        ("run", {"rule": "labels"}, {"steps": 8}),
        ("opro", {"rule": "labels"}, {"steps": 8, "mode": "opro"}),
        ("code", {"rule": "python", "pattern": f"{folder}/rule.py:score"}, {"steps": 1}),
    ):
        tables = {
            "task": {
                "data": str(folder / "reviews.csv"),
                "input": "text",
                "target": "label",
                **rule,
            },
            "scorer": {**scripted, "max_tokens": 8},
            "optimizer": scripted,
            "search": {"seeds": ["What is it?"], "candidates": 4, **search},
            "run": {"seed": 3, "cache": False},
        }
        run(reading.build(tables, []), folder / name)
    return folder


def test_flips_sum_up_to_the_difference(made):
    told, result = gather(made / "run").replayed, describe(made / "run")
    assert told.split == "test" and told.flips
    gap = sum(flip.after.value - flip.before.value for flip in told.flips) / result.test.best.n
    assert gap == pytest.approx(result.test.difference.value)
    for flip in told.flips:
        right = "positive" if "good" in flip.input else "negative"
        assert flip.target == right
        assert (flip.after.read == right) == flip.is_gained
        assert flip.before.read != flip.after.read
        assert flip.before.text in ("positive", "negative")
    gained = [flip.is_gained for flip in told.flips]
    assert gained == sorted(gained, reverse=True)


def test_the_line_ends_with_the_winner_and_each_is_made_of_the_one_before(made):
    contents = gather(made / "run")
    line = contents.replayed.lineage
    assert line[-1].step == contents.result.best.step > 0
    texts = ["".join(piece.text for piece in one.pieces if piece.kind != "gone") for one in line]
    before = ["".join(piece.text for piece in one.pieces if piece.kind != "new") for one in line]
    assert texts[-1] == contents.result.best.text
    assert before[1:] == texts[:-1]
    (winner,) = [one for one in contents.solutions if one.is_best and one.split == "test"]
    assert winner.operator == line[-1].operator != ""
    # The tree around the line: what else was made of the same, best first, none of it in the line.
    assert any(one.others for one in line) and line[0].others == 0
    known = {(one.step, one.text) for one in contents.solutions}
    in_line = {
        (one.step, one.operator, one.value, text) for one, text in zip(line, texts, strict=True)
    }
    for one in line:
        values = [sibling.value for sibling in one.siblings]
        assert values == sorted(values, reverse=True) and len(values) <= one.others
        assert {(sibling.step, sibling.text) for sibling in one.siblings} <= known
        assert not {astuple(sibling) for sibling in one.siblings} & in_line
        assert all(sibling.operator for sibling in one.siblings)
    assert "from the same parent" in page(contents)


def test_a_winner_without_a_line_has_what_the_optimizer_was_shown(made):
    contents = gather(made / "opro")
    told, step = contents.replayed, contents.result.best.step
    assert step > 0 and told.lineage == ()
    assert {one.label for one in told.shown_for_best} == {f"{step}/propose"}
    assert "What is it?" in told.shown_for_best[0].text
    html = page(contents)
    assert f"It was proposed in step {step}. The optimizer saw all the solutions below" in html
    assert gather(made / "run").replayed.shown_for_best == ()


def test_meta_prompts_are_those_that_were_sent(made):
    told = gather(made / "run").replayed
    steps = {one.label for one in told.metaprompts}
    assert {f"{step}/propose" for step in range(1, 9)} & steps
    assert told.metaprompts_left_out == 0
    assert any("What is it?" in one.text for one in told.metaprompts)


def test_meta_prompts_that_are_too_many_are_left_out_evenly():
    many = [MetaPrompt(str(number), "x" * 1000, 1) for number in range(3000)]
    assert [one.label for one in _within(many)][:3] == ["0", "3", "6"]
    assert len(_within(many)) == 1000


def test_a_config_that_names_code_is_gone_through_when_trusted_only(made):
    assert "would have to be run; add --trust-code" in gather(made / "code").replayed
    assert gather(made / "code", trust_code=True).replayed.split == "test"


def test_other_data_leaves_the_parts_out_and_says_why(made):
    data = made / "reviews.csv"
    kept = data.read_text()
    try:
        data.write_text(kept.replace("Number 21", "Number 77"))
        assert "data changed since the run" in gather(made / "run").replayed
        data.unlink()
        assert "reviews.csv" in gather(made / "run").replayed
    finally:
        data.write_text(kept)


def test_a_forged_result_is_refused(made, tmp_path):
    copy = shutil.copytree(made / "run", tmp_path / "run")
    store = open_store(copy)
    store.put(result={**store.get("result"), "digest": "0" * 64})
    store.close()
    (copy / "result.json").unlink()
    assert verify(copy).ok
    with pytest.raises(DamageError, match="not what its completions derive"):
        gather(copy)


def test_texts_are_compared_word_by_word():
    pieces = [(piece.kind, piece.text) for piece in word_diff("Is it good?", "Is it very good!")]
    assert pieces == [
        ("same", "Is it "),
        ("new", "very "),
        ("same", "good"),
        ("gone", "?"),
        ("new", "!"),
    ]
    assert [piece.kind for piece in word_diff("", "new")] == ["same"]
    assert [piece.kind for piece in word_diff("a" * 4000, "b" * 4000)] == ["same"]
