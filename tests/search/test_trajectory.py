"""What a trajectory keeps as it grows is what working it out anew from all entries gives."""

from __future__ import annotations

import numpy as np
import pytest

from opro_local.search.trajectory import Entry, Proposal, Trajectory
from opro_local.types import Score, Solution

ROWS = 12


def entry(rng, step, position, text, is_partial):
    """A scored solution; a partial one saw a third of the rows and may have been dropped."""
    rows = np.sort(rng.permutation(ROWS)[: ROWS // 3]) if is_partial else None
    values = rng.integers(2, size=ROWS if rows is None else len(rows)).astype(np.float32)
    score = Score(float(values.mean()), values, rows=rows)
    near = round(float(rng.random()), 1)
    dropped = is_partial and bool(rng.integers(2))
    return Entry("train", step, position, Solution(text), score, near, dropped)


def growing(seed, partial):
    """A trajectory after each of its steps: candidates, some of which wait or come to nothing, and
    now and then one that is scored again.
    """
    rng = np.random.default_rng(seed)
    known = Trajectory()
    known.add(entry(rng, 0, 0, "s0", is_partial=False))
    waiting: list[str] = []
    for step in range(1, 25):
        parents = [known.entries[int(place)] for place in rng.integers(len(known.entries), size=4)]
        for number, parent in enumerate(parents):
            text = f"s{step}-{number}"
            fate = rng.choice(["scored", "nothing", "waits"], p=[0.6, 0.2, 0.2])
            key = None if fate == "nothing" else Solution(text).key
            operator = str(rng.choice(["a", "b"]))
            known.proposals.append(Proposal(step, operator, parent, key))
            if fate != "nothing":
                waiting.append(text)
        if step % 8 == 3:
            continue  # nothing of this step can be scored
        for position in range(min(3, len(waiting))):
            text = waiting.pop(int(rng.integers(len(waiting))))
            known.add(entry(rng, step, position, text, rng.random() < partial))
        if partial and step % 10 == 0:
            again = known.entries[int(rng.integers(len(known.entries)))]
            known.add(entry(rng, step, 3, again.solution.text, is_partial=False))
        yield known


def top_anew(known, exploration, among):
    entries = list({one.solution.key: one for one in known.entries}.values())
    if among != "all":
        entries = [one for one in entries if not one.dropped]
    if among == "whole":
        entries = [one for one in entries if not one.partial]
    return sorted(entries, key=lambda one: exploration * one.similarity - known.estimate(one))


def gains_anew(known):
    last = {one.solution.key: one for one in known.entries}
    gains: dict[str, list[float]] = {}
    for proposal in known.proposals:
        scored = last.get(proposal.key or "")
        if proposal.key and not scored and proposal.step > known.entries[-1].step:
            continue
        gain = known.estimate(scored) - known.estimate(proposal.parent) if scored else 0.0
        gains.setdefault(proposal.operator, []).append(max(0.0, gain))
    return gains


def best_anew(known):
    best: list[float] = []
    for one in known.entries:
        best += (best[-1:] or [-np.inf]) * (one.step + 1 - len(best))
        if not one.dropped:
            best[-1] = max(best[-1], known.estimate(one))
    return best


@pytest.mark.parametrize("partial", [0.0, 0.6])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_equals_what_is_worked_out_anew(seed, partial):
    for known in growing(seed, partial):
        for among in ("standing", "whole", "all"):
            for exploration in (0.0, 0.3):
                expected = top_anew(known, exploration, among)
                assert known.top(len(known.entries), exploration, among) == expected
                assert known.top(3, exploration, among) == expected[:3]
        gains = {operator: list(own) for operator, own in known.gains().items()}
        assert gains == gains_anew(known)
        assert known.best_by_step() == best_anew(known)
        wrong = known.share_wrong(ROWS, known.entries)
        assert known.share_wrong(ROWS).tolist() == wrong.tolist()
        last = known.entries[-1].step
        assert known.scored_in(last) == sum(one.step == last for one in known.entries)
        assert known.scored_in(last + 1) == 0


def test_an_order_asked_for_late_is_that_asked_for_all_along():
    rng = np.random.default_rng(3)
    early, late = Trajectory(), Trajectory()
    for number in range(300):
        one = entry(rng, number // 8, number % 8, f"s{number}", is_partial=False)
        early.add(one)
        late.add(one)
        early.top(5)
    assert early.top(300) == late.top(300) == top_anew(late, 0.0, "standing")
