"""The verbs of `opro-local feedback` that a service's outcomes come in by: register, log, import,
status, assign.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opro_local.cli.feedback_lines import NONE, judgement_lines, standing_line
from opro_local.cli.feedback_options import StoreOptions
from opro_local.cli.grouping import grouped
from opro_local.cli.visible import write
from opro_local.errors import UsageError


@grouped
def register(
    *,
    text: Annotated[str, typer.Argument(help="The prompt's whole text.")],
    id: Annotated[
        str | None, typer.Option("--id", help="A name for it (default: a digest of the text).")
    ] = None,
    store: StoreOptions,
) -> None:
    """Register a prompt and print its id; the first one makes the store and is champion.

    Example: opro-local feedback register "Classify the mail." --id v1
    """
    _refuse_halves(text)
    _refuse_halves(id or "")
    with store.opened(new=True) as feedback:
        registered = feedback.register(text, id)
    store.show({"prompt": registered}, [registered])


def _refuse_halves(text: str) -> None:
    """Refuse what the command line had in another encoding: bytes that are no UTF-8 come as lone
    surrogates, and a prompt that isn't the one in production would be registered.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"{text!a}: not UTF-8", "write it in UTF-8") from None


@grouped
def log(
    *,
    prompt: Annotated[str, typer.Option("--prompt", help="The id of a registered prompt.")],
    score: Annotated[str, typer.Option("--score", help="In [0, 1], or true or false.")],
    record: Annotated[
        str, typer.Option("--record", help="The other fields as JSON: input, output, user, ...")
    ] = "{}",
    store: StoreOptions,
) -> None:
    """Log one outcome. A service uses the Python API instead; see docs/feedback.md.

    Example: opro-local feedback log --prompt v1 --score true --record '{"input": "Hi", "user":
    "u7"}'
    """
    from opro_local.feedback.outcomes import read_record

    outcome = read_record(score, prompt, record)
    with store.opened() as feedback:
        stored = feedback.log(outcome)
    store.show(
        {"prompt": prompt, "stored": stored},
        ["logged" if stored else "known already, not stored again"],
    )


@grouped
def import_(
    *,
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines: prompt, score, input, output, time, user, target, ..."),
    ],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave wrong lines out and list them.")
    ] = False,
    store: StoreOptions,
) -> None:
    """Import outcomes from a file: all of its lines or none, unless --skip-bad.

    Example: opro-local feedback import outcomes.jsonl
    """
    with store.opened() as feedback:
        done = feedback.import_jsonl(file, skip_bad)
    record = {
        "stored": done.stored,
        "known": done.known,
        "skipped": len(done.skipped),
        "errors": list(done.skipped),
    }
    lines = [
        f"{done.stored:,} outcomes stored, {done.known:,} known already, "
        f"{len(done.skipped):,} lines skipped"
    ]
    store.show(record, [*done.skipped, *lines])


@grouped
def status(*, store: StoreOptions) -> None:
    """Show how every prompt stands, and the experiment.

    Example: opro-local feedback status
    """
    from opro_local.feedback.standing import standings

    with store.opened() as feedback:
        record = standings(feedback)
    lines = [standing_line(row) for row in record["prompts"]]
    running = record["experiment"]
    lines += judgement_lines(running, running["action"], running["reason"]) if running else [NONE]
    store.show(record, lines)


@grouped
def assign(
    *,
    user: Annotated[str, typer.Option("--user", help="The key that is to see one prompt only.")],
    store: StoreOptions,
) -> None:
    """Print the prompt for a user: the same one while the experiment runs.

    Example: opro-local feedback assign --user u7
    """
    with store.opened() as feedback:
        id, text = feedback.assign(user)
    if store.as_json:
        store.show({"prompt": id, "text": text}, [])
    else:
        write(f"{text}\n")  # a script takes it for its prompt
