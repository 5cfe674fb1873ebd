"""`opro-local feedback`: log what production says, look at it, search again, and decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from opro_local.config.settings import Config
    from opro_local.feedback import Feedback
    from opro_local.feedback.experiment import Judgement
    from opro_local.runs.run_result import RunResult

app = typer.Typer(
    no_args_is_help=True,
    help="Log production outcomes, improve the prompt from them, decide by test.",
)

FeedbackOption = Annotated[
    Path, typer.Option("--feedback", help="The feedback store, an SQLite file.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the history.")]
ShareOption = Annotated[float, typer.Option("--share", help="The challenger's part of the users.")]
STORE = Path("feedback.sqlite")
NONE = "No experiment runs."
UNBALANCED = "no interval, since the arms' sizes don't fit the share"


@app.command("register")
def register(
    text: Annotated[str, typer.Argument(help="The prompt's whole text.")],
    id: Annotated[
        str | None, typer.Option("--id", help="A name for it (default: a digest of the text).")
    ] = None,
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Register a prompt and print its id; the first one makes the store and is champion.

    Example: opro-local feedback register "Classify the mail." --id v1
    """
    from opro_local.feedback import Feedback

    with Feedback(feedback) as opened:
        found = opened.register(text, id)
    _print({"prompt": found}, as_json, [found])


@app.command("log")
def log(
    prompt: Annotated[str, typer.Option("--prompt", help="The id of a registered prompt.")],
    score: Annotated[str, typer.Option("--score", help="In [0, 1], or true or false.")],
    record: Annotated[
        str, typer.Option("--record", help="The other fields as JSON: input, output, user, ...")
    ] = "{}",
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Log one outcome. A service uses the Python API instead; see docs/feedback.md.

    Example: opro-local feedback log --prompt v1 --score true --record '{"input": "Hi", "user":
    "u7"}'
    """
    from opro_local.feedback.outcomes import read_record

    outcome = read_record(score, prompt, record)
    with _existing(feedback) as opened:
        stored = opened.log(outcome)
    _print(
        {"prompt": prompt, "stored": stored},
        as_json,
        ["logged" if stored else "known already, not stored again"],
    )


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(help="JSON Lines: prompt, score, input, output, time, user, target, ..."),
    ],
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave wrong lines out and list them.")
    ] = False,
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Import outcomes from a file: all of its lines or none, unless --skip-bad.

    Example: opro-local feedback import outcomes.jsonl
    """
    with _existing(feedback) as opened:
        done = opened.import_jsonl(file, skip_bad)
    found = {
        "stored": done.stored,
        "known": done.known,
        "skipped": len(done.skipped),
        "errors": list(done.skipped),
    }
    lines = [
        f"{done.stored:,} outcomes stored, {done.known:,} known already, "
        f"{len(done.skipped):,} lines skipped"
    ]
    _print(found, as_json, [*done.skipped, *lines])


@app.command("status")
def status(feedback: FeedbackOption = STORE, as_json: JsonOption = False) -> None:
    """Show how every prompt stands, and the experiment.

    Example: opro-local feedback status
    """
    from opro_local.feedback.standing import standings

    with _existing(feedback) as opened:
        found = standings(opened)
    lines = [_standing(row) for row in found["prompts"]]
    running = found["experiment"]
    lines += _judged(running, running["action"], running["reason"]) if running else [NONE]
    _print(found, as_json, lines)


