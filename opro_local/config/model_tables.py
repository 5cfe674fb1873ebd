"""The tables `[models.NAME]`: a model's settings written once, for the roles that name it.

For: putting them in the roles' place. Not for: what a model's settings are (settings.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from opro_local.config.settings import ModelSettings
from opro_local.config.wording import in_words
from opro_local.errors import UsageError

ROLES = ("optimizer", "scorer", "judge")


def model_tables(tables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The `[models.NAME]` tables; empty where there are none."""
    models = tables.get("models", {})
    if not isinstance(models, dict) or not all(isinstance(one, dict) for one in models.values()):
        raise UsageError("models: a table for each model is wanted", "for example [models.big]")
    return models


def use_model_tables(tables: dict[str, Any]) -> None:
    """Give each role that names a `[models.NAME]` table its settings; the role's own go before.

    What is left is a config as it is without such tables, so that stored runs know no difference.
    """
    models = model_tables(tables)
    tables.pop("models", None)
    for name, table in models.items():
        _check_model_table(name, table)
        if table.get("model") in models.keys() - {name}:
            raise UsageError(
                f"models.{name}.model names another table, [models.{table['model']}]",
                "give the model itself: a card's name, a folder or a repository",
            )
    for role in ROLES:
        own = tables.get(role)
        if not isinstance(own, dict):
            continue
        chosen = own.get("model")
        if isinstance(chosen, str) and chosen in models:
            tables[role] = {**models[chosen], **_without(own, "model")}


def _without(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in table.items() if name != key}


def _check_model_table(name: str, table: Mapping[str, Any]) -> None:
    """Refuse a table without a model, or with a setting that is wrong or that no model has."""
    try:
        ModelSettings.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ["models", name, *map(str, first["loc"])]
        raise UsageError(in_words(first, where, ModelSettings.model_fields)) from None
    if not (table.get("model") or table.get("script")):
        raise UsageError(f"models.{name} names no model", f"set models.{name}.model")
