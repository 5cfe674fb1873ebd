"""The feedback store and what it refuses, assignment, experiments, decisions, standings, the rows
of a new search.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_results import made_result, made_search

from opro_local import stats
from opro_local.errors import DataError, OproError, StoreError, UsageError
from opro_local.feedback import Feedback, reoptimize
from opro_local.feedback.experiment import OUTSIDE, Experiment, Terms, count, judge
from opro_local.feedback.outcomes import Outcome, prompt_id, stamp
from opro_local.feedback.standing import standings
from opro_local.runs.winner import Winner

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def total(feedback: Feedback) -> int:
    return feedback.rows("SELECT count(*) AS n FROM outcome")[0]["n"]


# Prompts and outcomes


def test_what_is_logged_is_there_after_opening_again(tmp_path):
    with Feedback(tmp_path / "f.sqlite") as feedback:
        id = feedback.register("Do it.")
        assert id == prompt_id("Do it.") and len(id) == 12
        outcome = Outcome(
            id, True, "in", "out\ud800", "2026-01-02T03:04:05+02:00", "u", "t", {"a": [1]}, "x1"
        )
        assert feedback.log(outcome, Outcome(id, 0.25)) == 2
    with Feedback(tmp_path / "f.sqlite") as feedback:
        first, second = feedback.rows("SELECT * FROM outcome ORDER BY number")
        assert feedback.rows("PRAGMA synchronous")[0]["synchronous"] == 2
        assert feedback.rows("PRAGMA journal_mode")[0]["journal_mode"] == "wal"
    assert len(first.pop("digest")) == 32
    assert first == {
        **{
            "number": 1,
            "id": "x1",
            "prompt": id,
            "user": "u",
            "input": "in",
            "output": "out?",
            "score": 1.0,
        },
        **{"target": "t", "time": "2026-01-02T01:04:05.000000+00:00", "metadata": '{"a": [1]}'},
    }
    assert second["score"] == 0.25 and second["user"] is None and second["time"] <= stamp()


def test_an_id_logged_twice_is_stored_once(feedback):
    assert feedback.log(Outcome("old", 1, id="a"), Outcome("old", 1, id="a")) == 1
    assert feedback.log(Outcome("old", 0, id="a")) == 0 and total(feedback) == 1


def test_prompts_keep_their_meaning(feedback):
    assert feedback.register("Old words") == "old" == feedback.register("Old words", "old")
    for text, id in (("Other words", "old"), ("Old words", "other"), (" ", None), ("x", " ")):
        with pytest.raises(UsageError):
            feedback.register(text, id)
    with pytest.raises(DataError, match="unknown prompt id 'none'; registered: new, old"):
        feedback.prompt("none")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"score": 1.0001}, r"score is 1.0001; accepted: a number in \[0, 1\]"),
        ({"score": -0.1}, "score is -0.1"),
        ({"score": float("nan")}, "score is nan"),
        ({"score": "0.5"}, "score is '0.5'"),
        ({"score": None}, "score is None"),
        ({"prompt": "nope"}, "unknown prompt id 'nope'"),
        ({"prompt": 3}, "prompt is 3"),
        ({"time": "yesterday"}, "time is 'yesterday'; accepted: ISO 8601"),
        ({"time": 1700000000}, "time is 1700000000"),
        ({"time": "0001-01-01T00:00:00+09:00"}, "years 1 and 9999"),
        ({"user": ""}, "user is ''"),
        ({"input": None}, "input is None"),
        ({"input": "a\0b"}, "input is 'a.x00b'; accepted: text without NUL"),
        ({"target": "\0"}, "target is '.x00'"),
        ({"target": " \n"}, "target is ' .n'; accepted: the right answer, or none"),
        ({"metadata": [1]}, r"metadata is \[1\]"),
        ({"metadata": {"a": float("inf")}}, "without NaN or infinity"),
    ],
)
def test_a_wrong_outcome_is_refused_with_all_that_came_with_it(feedback, fields, says):
    with pytest.raises(DataError, match=says):
        feedback.log(Outcome("old", 1.0), Outcome(**{"prompt": "old", "score": 1.0, **fields}))
    assert total(feedback) == 0


GOOD = '{"prompt": "old", "score": 1}'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not json", "not JSON: expecting value at column 1"),
        (b'{"prompt": "old", "score": 1', "not JSON"),
        (b'{"prompt": "old"}', "no score"),
        (b'{"score": 1}', "no prompt"),
        (b'{"prompt": "old", "score": NaN}', "score is nan"),
        (b'{"prompt": "old", "score": 1e400}', "score is inf"),
        (b'{"prompt": "zzz", "score": 1}', "unknown prompt id 'zzz'"),
        (b'{"prompt": "old", "score": 1, "scor": 2}', "unknown field 'scor'"),
        (b'{"prompt": "old", "score": 1, "time": "1.2.2026"}', "time is '1.2.2026'"),
        (b"[1]", "not a JSON object"),
        (b"\xff", "the byte 0xff is not UTF-8"),
        (b"[" * 100_000, "not usable JSON"),
        (b'{"prompt": "old", "score": ' + b"1" * 5000 + b"}", "not usable JSON"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_imported_unless_it_is_skipped(
    feedback, tmp_path, line, says
):
    file = tmp_path / "log.jsonl"
    file.write_bytes(b"\n".join((GOOD.encode(), b"", line, GOOD.encode())))
    with pytest.raises(DataError) as caught:
        feedback.import_jsonl(file)
    assert caught.value.message.startswith(f"{file}:3: ") and says in caught.value.message
    assert total(feedback) == 0
    done = feedback.import_jsonl(file, skip_bad=True)
    assert (done.stored, len(done.skipped)) == (2, 1) and done.skipped[0].startswith(f"{file}:3: ")
    assert total(feedback) == 2


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_outcomes_or_errors_with_their_line(tmp_path_factory, line):
    from opro_local.feedback.outcomes import read_lines

    file = tmp_path_factory.mktemp("lines") / "x.jsonl"
    file.write_bytes(line)
    for where, found in read_lines(file):
        assert isinstance(found, Outcome) or found.message.startswith(where)


def test_a_file_that_is_imported_again_adds_nothing_where_it_has_ids(feedback, tmp_path):
    file = tmp_path / "log.jsonl"
    file.write_text(
        "\ufeff"
        + "".join(f'{{"prompt": "old", "score": {i % 2}, "id": "{i}"}}\n' for i in range(50))
    )
    assert feedback.import_jsonl(file).stored == 50
    again = feedback.import_jsonl(file)
    assert (again.stored, again.known) == (0, 50) and total(feedback) == 50
    with pytest.raises(DataError, match="no such file"):
        feedback.import_jsonl(tmp_path / "none.jsonl")


# The file


@pytest.mark.parametrize("make", ["text", "folder", "other", "newer", "missing", "empty"])
def test_a_store_that_is_none_is_refused_and_left_as_it_was(tmp_path, make):
    path = tmp_path / "f.sqlite"
    if make == "text":
        path.write_text("these are no pages of a database" * 100)
    elif make == "folder":
        path.mkdir()
    elif make == "empty":
        path.write_bytes(b"")
    elif make == "other":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE t (x)")
    elif make == "newer":
        Feedback(path).close()
        with sqlite3.connect(path) as newer:
            newer.execute("PRAGMA user_version=3")
    before = path.read_bytes() if path.is_file() else None
    says = {"folder": "not a file", "missing": "no feedback store", "newer": r"schema 3, this is 2"}
    with pytest.raises(
        StoreError, match=says.get(make, "not a feedback store of opro-local")
    ) as caught:
        Feedback(path, new=False)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_place_that_can_not_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "f.sqlite", tmp_path / "no" / "f.sqlite"):
        with pytest.raises(StoreError, match="can't make the feedback store"):
            Feedback(path)
    assert os.listdir(tmp_path) == ["file"]


def test_a_full_disk_loses_nothing_that_was_logged(feedback):
    feedback.log(Outcome("old", 1, "first"))
    pages = feedback.rows("PRAGMA page_count")[0]["page_count"]
    feedback.rows(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StoreError, match="full"):
        feedback.log(Outcome("old", 1, "fits"), Outcome("old", 1, "x" * 100_000))
    feedback.rows(f"PRAGMA max_page_count={pages + 1000}")
    assert [row["input"] for row in feedback.rows("SELECT input FROM outcome")] == ["first"]
    assert feedback.log(Outcome("old", 1, "second")) == 1


def test_threads_share_a_store(feedback):
    def work(name: int) -> None:
        for i in range(50):
            feedback.log(Outcome("old", 1, id=f"{name}-{i}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(feedback) == 200


def test_a_forked_process_is_told_to_open_its_own(feedback, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(UsageError, match="before the process was forked"):
        feedback.log(Outcome("old", 1))


# Assignment and experiments


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64 - 1), st.sampled_from((0.05, 0.2, 0.5, 0.9)))
def test_the_share_lies_within_binomial_bounds_and_assignment_is_stable(salt, share):
    experiment = Experiment(f"{salt:016x}", "old", "new", Terms(share=share), NOW)
    arms = [experiment.assigned(f"user{i}") for i in range(2000)]
    assert arms == [experiment.assigned(f"user{i}") for i in range(2000)]
    assert abs(arms.count("new") - 2000 * share) < 5.5 * (2000 * share * (1 - share)) ** 0.5


def test_assignments_of_two_experiments_are_independent():
    one, other = (Experiment(id, "old", "new", Terms(), NOW) for id in ("a", "b"))
    both = sum(one.assigned(str(i)) == other.assigned(str(i)) for i in range(4000))
    assert 1800 < both < 2200


def test_a_wider_share_takes_no_user_from_the_challenger():
    narrow, wide = (Experiment("a", "old", "new", Terms(share=share), NOW) for share in (0.2, 0.6))
    got = [str(i) for i in range(500) if narrow.assigned(str(i)) == "new"]
    assert got and all(wide.assigned(user) == "new" for user in got)


def test_assign_follows_the_experiment(feedback):
    assert feedback.assign("u") == ("old", "Old words")
    feedback.challenge("new", Terms(share=0.99))
    assert [feedback.assign(f"u{i}")[0] for i in range(20)].count("new") > 10
    feedback.decide("promote")
    assert feedback.assign("u") == ("new", "New words")
    with pytest.raises(UsageError, match="user key is empty"):
        feedback.assign("")


def test_a_roll_back_goes_down_the_line_of_champions(feedback):
    feedback.register("Third words", "third")
    for id in ("new", "third"):
        feedback.challenge(id)
        feedback.decide("promote")
    assert [feedback.decide("rollback").champion for _ in range(2)] == ["new", "old"]
    feedback.decide("promote", "third")
    assert feedback.decide("rollback").champion == "old"


def test_only_the_first_outcome_of_a_user_with_the_assigned_prompt_counts():
    experiment = Experiment("a", "old", "new", Terms(), NOW)
    users = [str(i) for i in range(50)]
    rows = [(experiment.assigned(user), user, 1.0, stamp(NOW)) for user in users]
    wrong = [
        ("old" if prompt == "new" else "new", user, 0.0, time) for prompt, user, _, time in rows[:7]
    ]
    repeated = [(prompt, user, 0.0, time) for prompt, user, _, time in rows[:5]]
    late = [("old", None, 0.0, stamp(NOW)), ("new", "0", 0.0, stamp(experiment.ends))]
    counted = count(experiment, [*wrong, *rows, *repeated, *late])
    assert counted.scores.tolist() == [1.0] * 50
    assert counted.challenger.tolist() == [prompt == "new" for prompt, _, _, _ in rows]
    assert counted.excluded == {
        OUTSIDE: 1,
        "no user key": 1,
        "other prompt than assigned": 7,
        "same user again": 5,
    }


def play(
    feedback: Feedback, users: int, rates: dict[str, float], first: int = 0, seed: int = 0
) -> None:
    rng = np.random.default_rng(seed)
    outcomes = []
    for i in range(first, first + users):
        prompt, _ = feedback.assign(f"u{i}")
        outcomes.append(Outcome(prompt, bool(rng.random() < rates[prompt]), user=f"u{i}"))
    feedback.log(*outcomes)


@pytest.mark.parametrize(
    ("rates", "action", "champion"),
    [({"old": 0.5, "new": 0.8}, "promote", "new"), ({"old": 0.8, "new": 0.5}, "rollback", "old")],
)
def test_a_clear_difference_is_acted_on_only_when_told_to(feedback, rates, action, champion):
    play(feedback, 50, {"old": 0.0})
    feedback.challenge("new")
    play(feedback, 600, rates)
    judgement = feedback.compare()
    assert judgement.action == action and feedback.state().experiment is not None
    assert judgement.numbers["users"] == 600 and json.dumps(judgement.numbers)
    assert feedback.compare(apply=True) == judgement
    state = feedback.state()
    assert state.champion == champion and state.experiment is None
    last = feedback.history()[-1]
    assert (last["action"], last["automatic"], last["champion"]) == (action, True, champion)
    assert last["numbers"] == judgement.numbers and last["reason"] == judgement.reason
    with pytest.raises(UsageError, match="no experiment runs"):
        feedback.compare()


def test_outcomes_from_before_the_start_or_after_the_end_do_not_count_whenever_they_arrive(
    feedback,
):
    play(feedback, 30, {"old": 1.0})
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    feedback.log(*(Outcome("old", 1, user=f"early{i}", time=tomorrow) for i in range(9)))
    started = feedback.challenge("new").started
    prompt, _ = feedback.assign("late")
    feedback.log(Outcome(prompt, 1, user="late", time=started - timedelta(seconds=1)))
    assert feedback.compare().numbers["users"] == 0
    feedback.log(Outcome(prompt, 1, user="late", time=started + timedelta(days=28)))
    assert feedback.compare().numbers["users"] == 0
    feedback.log(Outcome(prompt, 1, user="late"))
    assert feedback.compare().numbers["users"] == 1


def test_looking_more_often_changes_no_decision():
    rng = np.random.default_rng(3)
    experiment = Experiment("a", "old", "new", Terms(), NOW)
    decided = []
    for _ in range(40):
        rows = [(experiment.assigned(str(i)), str(i)) for i in range(400)]
        rates = {"old": 0.5, "new": 0.7}
        rows = [
            (prompt, user, float(rng.random() < rates[prompt]), stamp(NOW)) for prompt, user in rows
        ]
        looks = [judge(experiment, count(experiment, rows[:n]), NOW) for n in range(20, 401, 20)]
        first = next((look for look in looks if look.action != "continue"), looks[-1])
        assert (first.action, first.reason) == (looks[-1].action, looks[-1].reason)
        decided.append(first.action)
    assert decided.count("promote") > 20


def test_the_champion_is_kept_after_the_most_users_or_days(feedback):
    feedback.challenge("new", Terms(max_users=40, max_days=7))
    play(feedback, 39, {"old": 0.5, "new": 0.5})
    assert feedback.compare().action == "continue"
    assert feedback.compare(now=datetime.now(UTC) + timedelta(days=7)).action == "keep"
    play(feedback, 10, {"old": 0.5, "new": 0.5}, first=39)
    judgement = feedback.compare(apply=True)
    assert (
        judgement.action == "keep"
        and judgement.numbers["users"] == 40
        and feedback.state().champion == "old"
    )


def test_nothing_is_promoted_while_one_arm_loses_outcomes(feedback):
    feedback.challenge("new")
    outcomes = []
    for i in range(2000):
        prompt, _ = feedback.assign(f"u{i}")
        if (
            prompt == "old" or i % 3
        ):  # a third of the challenger's outcomes, its failures, never arrive
            outcomes.append(Outcome(prompt, prompt == "new" or i % 2 == 0, user=f"u{i}"))
    feedback.log(*outcomes)
    judgement = feedback.compare()
    assert judgement.action == "continue" and "don't fit the share" in judgement.reason
    assert judgement.numbers["p_better"] < 1e-6 and judgement.numbers["balanced"] is False


def test_two_who_decide_at_once_decide_once(feedback, monkeypatch):
    feedback.challenge("new", Terms(max_users=1))
    play(feedback, 3, {"old": 1, "new": 1})
    with Feedback(feedback.path) as other:
        state = other.state()
        feedback.decide("promote")
        monkeypatch.setattr(other, "state", lambda: state)
        with pytest.raises(UsageError, match="somebody else decided meanwhile"):
            other.compare(apply=True)
    assert [row["action"] for row in feedback.history()] == ["register", "challenge", "promote"]


def test_decisions_by_hand(feedback):
    for action, says in (
        ("keep", "no experiment"),
        ("promote", "no experiment"),
        ("rollback", "only champion"),
    ):
        with pytest.raises(UsageError, match=says):
            feedback.decide(action)
    feedback.decide("promote", "new", "legal")
    with pytest.raises(UsageError, match="champion already"):
        feedback.decide("promote", "new")
    assert feedback.decide("rollback").champion == "old"
    with pytest.raises(UsageError, match="only champion"):
        feedback.decide("rollback")  # a second one does not bring back what the first one took away
    feedback.challenge("new")
    with pytest.raises(UsageError, match="being compared already"):
        feedback.challenge("new")
    assert feedback.decide("keep").champion == "old"
    feedback.challenge("new")
    assert feedback.decide("rollback").experiment is None
    with pytest.raises(UsageError, match="is the champion"):
        feedback.challenge("old")
    history = feedback.history()
    actions = ["register", "promote", "rollback", "challenge", "keep", "challenge", "rollback"]
    assert [row["action"] for row in history] == actions
    assert history[1]["reason"] == "legal" and not any(row["automatic"] for row in history)
    assert history[4]["challenger"] == "new" and history[4]["numbers"]["users"] == 0


@pytest.mark.parametrize(
    "terms", [{"share": 0}, {"alpha": 0.9}, {"harm": 0}, {"max_users": 0}, {"max_days": 0}]
)
def test_terms_out_of_range_are_refused(terms):
    with pytest.raises(UsageError, match=f"{next(iter(terms))} is 0"):
        Terms(**terms)


# Standings


def test_standings_say_how_each_prompt_does(feedback):
    old = [Outcome("old", i < 30, time=NOW - timedelta(days=20, minutes=i)) for i in range(40)]
    week = [Outcome("old", i < 5, time=NOW - timedelta(days=1, minutes=i)) for i in range(40)]
    graded = [Outcome("new", 0.3 + 0.01 * i, time=NOW - timedelta(days=2)) for i in range(20)]
    feedback.log(*old, *week, *graded)
    feedback.register("Never used", "idle")
    champion, new, idle = standings(feedback, NOW)["prompts"]
    assert (champion["id"], champion["role"], champion["n"], champion["mean"]) == (
        "old",
        "champion",
        80,
        35 / 80,
    )
    assert champion["interval"] == pytest.approx([0.3341, 0.5466], abs=1e-4)  # Wilson
    assert champion["trend"]["word"] == "falling" and champion["trend"]["change"] == pytest.approx(
        5 / 40 - 30 / 40
    )
    assert champion["first"] == stamp(NOW - timedelta(days=20, minutes=39))
    assert champion["last"] == stamp(NOW - timedelta(days=1))
    assert new["mean"] == pytest.approx(0.395) and new["interval"] == pytest.approx(
        [0.2150, 0.6089], abs=1e-4
    )
    assert new["trend"]["word"] == "unknown" and new["role"] is None
    assert (idle["n"], idle["interval"]) == (0, [0.0, 1.0])
    feedback.challenge("idle")
    found = standings(feedback, NOW)
    assert (
        found["prompts"][1]["role"] == "challenger" and found["experiment"]["action"] == "continue"
    )


@pytest.mark.parametrize("scores", [[0.9], [0.9] * 3, np.random.default_rng(0).beta(2, 1, 5000)])
def test_graded_scores_have_the_interval_of_their_mean_also_where_one_or_equal(feedback, scores):
    feedback.log(*(Outcome("old", score) for score in scores))
    interval = standings(feedback)["prompts"][0]["interval"]
    assert interval == pytest.approx(stats.mean_interval(np.array(scores)))
    assert interval[0] < np.mean(scores) - 0.01 and np.mean(scores) + 0.01 < interval[1] < 1


def test_one_graded_outcome_is_no_trend_and_no_reason_to_start_from_it(feedback):
    feedback.log(*(Outcome("old", 0.5, time=NOW - timedelta(days=20)) for _ in range(6)))
    feedback.log(Outcome("old", 0.9, time=NOW - timedelta(days=1)))
    assert standings(feedback, NOW)["prompts"][0]["trend"]["word"] == "level"
    feedback.register("Text liked once", "once")
    feedback.log(Outcome("once", 0.95), *(Outcome("new", 0.9) for _ in range(200)))
    assert reoptimize.seeds(feedback, 8) == ["Old words", "New words", "Text liked once"]


# A new search


def test_a_search_starts_from_the_champion_and_the_best_known(feedback):
    for id, right, n in (("lucky", 2, 2), ("good", 80, 100), ("poor", 10, 100)):
        feedback.register(f"Text {id}", id)
        feedback.log(*(Outcome(id, i < right) for i in range(n)))
    assert reoptimize.seeds(feedback, 8) == ["Old words", "Text good", "Text lucky", "Text poor"]
    assert reoptimize.seeds(feedback, 2) == ["Old words", "Text good"]


def test_logged_rows_are_taken_once_newest_target_first_and_newest_tested(feedback):
    outcomes = [
        Outcome("old", 1, f"question {i}", target=f"t{i}", time=NOW + timedelta(hours=i))
        for i in range(20)
    ]
    outcomes.append(
        Outcome("old", 1, " question  3 ", target="corrected", time=NOW + timedelta(days=9))
    )
    outcomes.append(Outcome("old", 1, "no target"))
    feedback.log(*outcomes)
    rows, left_out = reoptimize.labelled(feedback, 100)
    assert (
        len(rows) == 20
        and left_out == 0
        and rows[-1] == {"input": " question  3 ", "target": "corrected"}
    )
    assert rows[0]["input"] == "question 0" and "t3" not in [row["target"] for row in rows]
    assert [row["target"] for row in reoptimize.labelled(feedback, 10)[0]][-2:] == [
        "t19",
        "corrected",
    ]
    files = reoptimize.write_rows(rows, (0.4, 0.2, 0.4), feedback.path)
    parts = {
        name: [json.loads(line) for line in Path(file).read_text().splitlines()]
        for name, file in files.items()
    }
    assert [len(part) for part in parts.values()] == [8, 4, 8]
    assert [*parts["train"], *parts["validation"], *parts["test"]] == rows
    assert reoptimize.write_rows(rows, (0.4, 0.2, 0.4), feedback.path) == files
    assert reoptimize.write_rows(rows[1:], (0.4, 0.2, 0.4), feedback.path) != files


def test_too_few_labels_or_a_running_experiment_stop_a_search_before_it_starts(feedback):
    feedback.log(*(Outcome("old", 1, f"q{i}", target="t") for i in range(9)))
    with pytest.raises(DataError, match="9 different logged inputs carry a target, 10 are needed"):
        reoptimize.plan(feedback, {}, (), 8, 100)
    feedback.log(Outcome("old", 1, "q9", target="t"))
    config, _ = reoptimize.plan(feedback, {"scorer": {"model": "m"}}, ("search.steps=3",), 8, 100)
    assert config.search.seeds == ("Old words",) and config.search.steps == 3
    assert Path(config.task.test).is_file() and config.task.input == "input"
    assert reoptimize.default_folder(config) == reoptimize.default_folder(config)
    before = reoptimize.default_folder(config)
    Path(config.task.train).write_text("{}")
    assert reoptimize.default_folder(config) != before
    feedback.challenge("new")
    with pytest.raises(UsageError, match="still being compared"):
        reoptimize.plan(feedback, {}, (), 8, 100)


def test_only_a_reliable_gain_becomes_challenger_and_a_loser_not_twice(feedback):
    def told(verdict: str, text: str, anyway: bool = False):
        result = made_result(made_search(verdict=verdict, best=Winner(text, "key")))
        return reoptimize.challenge(feedback, result, Path("r"), 0.3, anyway)

    assert told("no reliable gain", "Better words") == (None, "no challenger: no reliable gain")
    assert told("reliable gain", "Old words")[0] is None
    id, _ = told("reliable gain", "Better words")
    running = feedback.state().experiment
    assert running.challenger == id == prompt_id("Better words") and running.terms.share == 0.3
    assert feedback.rows("SELECT source FROM prompt WHERE id = ?", (id,)) == [{"source": "r"}]
    feedback.decide("rollback")
    assert told("reliable gain", "Better words")[0] is None and feedback.state().experiment is None
    assert told("no reliable gain", "Better words", anyway=True)[0] == id


def test_every_error_has_one_line(feedback):
    for call in (
        lambda: feedback.prompt("a\nb"),
        lambda: feedback.decide("keep"),
        lambda: feedback.challenge("x"),
    ):
        with pytest.raises(OproError) as caught:
            call()
        assert "\n" not in str(caught.value)