@app.command("reoptimize")
def reoptimize(
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A folder (./x), an imported model or a repository id on disk."
        ),
    ],
    optimizer: Annotated[
        str | None, typer.Option(help="Another model to write the prompts.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Fresh labelled rows (default: logged targets).")
    ] = None,
    input_: Annotated[str | None, typer.Option("--input", help="The column that is asked.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", help="The column with the right answer.")
    ] = None,
    starts: Annotated[
        int, typer.Option("--starts", min=1, help="Logged prompts to start from.")
    ] = 8,
    rows: Annotated[
        int, typer.Option("--rows", min=10, help="Logged rows to use, the newest.")
    ] = 500,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Challenge without a reliable gain too.")
    ] = False,
    share: ShareOption = 0.5,
    run: Annotated[
        Path | None, typer.Option("--run", help="The run's folder (default: runs/feedback-<id>).")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="The run's seed.")] = None,
    engine: Annotated[
        str | None, typer.Option("--engine", help="auto, vllm or transformers.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting: section.key=value.")
    ] = None,
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Search for a better prompt from the logged ones; a reliably better one becomes the
    challenger.

    Example: opro-local feedback reoptimize --model ./Qwen2.5-7B-Instruct
    """
    from opro_local.feedback import reoptimize as reoptimizing
    from opro_local.feedback.experiment import Terms

    Terms(share=share)  # a wrong share is told now, not after the search
    task = {"data": None if data is None else str(data), "input": input_, "target": target}
    tables: dict[str, dict[str, Any]] = {
        "task": task,
        "scorer": {"model": model},
        "optimizer": {"model": optimizer or ""},
    }
    overrides = [] if seed is None else [f"run.seed={seed}"]
    overrides += [
        f"{role}.engine={json.dumps(engine)}" for role in ("scorer", "optimizer") if engine
    ]
    with _existing(feedback) as opened:
        config, left_out = reoptimizing.plan(
            opened, tables, [*overrides, *(set_ or ())], starts, rows
        )
    folder = run or reoptimizing.default_folder(config)
    result = _searched(config, folder)
    with _existing(feedback) as opened:
        challenger, reason = reoptimizing.challenge(opened, result, folder, share, anyway)
    found = {
        "run": str(folder),
        "challenger": challenger,
        "reason": reason,
        "left_out": left_out,
        "result": result.to_json(),
    }
    without = [f"{left_out:,} logged rows were {reoptimizing.LEFT_OUT}"] if left_out else []
    _print(
        found,
        as_json,
        [*result.summary, *without, f"Saved in {folder}", reason[0].upper() + reason[1:]],
    )


@app.command("challenge")
def challenge(
    prompt: Annotated[str, typer.Argument(help="The id of a registered prompt.")],
    share: ShareOption = 0.5,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Chance of ever promoting one that is not better.")
    ] = 0.05,
    harm: Annotated[
        float, typer.Option("--harm", help="Chance of ever rolling back one not worse.")
    ] = 0.05,
    max_users: Annotated[
        int, typer.Option("--max-users", help="Keep the champion after so many.")
    ] = 20_000,
    max_days: Annotated[
        float, typer.Option("--max-days", help="Keep the champion after so many.")
    ] = 28.0,
    reason: ReasonOption = "by hand",
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Start an experiment: a prompt of your own against the champion.

    Example: opro-local feedback challenge v2 --share 0.2
    """
    from opro_local.feedback.experiment import Terms

    terms = Terms(share, alpha, harm, max_users, max_days)
    with _existing(feedback) as opened:
        experiment = opened.challenge(prompt, terms, reason)
    found = {
        "experiment": experiment.id,
        "champion": experiment.champion,
        "challenger": experiment.challenger,
    }
    line = (
        f"{experiment.challenger} is compared with {experiment.champion}: {share:.0%} of the "
        f"users get it"
    )
    _print(found, as_json, [line])


