"""The page of a feedback store: what it says, that it is safe and stable, and what it refuses."""

from __future__ import annotations

import html
import re
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.errors import DamageError, StoreError, UsageError
from opro_local.feedback import Feedback
from opro_local.feedback.experiment import Terms
from opro_local.feedback.outcomes import Outcome
from opro_local.report.feedback import gather_feedback, write_feedback_report

MARKUP = "<script>alert(1)</script>\u202e"


def page_of(path: Path) -> str:
    return write_feedback_report(path).read_text("utf-8")


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of the table of a section, as texts."""
    section = page.split(f'id="{heading}"')[1].split("</section>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", section.split("<tbody>")[1], re.DOTALL)
    cells = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in cells]


@pytest.fixture
def store(feedback, monkeypatch):
    """Two days of the champion, and an experiment of 12 users, whose assignment is always the same."""
    monkeypatch.setattr(
        "opro_local.feedback.log.secrets.token_hex", lambda size: "0123456789abcdef"
    )
    for day, scores in (("2026-02-01", (1, 1, 1, 0)), ("2026-02-02", (0, 1))):
        feedback.log(*(Outcome("old", score, time=f"{day}T08:00:00") for score in scores))
    started = feedback.challenge("new", Terms(share=0.25, max_users=900), "a better tone").started
    users = [f"u{number}" for number in range(12)]
    feedback.log(
        *(
            Outcome(prompt, prompt == "new", user=user, time=started + timedelta(microseconds=1))
            for user in users
            for prompt in [feedback.assign(user)[0]]
        )
    )
    return feedback


def test_outcomes_stand_by_day_and_version_with_wilsons_interval(store):
    *today, second, first = rows_of(page_of(store.path), "h-days")
    assert first == ["2026-02-01", "old", "4", "75.0 %", "30.1–95.4\u00a0%"]
    assert second == ["2026-02-02", "old", "2", "50.0 %", "9.5–90.5\u00a0%"]
    assert sorted(row[1] for row in today) == ["new", "old"]
    assert sum(int(row[2]) for row in today) == 12


def test_a_running_experiment_has_the_figures_of_compare(store):
    own = store.compare().numbers
    ((title, champion, old, challenger, new, gap, interval),) = rows_of(
        page_of(store.path), "h-experiments"
    )
    assert title.startswith("runs since ") and title.endswith("continue: nothing shown yet")
    assert champion == f"old {own['champion']['users']} users" and old == "0.0 %"
    assert challenger == f"new {own['challenger']['users']} users" and new == "100.0 %"
    low, high = (f"{100 * end:+.1f}" for end in own["interval"])
    assert (gap, interval) == ("+100.0", f"{low} to {high}")


def test_an_ended_experiment_and_every_decision_say_why(store):
    store.decide("promote", reason="legal asked")
    page = page_of(store.path)
    ((title, *_, gap, _),) = rows_of(page, "h-experiments")
    assert re.fullmatch(r"promote on \d{4}-\d\d-\d\d: legal asked", title) and gap == "+100.0"
    promoted, challenged, registered = rows_of(page, "h-decisions")
    assert promoted[1:] == ["promote", "hand", "new", "new", "legal asked"]
    assert challenged[1:5] == ["challenge", "hand", "new", "old"]
    assert challenged[5].startswith("a better tone for 25 % of the users, alpha 0.05, harm 0.05")
    assert registered[1:] == ["register", "hand", "", "old", "the first prompt"]
    assert "Champion: new" in page and "No experiment runs." in page


def test_a_version_of_a_search_is_shown_against_the_champion_then_without_folders(feedback):
    run = "/srv/secret/runs/mails-1"
    feedback.register("Old words, but kind", "kind", source=run)
    feedback.challenge("kind", reason=f"reliable gain in {run}")
    page = page_of(feedback.path)
    assert "Old words<ins>, but kind</ins>" in page
    assert "From: mails-1; changes against old, the champion then" in page
    challenged = rows_of(page, "h-decisions")[0]
    assert challenged[2] == "search" and challenged[5].startswith("reliable gain in mails-1 ")
    assert "/srv/secret" not in page


def test_texts_are_text_and_the_file_fetches_nothing(feedback):
    feedback.register(MARKUP, id=f"x{MARKUP}")
    feedback.log(Outcome(f"x{MARKUP}", 1))
    feedback.challenge(f"x{MARKUP}", reason=MARKUP)
    page = page_of(feedback.path)
    assert "<script>alert" not in page and "\u202e" not in page and "\\u202e" in page
    assert page.count("<script>") == 1 and "default-src 'none'" in html.unescape(page)
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_store_gives_the_same_bytes_wherever_it_lies(store, tmp_path):
    first = page_of(store.path)
    copy = tmp_path / "elsewhere" / store.path.name
    copy.parent.mkdir()
    with sqlite3.connect(store.path) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    assert page_of(copy) == first


def test_an_outcome_of_the_future_does_not_end_the_experiment(store):
    store.log(Outcome("old", 1, time="9999-12-31T00:00:00"))
    contents = gather_feedback(store.path)
    assert contents.running is not None and contents.running["action"] == "continue"
    assert contents.as_of < "9999" and "9999-12-31" in page_of(store.path)


def test_many_lines_are_bounded_and_the_page_says_so(feedback):
    days = [f"20{year:02}-{month:02}-03" for year in range(10, 99) for month in range(1, 13)]
    feedback.log(*(Outcome("old", 1, time=day) for day in days))
    page = page_of(feedback.path)
    assert len(rows_of(page, "h-days")) == 1000 and "68 older lines are left out" in page


def test_a_store_without_outcomes_says_so(feedback):
    page = page_of(feedback.path)
    assert "No outcome is logged yet." in page and "There was no experiment yet." in page


def test_a_damaged_store_is_one_line(store):
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE outcome SET score = 1 WHERE number = 4")
    with pytest.raises(DamageError) as refused:
        write_feedback_report(store.path)
    assert "\n" not in refused.value.message
    assert not store.path.with_suffix(".html").exists()


def test_what_is_no_store_is_refused_and_not_replaced(store, tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("not a store " * 100)
    with pytest.raises(StoreError, match="not a feedback store"):
        write_feedback_report(other)
    with pytest.raises(UsageError):
        write_feedback_report(store.path, store.path)
    with Feedback(tmp_path / "empty.sqlite"), pytest.raises(UsageError, match="no prompt yet"):
        write_feedback_report(tmp_path / "empty.sqlite")


def test_report_takes_a_store_and_says_the_files_path(store, tmp_path):
    output = tmp_path / "mails.html"
    answer = CliRunner().invoke(app, ["report", str(store.path), "--output", str(output)])
    assert answer.exit_code == 0 and answer.output.strip() == str(output)
    assert "Champion: old" in output.read_text("utf-8")
