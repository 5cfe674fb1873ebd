"""A run begun before there were settings for what it did goes on as it was begun."""

from __future__ import annotations

import itertools

import pytest

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.models.cards import Card
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.naming import run_folder
from opro_local.runs.plans.starts import with_longest
from opro_local.runs.run import run
from opro_local.runs.store import open_store


def config(tables, **task):
    return reading.build({**tables, "task": {**tables["task"], **task}})


def begun(tables, folder, batches):
    """A run stopped after so many batches, with a store that knows no newer settings."""
    answered = itertools.count(1)
    with pytest.raises(Interrupted):
        listener = Listener(should_stop=lambda: next(answered) >= batches)
        run(config(tables, revision=1), folder, listener)
    store = open_store(folder)
    stored = store.get("config")
    for name in ("revision", "stop"):
        del stored["task"][name]
    store.put(config=stored)
    store.close()
    return folder


def test_it_goes_on_with_its_own_rows_and_ends_as_it_would_have(tables, tmp_path):
    whole = run(config(tables, revision=1), tmp_path / "whole")
    folder = begun(tables, tmp_path / "old", 4)
    assert run(config(tables), folder)["digest"] == whole["digest"]
    assert run(config(tables), tmp_path / "new")["digest"] != whole["digest"]
    # And the finished run is the same again.
    assert run(config(tables), folder)["digest"] == whole["digest"]


def test_what_the_user_sets_is_refused_where_the_run_did_otherwise(tables, tmp_path):
    folder = begun(tables, tmp_path / "old", 2)
    with pytest.raises(UsageError, match=r"task\.revision was 1, now 2"):
        run(config(tables, revision=2), folder)


def test_settings_that_were_added_leave_no_trace_in_a_folders_name_at_their_defaults(tables):
    plain = run_folder(config(tables), None)
    assert plain == run_folder(config(tables, revision=4), None)
    assert plain != run_folder(config(tables, revision=1), None)
    assert plain != run_folder(config(tables, stop=["\n"]), None)


def test_the_limit_of_characters_that_had_a_default_stays_with_older_runs(tables):
    now = config(tables, revision=4)
    older = now.model_dump(mode="json")
    older["search"] |= {"max_characters": 500, "revision": 4}
    begun = reading.as_begun(now, older)
    assert begun.search.max_characters == 500 and not reading.changes(
        older, begun.model_dump(mode="json")
    )
    own = now.model_copy(update={"search": now.search.model_copy(update={"max_characters": 500})})
    assert run_folder(now, None) == run_folder(own, None)


@pytest.mark.parametrize(
    ("search", "form", "most"),
    [
        ({"revision": 6}, "tags", 4000),
        ({"revision": 6}, "rewording", 500),
        ({"revision": 6, "mode": "opro"}, "tags", 500),
        ({"revision": 5}, "tags", 500),
        ({"revision": 6, "max_characters": 90}, "tags", 90),
    ],
)
def test_chat_models_may_write_longer_texts(search, form, most):
    asked = reading.build({"search": search})
    assert with_longest(asked, Card("model", metaprompt=form)).search.max_characters == most
