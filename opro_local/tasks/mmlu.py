"""MMLU (Hendrycks et al. 2021, arXiv 2009.03300) by subject and by category, in both layouts.

For: rows as the reference shows them, and its split. Not for: few-shot prompts; only the test files
are read.
"""

# One row of anatomy_test.csv (no header: question, four options, letter):
#   Which of the following ... collects urine in the body?,Bladder,Kidney,Ureter,Urethra,A
# The same row at Hugging Face (cais/mmlu):
#   question = "Which ...", subject = "anatomy", choices = ["Bladder", ...], answer = 0

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opro_local.errors import DataError
from opro_local.tasks import published
from opro_local.tasks.csv_file import records
from opro_local.tasks.rows import Row
from opro_local.tasks.task import Benchmark, Task
from opro_local.types import Example

if TYPE_CHECKING:
    from opro_local.config.task import TaskSettings

VERSION = 1
FOLDERS = ("test", "MMLU-data", "MMLU-data/test", "mmlu", "mmlu/test", "cais/mmlu")
COLUMNS = ("question", "choices", "answer")
LETTERS = "ABCD"
ASK = "\nWhat's the answer in (A) (B) (C) (D)?"

# The four categories (Hendrycks et al., table of subjects;
# opro/optimization/optimize_instructions.py).
SUBJECTS_OF = {
    "STEM": """
        abstract_algebra astronomy college_biology college_chemistry college_computer_science
        college_mathematics college_physics computer_security conceptual_physics
        electrical_engineering elementary_mathematics high_school_biology high_school_chemistry
        high_school_computer_science high_school_mathematics high_school_physics
        high_school_statistics machine_learning
    """,
    "humanities": """
        formal_logic high_school_european_history high_school_us_history
        high_school_world_history international_law jurisprudence logical_fallacies
        moral_disputes moral_scenarios philosophy prehistory professional_law world_religions
    """,
    "social sciences": """
        econometrics high_school_geography high_school_government_and_politics
        high_school_macroeconomics high_school_microeconomics high_school_psychology
        human_sexuality professional_psychology public_relations security_studies sociology
        us_foreign_policy
    """,
    "other": """
        anatomy business_ethics clinical_knowledge college_medicine global_facts human_aging
        management marketing medical_genetics miscellaneous nutrition professional_accounting
        professional_medicine virology
    """,
}
CATEGORIES = {name: sorted(subjects.split()) for name, subjects in SUBJECTS_OF.items()}
SUBJECTS = tuple(sorted(subject for subjects in CATEGORIES.values() for subject in subjects))


def load(settings: TaskSettings) -> Task:
    """Train is the reference's 80 % of the test files' rows, test the others, from which it draws
    its eval rows.

    Validation, if asked for, is drawn from the others as the reference draws them; a category's
    rows are those of its subjects in alphabetical order.

    Raises:
        DataError: no file of the subject, or a malformed row.
        UsageError: `data_dir` is not set, or there is no such subject or category.
    """
    subjects = _subjects(settings.name)
    expected = "<subject>_test.csv, or a folder per subject with Parquet files or a saved dataset"
    folders = published.places(settings, FOLDERS, expected)
    read = _read(folders, subjects, published.unnamed(settings))
    if not read:
        raise published.NotFound(
            f"{settings.data_dir}: no {settings.name} here", f"expected {expected}"
        )
    rows = [row for part in read.values() for row in part]
    splits = published.divided(rows, int(0.8 * len(rows)), settings.validation_rows or 0)
    if "train" not in splits:
        raise DataError(
            f"{rows[0].where}: {len(rows)} rows are too few", "80 % of them must be a row"
        )
    fewer = (
        f"{settings.name}: {len(read)} of its {len(subjects)} subjects are here: "
        "not the paper's split"
    )
    notices = () if len(read) == len(subjects) else (fewer,)
    return Task(
        settings.name,
        splits,
        "choice",
        "question",
        "answer",
        "choice",
        notices=notices,
        version=VERSION,
    )


BENCHMARK = Benchmark(load, VERSION, (*CATEGORIES, *SUBJECTS), "subject or category", paper=True)


def _subjects(name: str) -> list[str]:
    _, _, wanted = name.partition("/")
    if wanted in SUBJECTS:
        return [wanted]
    # "social_sciences", "stem" and the reference's "other (business, health, misc.)" are meant,
    # too.
    plain = wanted.casefold().replace("_", " ").removesuffix(" (business, health, misc.)")
    for category, subjects in CATEGORIES.items():
        if category.casefold() == plain:
            return subjects
    known = f"its categories: {', '.join(CATEGORIES)}; its subjects: {', '.join(SUBJECTS)}"
    raise published.unknown(name, [f"mmlu/{one}" for one in (*CATEGORIES, *SUBJECTS)], known)


def _read(
    folders: list[Path], subjects: list[str], shared: Sequence[Path]
) -> dict[str, list[Example]]:
    """The rows of each subject that is here."""
    named = {subject: rows for subject in subjects if (rows := _own_rows(folders, subject))}
    # cais/mmlu also comes as one folder with all subjects.
    both = [place for folder in folders for place in (folder, folder / "all")]
    if named or not (
        tables := published.hub_tables(both, ("test",), (*COLUMNS, "subject"), shared=shared)
    ):
        return {subject: _examples(subject, rows) for subject, rows in named.items()}
    rows = tables["test"].rows
    joined = {
        subject: [row for row in rows if row.columns["subject"] == subject] for subject in subjects
    }
    return {subject: _examples(subject, part) for subject, part in joined.items() if part}


def _own_rows(folders: list[Path], subject: str) -> Sequence[Row]:
    """The rows of a file or folder named after the subject."""
    if path := published.file_in(folders, f"{subject}_test.csv"):
        return [_row(f"{path}:{line}", fields) for line, fields in records(path, ",")]
    tables = published.hub_tables([folder / subject for folder in folders], ("test",), COLUMNS)
    return tables["test"].rows if tables else ()


def _examples(subject: str, rows: Sequence[Row]) -> list[Example]:
    return published.examples(subject, rows, lambda row: _parts(row, subject))


def _row(where: str, fields: list[str]) -> Row:
    if len(fields) != 6:
        raise DataError(
            f"{where}: {len(fields)} columns, not 6", "a row is question, A, B, C, D, letter"
        )
    return Row(where, {"question": fields[0], "choices": fields[1:5], "answer": fields[5]})


def _parts(row: Row, subject: str) -> tuple[dict[str, str], str, str]:
    question, options = published.text(row.where, row.columns, "question"), row.columns["choices"]
    if not isinstance(options, list) or len(options) != 4:
        raise DataError(
            f"{row.where}: choices is {options!r:.40}, not a list of four", "restore the file"
        )
    options = [
        published.a_text(option, f"{row.where}: option {LETTERS[n]}")
        for n, option in enumerate(options)
    ]
    letter = _letter(row.where, row.columns["answer"])
    shown = (
        question
        + "".join(f"\n({name}) {option}" for name, option in zip(LETTERS, options, strict=True))
        + ASK
    )
    columns = {
        "question": question,
        **dict(zip(LETTERS, options, strict=True)),
        "answer": letter,
        "subject": subject,
    }
    return columns, shown, letter


def _letter(where: str, answer: Any) -> str:
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < 4:
        return LETTERS[answer]
    if isinstance(answer, str) and len(letter := answer.strip()) == 1 and letter in LETTERS:
        return letter
    raise DataError(
        f"{where}: the answer {answer!r:.40} is not one of A, B, C, D", "restore the file"
    )
