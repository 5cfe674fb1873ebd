"""`opro-local feedback`: log what production says, look at it, search again, and decide.

For: the group and the list of its verbs. Not for: the verbs (its neighbours feedback_*.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import typer

from opro_local.cli.feedback_decisions import challenge, compare, history, keep, promote, rollback
from opro_local.cli.feedback_outcomes import assign, import_, log, register, status
from opro_local.cli.feedback_search import reoptimize

VERBS: Mapping[str, Callable[..., None]] = {
    "register": register,
    "log": log,
    "import": import_,
    "status": status,
    "reoptimize": reoptimize,
    "challenge": challenge,
    "compare": compare,
    "assign": assign,
    "promote": promote,
    "keep": keep,
    "rollback": rollback,
    "history": history,
}

app = typer.Typer(
    no_args_is_help=True,
    help="Log production outcomes, improve the prompt from them, decide by test.",
)
for name, verb in VERBS.items():
    app.command(name)(verb)
