"""A result on the terminal: a small table, the best solution and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

from opro_local.cli.printing_classes import print_classes
from opro_local.cli.tables import print_table, stdout_console
from opro_local.cli.visible import print_line
from opro_local.runs.costs import Costs
from opro_local.runs.difference_words import level
from opro_local.runs.evaluation import EvaluationOutcome, PairDifference
from opro_local.runs.figures import FORMER_ALPHA, Figures, OperatorFigures, SplitResult
from opro_local.runs.run_result import RunProgress, RunResult
from opro_local.runs.search_outcome import SearchOutcome

# A split's name, a role's name and what the role's solution earned there.
Side = tuple[str, str, Figures]


def print_result(result: RunResult | RunProgress) -> None:
    """Print a result (docs/result.md), or that of an evaluation (docs/evaluate.md), to stdout."""
    console = stdout_console()
    if isinstance(result, RunProgress):
        _print_progress(console, result)
        return
    for alarm in result.alarms:
        for line in alarm.lines:
            print_line(console, line, "bold red")
    if result.evaluation:
        _print_evaluation(console, result, result.evaluation)
    elif result.search:
        _print_search(console, result, result.search)


def _print_progress(console: Console, progress: RunProgress) -> None:
    heading = _heading(progress, progress.solutions, progress.rejections)
    print_line(console, heading)
    print_line(console, f"Baseline: {_short(progress.baseline)!r}")
    print_line(console, f"Best:     {_short(progress.best)!r}", "bold")
    sides = _sides({"train": progress.train})
    _print_sides(console, sides, progress.shares, FORMER_ALPHA)


def _print_search(console: Console, result: RunResult, search: SearchOutcome) -> None:
    print_line(console, _heading(result, search.solutions, search.rejections))
    print_line(console, f"Baseline: {_short(search.baseline)!r}")
    best = search.best
    shown = examples(len(best.demonstrations))
    print_line(console, f"Best:     {_short(best.text)!r}{shown}", "bold")
    if best.is_whole:
        for row in best.demonstrations:
            line = f"          {_short(row.input, 60)!r} -> {_short(row.answer, 40)!r}"
            print_line(console, line)
    if search.description:
        print_line(console, f"The task, as the optimizer reads it: {search.description}")
        print_line(console, "  (if that is wrong, say it in task.description)")
    splits = {"train": search.train, "validation": search.validation, "test": search.test}
    _print_sides(console, _sides(splits), result.shares, search.alpha)
    print_classes(console, search)
    if search.operators:
        _print_operators(console, search.operators)
    for line in search.summary:
        print_line(console, line)


def _print_evaluation(console: Console, result: RunResult, outcome: EvaluationOutcome) -> None:
    print_line(console, _evaluation_heading(result, outcome))
    _print_prompts(console, outcome)
    for prompt in outcome.prompts:
        shown = examples(len(prompt.demonstrations))
        print_line(console, f"{prompt.number}: {prompt.text!r}{shown}")
    if pairs := _telling(outcome.pairs, outcome.alpha):
        _print_pairs(console, pairs, level(outcome.alpha))
    for line in outcome.summary:
        print_line(console, line)


def examples(count: int) -> str:
    """ ", with 4 worked examples" where there are some."""
    return f", with {worked_examples(count)}" if count else ""


def worked_examples(count: int) -> str:
    """ "4 worked examples"."""
    return f"{count} worked example{'s' * (count > 1)}"


def _print_operators(console: Console, operators: Mapping[str, OperatorFigures]) -> None:
    rows = []
    for operator, own in sorted(operators.items(), key=lambda pair: -(pair[1].best or 0)):
        gain = "" if own.mean_gain is None else f"{100 * own.mean_gain:+.1f}"
        best = "" if own.best is None else f"{100 * own.best:.1f} %"
        scored = "" if own.scored is None else str(own.scored)
        rows.append((operator, str(own.proposed), str(own.usable), scored, gain, best))
    names = ("proposed by", "proposals", "usable", "scored", "mean gain", "best on train")
    print_table(console, names, rows, {"proposed by"})


def _short(text: str, most: int = 500) -> str:
    """The text, or its beginning: an agent file is no line to print."""
    return text if len(text) <= most else text[:most] + " ..."


def _evaluation_heading(result: RunResult, outcome: EvaluationOutcome) -> str:
    return (
        f"{result.name}: {len(outcome.prompts)} prompts on {outcome.prompts[0].figures.n} "
        f"{outcome.split} rows, rule {result.rule}; {_costs(result.costs)}"
    )


def _costs(costs: Costs) -> str:
    tokens, kept = costs.tokens, costs.from_cache["completions"]
    made = " and ".join(f"{count} {role}" for role, count in costs.calls.items() if count) or "no"
    cached = f", {kept:,} answers from the cache" if kept else ""
    return (
        f"{made} calls{cached}; {tokens['prompt']:,} prompt tokens ({tokens['cached']:,} cached), "
        f"{tokens['completion']:,} written; {costs.seconds:.0f} s"
    )


def _print_prompts(console: Console, outcome: EvaluationOutcome) -> None:
    further = _metrics([prompt.figures for prompt in outcome.prompts])
    names = ("prompt", "accuracy", level(outcome.alpha), *further)
    rows = []
    for prompt in outcome.prompts:
        figures = prompt.figures
        row = [str(prompt.number), *_accuracy(figures)]
        row += [_further(figures, name) for name in further]
        row += [str(figures.extraction_failures), str(figures.truncated), f"{prompt.tokens:,}"]
        rows.append(row)
    print_table(console, (*names, "extraction failures", "truncated", "tokens"), rows)


def _telling(
    pairs: Sequence[PairDifference], alpha: float, few: int = 6, most: int = 20
) -> list[PairDifference]:
    """The pairs worth a line: all where they are few, else those under alpha, surest first."""
    ordered = sorted(pairs, key=lambda pair: pair.difference.p_value)
    if len(ordered) <= few:
        return ordered
    return [pair for pair in ordered if pair.difference.p_value < alpha][:most]


def _print_pairs(console: Console, pairs: Sequence[PairDifference], interval: str) -> None:
    rows = []
    for pair in pairs:
        low, high = pair.difference.interval
        rows.append(
            (
                f"{pair.b} - {pair.a}",
                f"{100 * pair.difference.value:+.1f}",
                f"{100 * low:+.1f} to {100 * high:+.1f}",
                f"{pair.difference.p_value:.2g}",
                f"{pair.p_holm:.2g}",
            )
        )
    print_table(console, ("pair", "difference", interval, "p", "p (Holm)"), rows)


def _accuracy(figures: Figures) -> tuple[str, str]:
    if figures.interval is None:
        return f"{100 * figures.accuracy:.1f} %", ""
    low, high = figures.interval
    return f"{100 * figures.accuracy:.1f} %", f"{100 * low:.1f} to {100 * high:.1f}"


def _heading(run: RunResult | RunProgress, solutions: int, rejections: Mapping[str, int]) -> str:
    return (
        f"{run.name}: {run.state} after {run.steps} steps ({run.reason}); {solutions} solutions, "
        f"{sum(rejections.values())} replies rejected; {_costs(run.costs)}"
    )


def _sides(splits: Mapping[str, SplitResult | None]) -> list[Side]:
    """Baseline and best of every split that was scored."""
    sides: list[Side] = []
    for split, result in splits.items():
        if result is not None:
            sides += [(split, "baseline", result.baseline), (split, "best", result.best)]
    return sides


def _metrics(figures: Sequence[Figures]) -> list[str]:
    """The further figures that have a column, where one of them has some; what was optimized goes
    first.
    """
    optimized = dict.fromkeys(own.metric.name for own in figures if own.metric)
    further = ("without_bias", "strict", "agreement")
    return [*optimized, *(name for name in further if any(name in own.metrics for own in figures))]


def _further(figures: Figures, name: str) -> str:
    """A further figure by its column's name."""
    if figures.metric and figures.metric.name == name:
        return f"{100 * figures.metric.value:.1f}"
    return _share(figures.metrics.get(name))


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def _print_sides(console: Console, sides: Sequence[Side], shares: bool, alpha: float) -> None:
    left = {"split", "solution"}
    if not shares:
        # Objectives of their own scale: the value as it is, measured once.
        values = [(split, role, f"{figures.accuracy:.6g}") for split, role, figures in sides]
        print_table(console, ("split", "solution", "score"), values, left)
        return
    further = _metrics([figures for _, _, figures in sides])
    names = ("split", "solution", "accuracy", level(alpha), *further)
    rows = []
    for split, role, figures in sides:
        row = [split, role, *_accuracy(figures)]
        row += [_further(figures, name) for name in further]
        row += [str(figures.n), str(figures.extraction_failures), str(figures.truncated)]
        rows.append(row)
    print_table(console, (*names, "rows", "extraction failures", "truncated"), rows, left)
