"""The exploration bonus: what is close to what, what it costs, and that the score stays the score."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import HashingVectorizer

from opro_local.config import reading
from opro_local.runs.run import run
from opro_local.runs.store import read_store
from opro_local.search import similarity as similarity_module
from opro_local.search.proposing import shown_entries
from opro_local.search.similarity import NearDuplicates, Similarity, sparse_ngrams
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import BatchResult, Completion, Score, Solution

COPY = "Read the review and say whether it is positive"


def measured(similarity, texts, label="0/train"):
    asks = similarity.measure(texts, label)
    with pytest.raises(StopIteration) as end:
        next(asks)
    return end.value.value


def on(**search):
    return Similarity(reading.build({"search": {"exploration": 0.2, **search}}).search)


def test_a_copy_is_closer_than_a_paraphrase_and_that_closer_than_another_text():
    similarity = on()
    first, copy, near, far = measured(
        similarity, [COPY, COPY, COPY.replace("say", "tell"), "Translate to French!"]
    )
    assert (first, copy) == (0.0, 1.0) and copy > near > 0.6 > far
    assert measured(similarity, [COPY])[0] == 1.0


def test_without_exploration_nothing_is_measured():
    assert measured(Similarity(reading.build({}).search), [COPY, COPY]) == [0.0, 0.0]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6))
def test_similarities_are_shares_and_do_not_depend_on_how_calls_are_cut(texts):
    whole = measured(on(), texts)
    assert all(0 <= value <= 1 for value in whole)
    step_by_step = on()
    assert [measured(step_by_step, [text])[0] for text in texts] == pytest.approx(whole, abs=1e-5)


def test_vectors_of_text_have_length_one():
    assert np.linalg.norm(sparse_ngrams([COPY, "x"]).toarray(), axis=1) == pytest.approx([1, 1])


def variants(count):
    """Texts of which many are nearly others: a few words of a small vocabulary, and slips."""
    rng = np.random.default_rng(4)
    words = COPY.lower().split()
    for _ in range(count):
        text = " ".join(words[place] for place in rng.integers(len(words), size=14))
        yield text
        yield text + rng.choice([".", "!", " now", " please do"])


@pytest.mark.parametrize("together", [1, 7])
@pytest.mark.parametrize("limit", [0.3, 0.7, 0.9, 0.98, 1.0])
def test_near_duplicates_are_those_that_comparing_with_every_text_finds(
    limit, together, monkeypatch
):
    monkeypatch.setattr(similarity_module, "ONE_CORE", 7 * 64 * 3)  # pieces of three texts
    texts = list(variants(40))
    vectors = sparse_ngrams(texts)
    cosines = (vectors @ vectors.T).toarray()
    kept, hits = NearDuplicates(limit), 0
    for number, text in enumerate(texts):
        if number % together == 0:
            kept.measure(texts[number : number + together])
        near = np.flatnonzero(cosines[number, :number] >= limit - 1e-6)
        expected = texts[near[0]] if len(near) else None
        assert kept.find(text) == expected
        hits += expected is not None
        kept.add(text)
    assert hits > 3 or limit == 1.0


def test_similarity_is_that_to_the_nearest_of_all_texts_however_many_came_before():
    texts = list(variants(40))
    vectors = sparse_ngrams(texts).toarray().astype(float)
    expected = [0.0] + [(vectors[:n] @ vectors[n]).max() for n in range(1, len(texts))]
    similarity, taken = on(), []
    for start in range(0, len(texts), 8):
        taken += measured(similarity, texts[start : start + 8])
    assert taken == pytest.approx(np.clip(expected, 0, 1), abs=2e-6)


def test_vectors_are_those_of_the_hashing_vectorizer_to_the_bit():
    hashing = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(2, 4),
        n_features=1 << 16,
        alternate_sign=False,
        norm="l2",
        dtype=np.float32,
    )
    texts = ["", *variants(20), "", "x", "\N{SNOWMAN} zażółć", ""]
    expected, vectors = hashing.transform(texts), sparse_ngrams(texts)
    for part in ("indptr", "indices", "data"):
        assert getattr(vectors, part).tobytes() == getattr(expected, part).tobytes()
    assert vectors.dtype == np.float32


def test_an_embedding_model_is_asked_in_one_batch():
    similarity = on(similarity="some/folder")
    asks = similarity.measure(["a", "b"], "3/train")
    batch = next(asks)
    assert (batch.label, batch.role) == ("3/train/embed", "embedder")
    assert [request.prompt.text for request in batch.requests] == ["a", "b"]
    with pytest.raises(StopIteration) as end:
        asks.send(
            BatchResult(
                [Completion(json.dumps(v), "stop", 1, 0, 0) for v in ([1, 0], [0.6, 0.8])], 0.1
            )
        )
    assert end.value.value == [0.0, pytest.approx(0.6)]


def test_a_near_duplicate_gives_way_to_the_next_best_of_another_kind():
    trajectory = Trajectory()
    for text, value, close in (("a", 0.9, 0.0), ("a!", 0.89, 0.95), ("b", 0.8, 0.1)):
        trajectory.add(Entry("train", 0, 0, Solution(text), Score(value, np.array([value])), close))
    plain = reading.build({"search": {"history": 2}})
    exploring = reading.build({"search": {"history": 2, "exploration": 0.2}})
    assert [e.solution.text for e in shown_entries(trajectory, plain, 1, 9)] == ["a!", "a"]
    assert [e.solution.text for e in shown_entries(trajectory, exploring, 1, 9)] == ["b", "a"]
    assert [e.solution.text for e in trajectory.top(3)] == ["a", "a!", "b"]


def test_a_run_keeps_similarity_beside_the_score(tables, tmp_path):
    tables["search"]["exploration"] = 0.1
    found = run(reading.build(tables), tmp_path / "run")
    store = read_store(tmp_path / "run")
    rows = store.solutions("train")
    store.close()
    assert rows[0]["similarity"] == 0 and max(row["similarity"] for row in rows) > 0.3
    (best,) = (row for row in rows if row["key"] == found["best"]["key"])
    assert found["train"]["best"]["accuracy"] == best["score"]
    assert run(reading.build(tables), tmp_path / "run")["digest"] == found["digest"]
