"""The verbs of `opro-local feedback` that decide: challenge, compare, promote, keep, rollback, and
history.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from opro_local.cli.feedback_lines import NONE, decision_line, judgement_lines
from opro_local.cli.feedback_options import ReasonOption, ShareOption, StoreOptions
from opro_local.cli.grouping import grouped

if TYPE_CHECKING:
    from opro_local.feedback.experiment import Judgement


@dataclass(frozen=True, slots=True)
class TermOptions:
    """The terms of an experiment, see feedback.experiment.Terms."""

    share: ShareOption = 0.5
    alpha: Annotated[
        float, typer.Option("--alpha", help="Chance of ever promoting one that is not better.")
    ] = 0.05
    harm: Annotated[
        float, typer.Option("--harm", help="Chance of ever rolling back one not worse.")
    ] = 0.05
    max_users: Annotated[
        int, typer.Option("--max-users", help="Keep the champion after so many.")
    ] = 20_000
    max_days: Annotated[
        float, typer.Option("--max-days", help="Keep the champion after so many.")
    ] = 28.0


@grouped
def challenge(
    *,
    prompt: Annotated[str, typer.Argument(help="The id of a registered prompt.")],
    terms: TermOptions,
    reason: ReasonOption = "by hand",
    store: StoreOptions,
) -> None:
    """Start an experiment: a prompt of your own against the champion.

    Example: opro-local feedback challenge v2 --share 0.2
    """
    from opro_local.feedback.experiment import Terms

    agreed = Terms(**asdict(terms))
    with store.opened() as feedback:
        experiment = feedback.challenge(prompt, agreed, reason)
    record = {
        "experiment": experiment.id,
        "champion": experiment.champion,
        "challenger": experiment.challenger,
    }
    line = (
        f"{experiment.challenger} is compared with {experiment.champion}: "
        f"{agreed.share:.0%} of the users get it"
    )
    store.show(record, [line])


@grouped
def compare(
    *,
    apply: Annotated[
        bool, typer.Option("--apply", help="Promote, roll back or keep as the test says.")
    ] = False,
    store: StoreOptions,
) -> None:
    """Say what champion against challenger shows so far. Look as often as you like.

    Example: opro-local feedback compare --apply
    """
    with store.opened() as feedback:
        if feedback.state().experiment is None:
            champion = feedback.state().champion
            store.show({"action": "none", "applied": False, "champion_now": champion}, [NONE])
            return
        judgement: Judgement = feedback.compare(apply)
        champion = feedback.state().champion
    applied = apply and judgement.action != "continue"
    record = {
        "action": judgement.action,
        "reason": judgement.reason,
        "applied": applied,
        "champion_now": champion,
    }
    lines = judgement_lines(judgement.numbers, judgement.action, judgement.reason)
    if applied:
        lines.append(f"Applied: the champion is {champion}.")
    elif judgement.action != "continue":
        lines.append("Nothing was changed; --apply does it.")
    store.show({**record, **judgement.numbers}, lines)


@grouped
def promote(
    *,
    prompt: Annotated[
        str | None, typer.Argument(help="A prompt's id (default: the challenger).")
    ] = None,
    reason: ReasonOption = "",
    store: StoreOptions,
) -> None:
    """Make the challenger, or the prompt named, champion by hand.

    Example: opro-local feedback promote --reason "legal asked for the new wording"
    """
    _decide(store, "promote", reason, prompt)


@grouped
def keep(*, reason: ReasonOption = "", store: StoreOptions) -> None:
    """End the experiment by hand; the champion stays.

    Example: opro-local feedback keep
    """
    _decide(store, "keep", reason)


@grouped
def rollback(*, reason: ReasonOption = "", store: StoreOptions) -> None:
    """Withdraw the challenger; where no experiment runs, bring back the champion before.

    Example: opro-local feedback rollback --reason "complaints"
    """
    _decide(store, "rollback", reason)


@grouped
def history(*, store: StoreOptions) -> None:
    """List every decision with its time, reason and numbers.

    Example: opro-local feedback history
    """
    with store.opened() as feedback:
        decisions = feedback.history()
    store.show(decisions, [decision_line(row) for row in decisions])


def _decide(
    store: StoreOptions,
    action: Literal["promote", "keep", "rollback"],
    reason: str,
    prompt: str | None = None,
) -> None:
    with store.opened() as feedback:
        champion = feedback.decide(action, prompt, reason).champion
    store.show({"action": action, "champion": champion}, [f"The champion is {champion}."])
