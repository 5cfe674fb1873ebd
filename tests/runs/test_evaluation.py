"""Evaluating given prompts: one batch, paired tests, row files, flips, the judge and the second
round.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from made_results import made_result
from running import program

from opro_local.config import reading
from opro_local.errors import DataError, UsageError
from opro_local.runs import evaluated_rows, prompt_file
from opro_local.runs.evaluation import EvaluationOutcome, PromptFigures
from opro_local.runs.events import BatchStart, Listener
from opro_local.runs.figures import Figures
from opro_local.runs.headroom import headroom
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan, varied_instructions
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult
from opro_local.runs.winner import Winner
from opro_local.scoring.classes import class_figures
from opro_local.types import Completion, Prompt

PROMPTS = ["What is it?", "Answer carefully, read and think", "Answer please"]


@pytest.fixture
def ready(tables):
    tables["search"]["seeds"] = PROMPTS
    return evaluation_plan(reading.build(tables))


def test_all_prompts_go_in_one_batch_and_no_optimizer_starts(ready, tmp_path):
    asked = []
    found = run(
        ready,
        tmp_path / "run",
        Listener(lambda e: asked.append(e.batch) if isinstance(e, BatchStart) else None),
    )
    assert [batch.label for batch in asked] == ["0/test"] and len(asked[0].requests) == 3 * 24
    assert (
        found["calls"] == {"optimizer": 0, "scorer": 1}
        and not (tmp_path / "run" / "optimizer.log").exists()
    )
    assert [prompt["text"] for prompt in found["prompts"]] == PROMPTS
    assert found["best"]["text"] == PROMPTS[1] and not (tmp_path / "run" / "best.txt").exists()
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [(1, 2), (1, 3), (2, 3)]
    assert all(pair["p_holm"] >= pair["p_value"] for pair in found["pairs"])
    again = run(
        ready,
        tmp_path / "run",
        Listener(lambda e: asked.append(e) if isinstance(e, BatchStart) else None),
    )
    assert again == found and len(asked) == 1


def test_rows_say_what_each_answer_was_and_earned(ready, tmp_path):
    found = run(ready, tmp_path / "run")
    rows = evaluated_rows.read_rows(ready.config, tmp_path / "run")
    assert len(rows) == 72 and [row["prompt"] for row in rows] == [1] * 24 + [2] * 24 + [3] * 24
    for prompt in found["prompts"]:
        mine = [row for row in rows if row["prompt"] == prompt["prompt"]]
        assert np.mean([row["correct"] for row in mine]) == pytest.approx(prompt["accuracy"])
    for row in rows:
        assert (row["parsed"] == row["target"]) == (row["correct"] == 1) and row["answer"] in (
            "positive",
            "negative",
        )
    changed = evaluated_rows.find_flipped(rows, 1, 2)
    differing = sum(
        a["correct"] != b["correct"] for a, b in zip(rows[:24], rows[24:48], strict=True)
    )
    assert len(changed) == differing > 0
    gains = [row["b"]["correct"] > row["a"]["correct"] for row in changed]
    assert gains == sorted(gains, reverse=True)
    with pytest.raises(UsageError, match=r"no prompt 4.*numbered 1 to 3"):
        evaluated_rows.find_flipped(rows, 1, 4)


def test_rows_are_written_as_jsonl_and_parquet_alike(ready, tmp_path):
    from pyarrow import parquet

    run(ready, tmp_path / "run")
    rows = evaluated_rows.read_rows(ready.config, tmp_path / "run")
    evaluated_rows.write_rows(tmp_path / "a.jsonl", rows)
    evaluated_rows.write_rows(tmp_path / "a.parquet", rows)
    assert [
        json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
    ] == rows
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist() == rows
    with pytest.raises(UsageError, match=r"accepted: \.jsonl, \.parquet"):
        evaluated_rows.check_output(tmp_path / "a.xlsx", ready.config, [])
    data = tmp_path / "data.jsonl"
    data.write_text("{}")
    task = ready.config.task.model_copy(update={"data": str(data)})
    config = ready.config.model_copy(update={"task": task})
    for asked, given in ((config, []), (ready.config, [None, data])):
        with pytest.raises(UsageError, match="is the input"):
            evaluated_rows.check_output(data, asked, given)


def test_a_search_folder_is_not_taken_for_an_evaluation(tables, ready, tmp_path):
    run(make_plan(reading.build(tables)), tmp_path / "run")
    with pytest.raises(UsageError, match="evaluation changed"):
        run(ready, tmp_path / "run")


def test_the_second_round_goes_on_from_the_answer_and_is_what_is_scored(tables):
    tables["task"]["second_round"] = True
    problem = make_plan(reading.build(tables)).problem
    asks = problem.evaluate(problem.seeds(), "test", "x")
    first = next(asks)
    said = [Completion(f"Hm {i}. Q: more", "length", 5, 1, 3) for i in range(24)]
    second = asks.send(type("BatchResult", (), {"completions": said}))
    assert (first.label, second.label, second.role) == ("x", "x/second", "scorer")
    request = second.requests[3]
    assert request.prompt == replace(
        first.requests[3].prompt, prefill=" Hm 3. So the final answer is"
    )
    assert request.sampling.max_tokens == 50
    finals = [
        Completion(f": {row.target}\nnegative positive", "stop", 9, 2, 4)
        for row in problem.rows["test"]
    ]
    with pytest.raises(StopIteration) as end:
        asks.send(type("BatchResult", (), {"completions": finals}))
    (score,) = end.value.value
    assert score.value == 1.0 and score.truncated == 24 and score.tokens == 24 * (5 + 3 + 9 + 4)


def test_the_judge_says_one_of_two_words_and_is_compared_with_the_rule(tables):
    tables["task"]["rule"] = "judge"
    tables["judge"] = {"rubric": "Politeness counts."}
    ready = make_plan(reading.build(tables))
    assert ready.rule == "judge" and set(ready.models) == {"optimizer", "scorer", "judge"}
    problem = ready.problem
    asks = problem.evaluate(problem.seeds(), "test", "x")
    rows = problem.rows["test"]
    next(asks)
    # The answers are right on the first 12 rows; the judge accepts the first 18 and mumbles on the
    # last.
    answers = [row.target if i < 12 else "neither" for i, row in enumerate(rows)]
    batch = asks.send(
        type("BatchResult", (), {"completions": [Completion(a, "stop", 5, 0, 1) for a in answers]})
    )
    assert (batch.label, batch.role) == ("x/judge", "judge")
    prompt = batch.requests[0].prompt
    assert (
        isinstance(prompt, Prompt)
        and rows[0].input in prompt.text
        and "Politeness counts." in prompt.text
    )
    assert batch.requests[0].sampling.constraint.value == ("correct", "incorrect")
    said = ["correct"] * 18 + ["incorrect"] * 5 + ["perhaps"]
    with pytest.raises(StopIteration) as end:
        asks.send(
            type(
                "BatchResult",
                (),
                {"completions": [Completion(word, "stop", 5, 0, 1) for word in said]},
            )
        )
    (score,) = end.value.value
    assert (
        score.value == 18 / 24
        and score.failures == 1
        and score.metrics == {"agreement": pytest.approx(18 / 24)}
    )


def test_a_judge_needs_no_targets_and_then_has_nothing_to_agree_with(tables, tmp_path):
    data = tmp_path / "bare.csv"
    data.write_text("text\n" + "".join(f"Question {i}\n" for i in range(20)))
    tables["task"] = {"data": str(data), "input": "text", "rule": "judge"}
    problem = make_plan(reading.build(tables)).problem
    asks = problem.evaluate(problem.seeds(), "test", "x")
    rows = problem.rows["test"]
    next(asks)
    batch = asks.send(
        type("BatchResult", (), {"completions": [Completion("Hm.", "stop", 5, 0, 1)] * len(rows)})
    )
    assert "Reference answer" not in batch.requests[0].prompt.text
    with pytest.raises(StopIteration) as end:
        asks.send(
            type(
                "BatchResult",
                (),
                {"completions": [Completion("correct", "stop", 5, 0, 1)] * len(rows)},
            )
        )
    (score,) = end.value.value
    assert score.value == 1.0 and score.metrics == {}


def evaluated(*accuracies, p_value, n=50, failures=0) -> RunResult:
    prompts = [
        PromptFigures(number, str(a), (), Figures(a, n, (a, a), failures, failures, {}), 0)
        for number, a in enumerate(accuracies, 1)
    ]
    outcome = EvaluationOutcome(
        *("evaluated", "0", "0", Winner("0", "0"), tuple(prompts), (), 0.02, p_value),
        *(0.1, 0.05, "train"),
    )
    return made_result(outcome)


def test_headroom_needs_more_than_noise():
    assert headroom(evaluated(0.5, 0.7, 0.6, p_value=0.01)).verdict == "yes"
    assert headroom(evaluated(0.5, 0.7, 0.6, p_value=0.01)).gain == pytest.approx(0.18)
    assert headroom(evaluated(0.5, 0.54, p_value=0.4)).verdict == "no sign of it"
    assert headroom(evaluated(0.98, 0.2, p_value=1e-9)).verdict == "nothing left to gain"
    words = headroom(evaluated(0.0, 0.02, p_value=0.6, failures=49)).words
    assert "98 % of the answers could not be read; 98 % were cut" in words[-1]


def test_headroom_names_the_largest_class_and_prompts_that_always_give_one_answer():
    targets = ["ham"] * 45 + ["spam"] * 5
    given = [["ham"] * 50, targets, ["spam"] * 50]
    prompts = []
    for number, answers in enumerate(given, 1):
        accuracy = sum(map(str.__eq__, targets, answers)) / 50
        figures = Figures(accuracy, 50, (0, 1), 0, 0, {}, class_figures(targets, answers))
        prompts.append(PromptFigures(number, str(number), (), figures, 0))
    outcome = EvaluationOutcome(
        *("evaluated", "0", "0", Winner("0", "0"), tuple(prompts), (), 0.02, 0.01),
        *(0.1, 0.05, "train"),
    )
    found = headroom(made_result(outcome))
    assert (found.majority_share, found.constant) == (0.9, (1, 3))
    assert "Always answering the largest class would score 90.0 %." in found.words
    assert any("always give one answer: 1, 3." in line for line in found.words)
    worse = replace(outcome, prompts=tuple(prompts[:1]))
    assert "90.0 %: no prompt does better." in headroom(made_result(worse)).words[2]


def test_varied_instructions_name_the_targets_where_they_are_few(tables):
    texts = varied_instructions(make_plan(reading.build(tables)))
    assert texts[0] == "What is it?" and len(texts) == len(set(texts)) == 1 + 4 + 7 + 1
    assert any(
        "positive or negative" in text or "negative or positive" in text for text in texts[1:3]
    )


def test_the_verbs(tables, reviews, tmp_path):
    config = tmp_path / "c.toml"
    scripted = "\n".join(f'{k} = "{v}"' for k, v in tables["scorer"].items() if k != "max_tokens")
    config.write_text(
        f'[task]\ndata = "{reviews}"\ninput = "text"\ntarget = "label"\n[scorer]\n{scripted}\n[optimizer]\n{scripted}\n'
    )
    arguments = (
        "evaluate",
        str(config),
        "--prompt",
        PROMPTS[0],
        "--prompt",
        PROMPTS[1],
        "--run",
        str(tmp_path / "r"),
    )
    done = program(*arguments, "--compare", "1", "2", "--output", str(tmp_path / "a.jsonl"))
    assert done.returncode == 0, done.stderr
    assert (
        "2 prompts on 24 test rows, rule labels" in done.stdout and "prompt 2 gains" in done.stdout
    )
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 48
    found = json.loads(program(*arguments, "--json").stdout)
    assert found["kind"] == "evaluation" and [p["prompt"] for p in found["prompts"]] == [1, 2]
    shown = program("show", str(tmp_path / "r"))
    assert "2 prompts on 24 test rows" in shown.stdout
    lines = json.loads(program("check", str(config), "--json").stdout)
    checked = {line["name"]: line.get("value") for line in lines}
    assert (
        checked["rows"] == {"train": 24, "validation": 12, "test": 24}
        and checked["rule"] == "labels"
    )
    assert checked["answer"]["parsed"] in ("positive", "negative")
    assert checked["answer"]["correct"] == float(
        checked["answer"]["parsed"] == checked["answer"]["target"]
    )
    quick = program("check", str(config), "--no-answer")
    assert "one answer" not in quick.stdout and "rule: labels" in quick.stdout
    assert "one answer, to" in program("check", str(config)).stdout
    probe = json.loads(
        program("check", str(config), "--headroom", "--run", str(tmp_path / "h"), "--json").stdout
    )
    assert probe["split"] == "train" and probe["headroom"]["verdict"] in ("yes", "no sign of it")
    assert len(probe["prompts"]) >= 10
    assert 0.5 <= probe["headroom"]["majority_share"] < 0.6
    assert probe["headroom"]["constant"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate",), "--data is missing"),
        (("evaluate", "--data", "x.csv"), "--input is missing"),
        (("evaluate", "none.toml", "--data", "x.csv"), "exclude each other"),
        (("evaluate", "none.toml"), "can't read the config"),
        (("evaluate", "--prompts", "none.txt", "none.toml"), "none.txt: can't be read"),
        (("check", "none.toml"), "can't read the config"),
    ],
)
def test_bad_arguments_end_in_one_line(arguments, message, tmp_path):
    done = program(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, (
        done.stderr
    )


@pytest.mark.parametrize(
    "text",
    [
        '["a", 3]',
        '[{"text": 3}]',
        '[{"text": "a", "demonstrations": [{"id": 1, "answer": "x"}]}]',
        '{"text": null}',
        "3",
    ],
)
def test_prompts_that_are_none_are_refused(text, tmp_path):
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(DataError, match=r"p\.json: can't be read"):
        prompt_file.read_prompts(tmp_path / "p.json")


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path):
    (tmp_path / "p.txt").write_text("\ufeffIs this urgent?\nOr not?\n", "utf-8")
    assert prompt_file.read_prompts(tmp_path / "p.txt") == ["Is this urgent?", "Or not?"]
    (tmp_path / "best.txt").write_text("Is this urgent?\n\n- yes\n- no\n")
    assert prompt_file.read_prompts(tmp_path / "best.txt") == ["Is this urgent?\n\n- yes\n- no"]


def test_intervals_are_called_by_their_level(tables, tmp_path, capsys):
    from opro_local.cli.printing import print_result

    tables["evaluation"] = {"alpha": 0.3}
    found = run(make_plan(reading.build(tables)), tmp_path / "run")
    assert found["alpha"] == 0.3 and "70 % interval" in found["summary"][0]
    tables["search"]["seeds"] = PROMPTS
    print_result(run(evaluation_plan(reading.build(tables)), tmp_path / "other"))
    said = capsys.readouterr().out
    assert said.count("70 % interval") == 2 and "95 %" not in said and "p < 0.3" in said
