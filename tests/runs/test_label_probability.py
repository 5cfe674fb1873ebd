"""`task.answer = "label_probability"`: whole runs with a scripted model that ranks rows well and
gives one label nearly always.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import asdict, replace
from html import unescape

import numpy as np
import pytest
from labelled import GOOD, prepare, tables
from running import SMOL, embedded_model
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.engines.label_reads import first_tokens
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.exports.formats import FORMATS, export
from opro_local.exports.whole_prompt import WholePrompt
from opro_local.records import log_probabilities
from opro_local.report.page import write_report
from opro_local.runs import result as results
from opro_local.runs.cache import Cache
from opro_local.runs.driver import drive
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.lockstep import run_many
from opro_local.runs.one_answer import one_answer
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.predicting import predict
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult
from opro_local.scoring.label_bias import fit, right_share
from opro_local.search.trajectory import Trajectory
from opro_local.types import Completion, Prompt, Request, Sampling, Solution


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with rows and a script. `predict` shows that labels go through a worker."""
    return prepare(tmp_path, monkeypatch)


@pytest.mark.parametrize("mode", ["full", "halve", "race", "subset"])
def test_a_search_by_label_probabilities_finds_what_plain_choices_hide(folder, mode):
    plan = make_plan(reading.build(tables(folder, mode)))
    trajectory, calls = Trajectory(), []
    script: dict = {}
    exec((folder / "model.py").read_text(), script)

    def counted(request):
        calls.append(request)
        return script["answer"](request)

    engine = ScriptedEngine.of(counted)
    ended = drive(plan.search(trajectory), {"optimizer": engine, "scorer": engine}, trajectory)
    outcome = plan.summarize(trajectory, ended, 0.05)
    assert ended.best.text == GOOD
    assert all(c.sampling.labels == ("no", "yes") for c in calls if c.sampling.seed is None)
    test = outcome.test.best
    assert test.metrics["without_bias"] < 0.75 < 0.85 < test.accuracy
    assert outcome.train.best.metric.name == "label_probability"
    assert outcome.train.best.metric.value == pytest.approx(test.metrics["probability"], abs=0.1)
    bias = plan.problem.labelling.bias(ended.best)
    assert bias.by_label["no"] > 1 > -1 > bias.by_label["yes"]


def test_the_run_ships_its_bias_and_predicts_with_it(folder):
    config = reading.build(tables(folder))
    result = run(config, folder / "run")
    best = json.loads((folder / "run" / "best.json").read_text())
    assert set(best["label_bias"]["bias"]) == {"no", "yes"}
    new = [f"row {n}" for n in range(300, 360)]
    came = predict(folder / "run", new, trust_code=True)
    right = [
        value == ("no" if int(re.sub(r"\D", "", text)) % 3 == 0 else "yes")
        for value, text in zip(came.values, new, strict=True)
    ]
    assert sum(right) / len(right) > 0.85 and not came.unread
    for name, words in (("openai", "no logit_bias"), ("jinja", "no room for the bias")):
        with pytest.raises(UsageError, match=words):
            export(result.prompt, name)
    assert "with the bias: no" in export(result.prompt, "markdown")
    bins = result.test.best.calibration
    assert sum(one.n for one in bins) == result.test.best.n
    for one in bins:
        assert abs(one.right - one.probability) < 4 * math.sqrt(0.25 / one.n)
    kept = json.loads((folder / "run" / "result.json").read_text())
    assert kept["test"]["best"]["calibration"][0] == asdict(bins[0])
    assert RunResult.from_json(kept).test.best.calibration == bins
    html = write_report(folder / "run", trust_code=True).read_text()
    assert "Labels by probability, on test" in html and "is a label right as often" in html
    # The same command resumes: it finds everything answered, and comes to the same.
    assert run(config, folder / "run").digest == result.digest
    assert result.prompt == result.prompt.from_json(json.loads(json.dumps(result.prompt.to_json())))