@app.command("compare")
def compare(
    apply: Annotated[
        bool, typer.Option("--apply", help="Promote, roll back or keep as the test says.")
    ] = False,
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Say what champion against challenger shows so far. Look as often as you like.

    Example: opro-local feedback compare --apply
    """
    with _existing(feedback) as opened:
        if opened.state().experiment is None:
            _print(
                {"action": "none", "applied": False, "champion_now": opened.state().champion},
                as_json,
                [NONE],
            )
            return
        judgement: Judgement = opened.compare(apply)
        champion = opened.state().champion
    applied = apply and judgement.action != "continue"
    found = {
        "action": judgement.action,
        "reason": judgement.reason,
        "applied": applied,
        "champion_now": champion,
    }
    lines = _judged(judgement.numbers, judgement.action, judgement.reason)
    if applied:
        lines.append(f"Applied: the champion is {champion}.")
    elif judgement.action != "continue":
        lines.append("Nothing was changed; --apply does it.")
    _print({**found, **judgement.numbers}, as_json, lines)


@app.command("assign")
def assign(
    user: Annotated[str, typer.Option("--user", help="The key that is to see one prompt only.")],
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Print the prompt for a user: the same one while the experiment runs.

    Example: opro-local feedback assign --user u7
    """
    with _existing(feedback) as opened:
        id, text = opened.assign(user)
    _print({"prompt": id, "text": text}, as_json, [text])


@app.command("promote")
def promote(
    prompt: Annotated[
        str | None, typer.Argument(help="A prompt's id (default: the challenger).")
    ] = None,
    reason: ReasonOption = "",
    feedback: FeedbackOption = STORE,
    as_json: JsonOption = False,
) -> None:
    """Make the challenger, or the prompt named, champion by hand.

    Example: opro-local feedback promote --reason "legal asked for the new wording"
    """
    _decide(feedback, "promote", reason, as_json, prompt)


@app.command("keep")
def keep(
    reason: ReasonOption = "", feedback: FeedbackOption = STORE, as_json: JsonOption = False
) -> None:
    """End the experiment by hand; the champion stays.

    Example: opro-local feedback keep
    """
    _decide(feedback, "keep", reason, as_json)


@app.command("rollback")
def rollback(
    reason: ReasonOption = "", feedback: FeedbackOption = STORE, as_json: JsonOption = False
) -> None:
    """Withdraw the challenger; where no experiment runs, bring back the champion before.

    Example: opro-local feedback rollback --reason "complaints"
    """
    _decide(feedback, "rollback", reason, as_json)


@app.command("history")
def history(feedback: FeedbackOption = STORE, as_json: JsonOption = False) -> None:
    """List every decision with its time, reason and numbers.

    Example: opro-local feedback history
    """
    with _existing(feedback) as opened:
        found = opened.history()
    _print(found, as_json, [_decision(row) for row in found])


def _existing(path: Path) -> Feedback:
    from opro_local.feedback import Feedback

    return Feedback(path, new=False)


def _decide(path: Path, action: Any, reason: str, as_json: bool, prompt: str | None = None) -> None:
    with _existing(path) as opened:
        state = opened.decide(action, prompt, reason)
    _print(
        {"action": action, "champion": state.champion},
        as_json,
        [f"The champion is {state.champion}."],
    )


def _searched(config: Config, folder: Path) -> RunResult:
    from opro_local.cli.progress import watched
    from opro_local.runs.continued import as_begun
    from opro_local.runs.plans import make_plan

    return watched(make_plan(as_begun(config, folder)), folder)


def _print(found: Any, as_json: bool, lines: list[str]) -> None:
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(lines))


def _standing(row: Mapping[str, Any]) -> str:
    role, text = row["role"] or "", " ".join(row["text"].split())[:50]
    if not row["n"]:
        return f"{row['id']:14} {role:10} no outcome yet  {text!r}"
    low, high = row["interval"]
    score = f"{_percent(row['mean'])} ({_percent(low)} to {_percent(high)})"
    days = f"{row['first'][:10]} to {row['last'][:10]}"
    return (
        f"{row['id']:14} {role:10} {row['n']:>7,} x {score}, {days}, trend "
        f"{row['trend']['word']}  {text!r}"
    )


def _judged(numbers: Mapping[str, Any], action: str, reason: str) -> list[str]:
    low, high = (100 * bound for bound in numbers["interval"])
    sides = [f"{name} {_side(numbers[name])}" for name in ("champion", "challenger")]
    lines = [f"{numbers['users']:,} users count: {', '.join(sides)}."]
    if numbers["difference"] is not None:
        points = f"{100 * numbers['difference']:+.1f} points"
        bounds = f"at all looks together {low:+.1f} to {high:+.1f} is not ruled out"
        lines.append(f"Difference {points}; {bounds if numbers['balanced'] else UNBALANCED}.")
    left_out = [f"{many:,} {why}" for why, many in numbers["excluded"].items() if many]
    if left_out:
        lines.append(f"Outcomes that don't count: {', '.join(left_out)}.")
    return [*lines, f"{action.capitalize()}: {reason}."]


def _side(side: Mapping[str, Any]) -> str:
    return f"{side['prompt']} {_percent(side['mean'])} ({side['users']:,})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _decision(row: Mapping[str, Any]) -> str:
    by = "test" if row["automatic"] else "hand"
    challenger = f"challenger {row['challenger']}, " if row["challenger"] else ""
    return (
        f"{row['time'][:19]} {row['action']:9} by {by}: {row['reason']}; {challenger}champion "
        f"now {row['champion']}"
    )
