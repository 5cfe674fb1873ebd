"""Champion against challenger: who gets which prompt, which outcomes count, and what they say.

For: the rules of an experiment as pure functions. Not for: the test's mathematics (sequential.py)
or keeping anything (log.py).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np

from opro_local.errors import UsageError
from opro_local.feedback import sequential
from opro_local.feedback.outcomes import stamp

Action = Literal["promote", "rollback", "keep", "continue"]

OUTSIDE = "logged for a time outside the experiment"
LOST = (
    "the arms' sizes don't fit the share, so nothing is promoted: outcomes of one arm get "
    "lost, or are logged "
    "under another key than the assigned one"
)

# The arms' sizes are called wrong where chance makes them so once in a thousand experiments, all
# looks together.
IMBALANCE = 0.001


@dataclass(frozen=True, slots=True)
class Terms:
    """What is fixed before the first outcome; changing it later would void the error rates.

    Attributes:
        share: the challenger's part of the users, from 0.01 to 0.99.
        alpha: the probability of ever promoting a challenger that is not better.
        harm: the probability of ever rolling back a challenger that is not worse.
        max_users: with so many users and nothing shown, the champion is kept.
        max_days: after so many days with nothing shown, the champion is kept.
    """

    share: float = 0.5
    alpha: float = 0.05
    harm: float = 0.05
    max_users: int = 20_000
    max_days: float = 28.0

    def __post_init__(self) -> None:
        for name, low, high in (("share", 0.01, 0.99), ("alpha", 1e-6, 0.5), ("harm", 1e-6, 0.5)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value}", f"accepted: from {low} to {high}")
        if not 1 <= self.max_users <= 10_000_000:
            raise UsageError(f"max_users is {self.max_users}", "accepted: from 1 to 10,000,000")
        if not 0 < self.max_days <= 3650:
            raise UsageError(f"max_days is {self.max_days}", "accepted: above 0, up to 3650")


@dataclass(frozen=True, slots=True)
class Experiment:
    """A running or finished experiment. `id` is random and salts the assignment; the prompts are
    ids.
    """

    id: str
    champion: str
    challenger: str
    terms: Terms
    started: datetime

    @property
    def ends(self) -> datetime:
        """When the champion is kept if nothing was shown; later outcomes don't count."""
        return self.started + timedelta(days=self.terms.max_days)

    def assigned(self, user: str) -> str:
        """The prompt of a user: the same one every time, and independent of every other
        experiment's.
        """
        digest = hashlib.sha256(f"{self.id}\x1f{user}".encode("utf-8", "surrogatepass")).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        return self.challenger if place < self.terms.share else self.champion


@dataclass(frozen=True, slots=True)
class Counted:
    """The outcomes that count: the first one of each user, made with the prompt the user was
    assigned.

    Attributes:
        challenger: bool, shape (n,), in the order of commit.
        scores: shape (n,), in [0, 1].
        excluded: how many outcomes don't count, by reason.
    """

    challenger: np.ndarray
    scores: np.ndarray
    excluded: dict[str, int]


def count(experiment: Experiment, rows: Iterable[tuple[str, str | None, float, str]]) -> Counted:
    """Choose the outcomes that count.

    One outcome per user: two of the same user are no two independent trials, and counting both
    would promote by chance more often than promised.

    Args:
        rows: (prompt, user, score, time) of the outcomes logged since the experiment's start, in
            the order of commit; times as `stamp` writes them.
    """
    excluded = {OUTSIDE: 0, "no user key": 0, "other prompt than assigned": 0, "same user again": 0}
    started, ends = stamp(experiment.started), stamp(experiment.ends)
    challenger: list[bool] = []
    scores: list[float] = []
    seen: set[str] = set()
    for prompt, user, score, time in rows:
        if not started <= time < ends:
            excluded[OUTSIDE] += 1
        elif user is None:
            excluded["no user key"] += 1
        elif experiment.assigned(user) != prompt:
            excluded["other prompt than assigned"] += 1
        elif user in seen:
            excluded["same user again"] += 1
        else:
            seen.add(user)
            challenger.append(prompt == experiment.challenger)
            scores.append(score)
    most = experiment.terms.max_users
    return Counted(
        np.array(challenger[:most], dtype=bool), np.array(scores[:most], dtype=float), excluded
    )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the counted outcomes say: the action, the reason in words, and the numbers."""

    action: Action
    reason: str
    numbers: dict[str, Any]


def judge(experiment: Experiment, counted: Counted, now: datetime) -> Judgement:
    """Decide by the first boundary that the evidence crossed, so that looking more often changes no
    decision.
    """
    terms = experiment.terms
    found = sequential.gaps(counted.challenger, counted.scores, terms.share)
    better = sequential.log_evidence(found, terms.share)
    worse = sequential.log_evidence(-found, terms.share)
    numbers = {
        **_means(experiment, counted),
        "interval": list(sequential.interval(found, terms.share, terms.alpha, terms.harm)),
        "p_better": sequential.anytime_p(better),
        "p_worse": sequential.anytime_p(worse),
        "balanced": _is_balanced(counted, terms.share),
        "excluded": counted.excluded,
    }
    promoted, harmed = (
        int(sequential.crossing(log_e, rate))
        for log_e, rate in ((better, terms.alpha), (worse, terms.harm))
    )
    action, reason = _decide(experiment, numbers, promoted, harmed, now)
    return Judgement(action, reason, numbers)


def _decide(
    experiment: Experiment, numbers: dict[str, Any], promoted: int, harmed: int, now: datetime
) -> tuple[Action, str]:
    terms = experiment.terms
    if harmed and (not promoted or harmed < promoted):
        return "rollback", f"shown worse after {harmed:,} users (anytime p at most {terms.harm:g})"
    if promoted and numbers["balanced"]:
        return (
            "promote",
            f"shown better after {promoted:,} users (anytime p at most {terms.alpha:g})",
        )
    over = _over(experiment, numbers["users"], now)
    action: Action = "keep" if over else "continue"
    if not numbers["balanced"]:
        return action, f"{LOST}; ended {over}" if over else LOST
    return action, f"nothing shown {over or 'yet'}"


def _over(experiment: Experiment, users: int, now: datetime) -> str:
    """Which limit is reached, in words; empty while none is."""
    if users >= experiment.terms.max_users:
        return f"with {users:,} users, the most allowed"
    return (
        f"after {experiment.terms.max_days:g} days, the most allowed"
        if now >= experiment.ends
        else ""
    )


def _means(experiment: Experiment, counted: Counted) -> dict[str, Any]:
    champions, challengers = counted.scores[~counted.challenger], counted.scores[counted.challenger]
    both = len(champions) and len(challengers)
    return {
        "users": len(counted.scores),
        "champion": _side(experiment.champion, champions),
        "challenger": _side(experiment.challenger, challengers),
        "difference": float(challengers.mean() - champions.mean()) if both else None,
    }


def _side(prompt: str, scores: np.ndarray) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "users": len(scores),
        "mean": float(scores.mean()) if len(scores) else None,
    }


def _is_balanced(counted: Counted, share: float) -> bool:
    challengers = int(counted.challenger.sum())
    log_e = sequential.imbalance(challengers, len(counted.challenger) - challengers, share)
    return log_e < -math.log(IMBALANCE)