def test_everything_that_shows_a_read_winner_says_what_it_is_without_its_bias(folder):
    """And that nobody knows what it does written, with a command that finds out."""
    run_folder = folder / "run"
    result = run(reading.build(tables(folder)), run_folder)
    best = result.test.best.metrics["without_bias"]
    first = result.test.baseline.metrics["without_bias"]
    said = (
        f"Without the bias the most probable label is right on {100 * best:.1f} % of the test rows "
        f"with the best prompt, and on {100 * first:.1f} % with the first."
    )
    command = "opro-local evaluate RUN --prompts RUN/best.json --set task.answer=text"
    unknown = "where the model writes its answer was not measured"
    page = write_report(run_folder, trust_code=True).read_text()
    shown = CliRunner().invoke(app, ["show", str(run_folder)]).output
    for text in (shown, page, result._repr_html_(), "\n".join(result.summary)):
        text = " ".join(unescape(text).split())
        assert said in text and unknown in text and command in text
    card = export(result.prompt, "markdown")
    assert f"the most probable label is right on {best:.3f} of the test rows" in card
    assert command in card
    kept = json.loads((run_folder / "best.json").read_text())
    assert kept["scores"]["test"]["best"]["without_bias"] == best
    assert kept["label_bias"]["written"].startswith("not measured;")
    assert kept["label_bias"]["written"].endswith(command)
    # The command works: the same prompt, rows and model, and answers that are written.
    arguments = [word.replace("RUN", str(run_folder)) for word in command.split()[1:]]
    refused = CliRunner().invoke(app, [*arguments, "--run", str(folder / "refused")])
    assert isinstance(refused.exception, UsageError) and not (folder / "refused").exists()
    assert "--trust-code" in refused.exception.hint
    measured = CliRunner().invoke(
        app, [*arguments, "--run", str(folder / "written"), "--trust-code", "--json"]
    )
    assert measured.exit_code == 0, measured.output
    (figures,) = json.loads(measured.stdout)["prompts"]
    assert figures["text"] == result.best.text and "without_bias" not in figures
    # This model writes a sentence in place of a label.
    assert (figures["n"], figures["extraction_failures"]) == (result.test.best.n,) * 2


def test_where_answers_are_written_nothing_is_said_of_a_bias(folder):
    result = run(reading.build(tables(folder, task={"answer": "text"})), folder / "run")
    assert not any("bias" in line for line in result.summary)


def test_a_cut_run_resumes_and_runs_in_lockstep_come_to_what_each_comes_to_alone(folder):
    configs = [reading.build({**tables(folder), "run": {"seed": seed}}) for seed in (3, 4)]
    alone = [run(config, folder / f"alone{n}") for n, config in enumerate(configs)]
    answered = itertools.count(1)
    with pytest.raises(Interrupted):
        listener = Listener(should_stop=lambda: next(answered) >= 3)
        run(configs[0], folder / "cut", listener)
    cut = run(configs[0], folder / "cut")
    together = run_many([(config, folder / f"together{n}") for n, config in enumerate(configs)])
    assert [cut.digest, *(one.digest for one in together)] == [
        one.digest for one in (alone[0], *alone)
    ]
    assert cut.prompt.label_bias == alone[0].prompt.label_bias == together[0].prompt.label_bias


def test_labels_are_part_of_what_the_cache_knows_an_answer_by(tmp_path):
    shelf = Cache(tmp_path / "cache").shelf({"engine": "vllm"})
    prompt = Prompt("Which?")
    one, other, plain = (
        Request(prompt, Sampling(8, labels=labels)) for labels in (("a", "b"), ("a", "c"), ())
    )
    read = Completion('{"a": -1, "b": -2}', "stop", 3, 0, 0)
    shelf.keep([one], [read])
    assert shelf.find([one, other, plain]) == [read, None, None]


@pytest.fixture(scope="module")
def shipped():
    """A prompt whose labels are chosen by probability."""
    bias = {"bias": {"billing": -0.5, "technical": 0.5}, "scale": 0.8}
    prompt = Prompt("Q: <input-1>\nA:", chat=False)
    return WholePrompt("Which?", (), prompt, "<input-1>", "text", {}, 8, label_bias=bias)


def test_exports_hold_the_bias_or_say_that_they_can_not(shipped):
    module: dict = {}
    exec(export(shipped, "python"), module)
    assert module["label"]({"billing": -1.0, "technical": -1.9}) == "technical"
    assert module["label"]({"billing": -1.0, "technical": -2.1}) == "billing"
    assert "ask" not in module  # a server would answer without the bias
    known = {**shipped.label_bias, "first_tokens": {"billing": 7, "technical": 9}}
    whole = replace(shipped, label_bias={**known, "one_token": True})
    record = json.loads(export(whole, "openai"))
    assert record["sampling"]["logit_bias"] == {"7": -0.5, "9": 0.5}
    assert record["extra_body"]["structured_outputs"] == {"choice": ["billing", "technical"]}
    exec(export(whole, "python"), module)
    assert module["REQUEST"]["logit_bias"] == {"7": -0.5, "9": 0.5} and "ask" in module
    for name in FORMATS.keys() - {"openai", "python", "markdown"}:
        with pytest.raises(UsageError, match="no room for the bias"):
            export(whole, name)


def test_the_first_tokens_of_labels_are_those_that_are_read():
    embedded_model()
    pytest.importorskip("tokenizers")
    file, text = SMOL / "tokenizer.json", Prompt("The capital of France is", chat=False)
    # The tokens that both engines read (tests/contract/test_labels.py).
    assert first_tokens(file, text, ("Paris", "London"), True) == (
        {"Paris": 7042, "London": 4528},
        True,
    )
    assert first_tokens(file, text, ("Paris", "New York"), True) == (
        {"Paris": 7042, "New York": 1315},
        False,
    )
    alike = ("New York", "New Delhi")
    assert first_tokens(file, text, alike, True) is None
    assert first_tokens(SMOL / "none.json", text, alike, True) is None


