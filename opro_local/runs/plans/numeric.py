"""What the plans of the paper's numeric problems (section 4) share.

For: asking a model in a way that it can follow, and a search that ends at the optimum. Not for: any
one problem (linear_regression.py, tsp.py).
"""

from __future__ import annotations

import sys
from typing import Any

from opro_local.config.problem import LinearRegressionSettings, TspSettings
from opro_local.config.settings import Config
from opro_local.models.cards import Card
from opro_local.search.metaprompts import metaprompt


def form_and_constraint(
    config: Config, settings: LinearRegressionSettings | TspSettings, card: Card
) -> tuple[str, bool]:
    """The meta-prompt form for this model, and whether its replies are constrained: small models
    get both made for them.
    """
    form = config.search.metaprompt
    if form == "auto":
        follows_marks = card.metaprompt in ("brackets", "tags")
        form = settings.kind if follows_marks else f"{settings.kind}-continuation"
    if settings.decoding == "auto":
        return form, not metaprompt.load(form).chat
    return form, settings.decoding == "constrained"


def minimizing(config: Config, target: float | None) -> Config:
    """The config with the target that ends the search; scores lie below 0, where the default
    threshold hides all.

    Args:
        config: what was asked for; what it says itself of target and threshold stays.
        target: the score of the optimum; None where it is not known.
    """
    settings = config.search
    changes: dict[str, Any] = {}
    if "threshold" not in settings.model_fields_set:
        changes["threshold"] = -sys.float_info.max
    if settings.target_score is None:
        changes["target_score"] = target
    return config.model_copy(update={"search": settings.model_copy(update=changes)})
