"""`evaluation.vote`: what several of a search's best prompts choose together."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from labelled import prepare, tables
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.exports.whole_prompt import WholePrompt
from opro_local.problems.prompt.labelling import Labelling
from opro_local.report.page import write_report
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.predicting import predict
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult
from opro_local.runs.store import read_store
from opro_local.scoring.label_bias import LabelBias, no_bias, voted
from opro_local.scoring.rules import label_set
from opro_local.types import Completion, Example, Solution

# Each prompt misreads rows of its own: "Weigh 0 with care." every fifth pair, "Weigh 1 with
# care." the next one, and so on.
SCRIPT = r"""
import json, math, re


def answer(request):
    sampling = request.sampling
    if not sampling.labels:
        return f"Weigh {(sampling.seed or 0) % 5} with care."
    text = request.prompt.text
    number = int(re.findall(r"row (\d+)", text)[-1])
    blind = re.search(r"Weigh (\d)", text)
    is_no = number % 2 == 0
    if blind and number // 2 % 5 == int(blind[1]):
        is_no = not is_no
    if not blind and number % 10 < 4:
        is_no = not is_no
    gap = -2.0 if is_no else 2.0
    yes = -math.log1p(math.exp(-gap))
    return json.dumps({one: round(yes if one == "yes" else yes - gap, 5) for one in sampling.labels})