def figures_by_hand(problem, solution, logs, splits):
    """Accuracy on test with the bias that these splits' rows say."""
    golds = {
        split: np.array([problem.labelling.labels.index(row.target) for row in problem.rows[split]])
        for split in ("train", "validation", "test")
    }
    fitted = [np.concatenate([part[split] for split in splits]) for part in (logs, golds)]
    bias = fit(problem.labelling.labels, *fitted)
    return bias, float(np.mean(bias.chosen(logs["test"]) == golds["test"]))


@pytest.mark.parametrize(("revision", "splits"), [(4, ("train", "validation")), (3, ("train",))])
def test_a_prompt_is_tested_and_shipped_with_the_bias_of_all_labelled_rows(
    folder, revision, splits
):
    """And validated with that of train alone. `evaluate` comes to the same figures."""
    plan = make_plan(reading.build(tables(folder, task={"revision": revision})))
    result = run(plan, folder / "run")
    script: dict = {}
    exec((folder / "model.py").read_text(), script)
    problem, best = plan.problem, Solution(result.best.text)
    logs = {
        split: np.array(
            [
                log_probabilities(script["answer"](request), problem.labelling.labels)
                for request in problem.requests(best, split, problem.rows[split])
            ]
        )
        for split in ("train", "validation", "test")
    }
    bias, accuracy = figures_by_hand(problem, best, logs, splits)
    assert result.test.best.accuracy == accuracy
    assert result.prompt.label_bias["bias"] == bias.to_json()["bias"]
    of_train, _ = figures_by_hand(problem, best, logs, ("train",))
    right = [problem.labelling.labels.index(row.target) for row in problem.rows["validation"]]
    shares = of_train.probabilities(logs["validation"])
    assert result.validation.best.metrics["probability"] == right_share(shares, np.array(right))
    tested = tables(folder, search={"seeds": [best.text]}, task={"revision": revision})
    again = run(evaluation_plan(reading.build(tested)), folder / "again").evaluation.prompts[0]
    assert again.figures == result.test.best


def test_an_evaluation_has_a_bias_of_its_train_rows(folder):
    seeds = {"seeds": [GOOD, "Say which."]}
    config = reading.build(tables(folder, search=seeds, evaluation={"split": "test"}))
    result = run(evaluation_plan(config), folder / "evaluated")
    care, plain = (prompt.figures for prompt in result.evaluation.prompts)
    assert care.accuracy > 0.85 > care.metrics["without_bias"]
    assert care.metrics["probability"] > plain.metrics["probability"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": {"rule": "exact"}}, "needs classes"),
        ({"scorer": {"constrain": "labels"}}, "scorer.constrain"),
        ({"task": {"labels": ["yes"]}}, "label"),
        ({"task": {"labels": ["yes", "no", *map(str, range(200))]}}, "at most 200 labels"),
    ],
)
def test_what_has_no_closed_set_of_labels_is_refused(folder, changes, words):
    with pytest.raises(UsageError, match=words):
        make_plan(reading.build(tables(folder, **changes)))


def test_without_the_setting_nothing_is_asked_otherwise(folder):
    made = tables(folder, task={"answer": "text"})
    plan = make_plan(reading.build(made))
    solution = plan.problem.seeds()[0]
    (request, *_) = plan.problem.requests(solution, "train", plan.problem.rows["train"])
    assert request.sampling.labels == () and plan.problem.labelling is None


def test_a_report_and_the_summary_show_all_splits_in_one_measure(folder):
    """Train is searched by the labels' probability; beside the other splits it stands in accuracy."""
    result = run(reading.build(tables(folder)), folder / "run")
    search = result.search
    on_train = search.train.best
    assert on_train.value != on_train.accuracy
    assert on_train.measured_as(search.test.best) == (on_train.accuracy, on_train.interval)
    assert on_train.measured_as(on_train) == (on_train.metric.value, on_train.metric.interval)
    page = write_report(folder / "run").read_text("utf-8")
    table = page[page.index("Scores, with intervals") : page.index("On train label_probability")]
    assert f"<strong>{100 * on_train.accuracy:.1f} %</strong>" in table
    assert f"{100 * on_train.value:.1f} %" not in table
    (chosen,) = (one for one in search.leaders if one.text != search.baseline)
    said = " ".join(results.words(replace(search, leaders=(chosen, chosen)), shares=True))
    assert f"leaders had {100 * chosen.train.accuracy:.1f} % on the train rows" in said


def test_check_shows_the_most_probable_labels_in_words(folder):
    shown = one_answer(make_plan(reading.build(tables(folder))))
    assert re.fullmatch(
        r"(yes|no) 0\.\d\d, (yes|no) 0\.\d\d \(probabilities of 2 labels, before any bias\)",
        shown.answer,
    )
    assert shown.parsed == shown.answer.partition(" ")[0]