"""
NEW = [f"row {n}" for n in range(300, 390)]
RIGHT = ["no" if n % 2 == 0 else "yes" for n in range(300, 390)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch)
    (tmp_path / "model.py").write_text(SCRIPT)
    rows = "".join(f"row {n},{'no' if n % 2 == 0 else 'yes'}\n" for n in range(240))
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}")
    return tmp_path


def config(folder, vote=3, **more):
    return reading.build(tables(folder, "full", evaluation={"vote": vote}, **more))


def test_a_vote_is_right_where_each_prompt_is_wrong_on_other_rows(folder):
    result = run(config(folder), folder / "run")
    vote, best = result.search.vote, result.test.best
    assert len(vote.prompts) == 3 and vote.prompts[0].text == result.best.text
    assert all("Weigh" in one.text for one in vote.prompts)
    assert 0.7 < best.accuracy < 0.9 and vote.figures.accuracy == 1.0
    assert vote.difference.value == pytest.approx(1.0 - best.accuracy)
    assert vote.difference.p_value < 0.01
    assert vote.cost == pytest.approx(3.0, abs=0.2) and vote.figures.n == best.n
    # The same search without one: the same digest, verdict and best prompt.
    plain = run(config(folder, vote=1), folder / "plain")
    assert plain.search.vote is None and "vote" not in plain.to_json()
    assert (plain.digest, plain.verdict, plain.best) == (result.digest, result.verdict, result.best)
    assert plain.test == result.test


def test_everything_that_shows_a_result_has_the_vote(folder):
    result = run(config(folder), folder / "run")
    line = next(line for line in result.summary if line.startswith("A vote of the best 3 prompts"))
    assert "100.0 %" in line and "p = " in line and "3.0 times the tokens" in line
    kept = json.loads((folder / "run" / "result.json").read_text())
    assert kept["vote"]["test"]["accuracy"] == 1.0 and len(kept["vote"]["prompts"]) == 3
    assert RunResult.from_json(kept).search.vote == result.search.vote
    shown = CliRunner().invoke(app, ["show", str(folder / "run")]).output
    page = write_report(folder / "run", trust_code=True).read_text()
    for text in (shown, page):
        assert "A vote of the best 3 prompts" in " ".join(text.split())
    best = json.loads((folder / "run" / "best.json").read_text())
    assert [one["text"] for one in best["vote"]] == [one.text for one in result.search.vote.prompts]
    assert best["vote"][0]["label_bias"]["bias"] == best["label_bias"]["bias"]
    assert WholePrompt.from_json(best) == result.prompt


def test_predict_asks_the_prompts_together(folder):
    run(config(folder), folder / "run")
    alone = predict(folder / "run", NEW, trust_code=True)
    together = predict(folder / "run", NEW, trust_code=True, vote=True)
    assert together.values == RIGHT and alone.values != RIGHT
    assert together.prompt_tokens == pytest.approx(3 * alone.prompt_tokens, rel=0.05)
    (folder / "new.csv").write_text("text\n" + "\n".join(NEW) + "\n")
    came = CliRunner().invoke(
        app,
        ["predict", "--run", str(folder / "run"), "--data", str(folder / "new.csv"), "--vote"]
        + ["--json", "--trust-code"],
    )
    assert came.exit_code == 0, came.output
    assert json.loads(came.stdout)["predictions"] == RIGHT


def test_a_run_without_a_vote_predicts_with_none(folder):
    run(config(folder, vote=1), folder / "run")
    with pytest.raises(UsageError, match="were not asked together") as refused:
        predict(folder / "run", NEW, trust_code=True, vote=True)
    assert "evaluation.vote = 3" in refused.value.hint


def test_a_run_that_was_cut_before_its_vote_goes_on_to_it(folder):
    whole = run(config(folder), folder / "whole")
    store = read_store(folder / "whole")
    calls = [call["label"] for call in store.calls()]
    store.close()
    assert calls[-1].endswith("/test/vote")
    answered = itertools.count(1)
    with pytest.raises(Interrupted):
        stop = Listener(should_stop=lambda: next(answered) >= len(calls) - 1)
        run(config(folder), folder / "cut", stop)
    cut = run(config(folder), folder / "cut")
    assert cut.search.vote == whole.search.vote and cut.prompt == whole.prompt


def test_a_metric_by_class_is_what_a_vote_is_measured_by(folder):
    result = run(config(folder, task={"metric": "balanced_accuracy"}), folder / "run")
    metric = result.search.vote.figures.metric
    assert (metric.name, metric.value) == ("balanced_accuracy", 1.0)
    line = next(line for line in result.summary if line.startswith("A vote of the best 3 prompts"))
    assert "balanced_accuracy 100.0 (" in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": {"answer": "text"}}, "answers are written here"),
        ({"vote": 9}, "at most evaluation.finalists = 8 prompts"),
        ({"task": {"split": [0.5, 0.5, 0.0]}}, "there are none"),
    ],
)
def test_a_vote_that_can_not_be_held_is_refused(folder, changes, words):
    with pytest.raises(UsageError, match=words):
        make_plan(config(folder, **changes))


def test_a_problem_without_labels_has_no_vote():
    numeric = {"problem": {"kind": "linear_regression"}, "evaluation": {"vote": 3}}
    with pytest.raises(UsageError, match="kind linear_regression has no labels"):
        make_plan(reading.build(numeric))


def test_a_vote_of_none_is_refused_as_a_setting():
    with pytest.raises(UsageError, match=r"evaluation\.vote"):
        reading.build({"evaluation": {"vote": 0}})


def test_fewer_prompts_than_asked_for_vote_where_there_are_no_more(folder):
    few = config(folder, search={"steps": 1, "candidates": 1, "generic_seeds": 0}, vote=8)
    vote = run(few, folder / "run").search.vote
    assert 2 <= len(vote.prompts) < 8


def test_a_search_without_a_second_prompt_says_that_there_was_no_vote(folder):
    own = {"steps": 1, "candidates": 1, "generic_seeds": 0, "written_seeds": 0, "max_words": 1}
    alone = config(folder, search={**own, "seeds": ["Which?"]})
    result = run(alone, folder / "run")
    assert result.search.vote is None and not result.prompt.vote
    assert result.search.reason.endswith("; there was no second prompt to vote")


def test_each_prompt_votes_by_its_own_bias_and_its_own_sureness():
    labels = ("no", "yes")
    sure, unsure = np.log([[0.9, 0.1]]), np.log([[0.4, 0.6]])
    plain = no_bias(labels)
    assert voted([plain, plain, plain], np.array([sure, unsure, unsure])).tolist() == [0]
    # Two are sure of yes once their own bias is added.
    biased = LabelBias(labels, (-2.0, 2.0))
    assert voted([plain, biased, biased], np.array([sure, unsure, unsure])).tolist() == [1]
    # A scale makes a prompt's voice smaller.
    faint = LabelBias(labels, (0.0, 0.0), scale=0.05)
    assert voted([faint, plain, plain], np.array([sure, unsure, unsure])).tolist() == [1]


def test_a_prompt_that_a_row_did_not_fit_has_no_part_in_its_label():
    rows = [Example(str(n), {}, f"row {n}", label, "") for n, label in enumerate(("no", "yes"))]
    labelling = Labelling(("no", "yes"), label_set(("no", "yes")), {"test": rows}, False)
    read = Completion('{"no": -2.4, "yes": -0.1}', "stop", 10, 4, 0)
    other = Completion('{"no": -0.1, "yes": -2.4}', "stop", 20, 0, 0)
    long = Completion("", "too_long", 99, 0, 0)
    came = labelling.voted([Solution("a"), Solution("b")], [read, long, long, long])
    assert came == [
        Completion("yes", "stop", 109, 4, 0),
        Completion("", "too_long", 198, 0, 0),
    ]
    assert labelling.voted([Solution("a")], [read, other])[1].text == "no"
