"""OPRO as a teleprompter of DSPy, with the real package and a stand-in for its LM."""

from __future__ import annotations

import pytest
from running import SMOL, real

from opro_local.errors import UsageError

dspy = pytest.importorskip("dspy", reason="dspy is not installed here")

from opro_local.plugins.dspy import OPRO, with_instructions  # noqa: E402

pytestmark = pytest.mark.long


class TeamLM(dspy.BaseLM):
    """Answers right where its instruction asks for the team; counts what it was asked."""

    def __init__(self):
        super().__init__(model="stand-in")
        self.asked = []

    def __call__(self, prompt=None, messages=None, **options):
        text = "\n".join(message["content"] for message in messages)
        self.asked.append(text)
        number = int(text.rpartition("ticket ")[2].split()[0])
        right = "late" if number % 2 else "broken"
        label = right if "Which team" in text else "late"
        return [f"[[ ## label ## ]]\n{label}\n\n[[ ## completed ## ]]"]


def rows(start, stop):
    examples = []
    for number in range(start, stop):
        label = "late" if number % 2 else "broken"
        examples.append(dspy.Example(ticket=f"ticket {number}", label=label).with_inputs("ticket"))
    return examples


def exact(example, prediction, trace=None):
    return example.label == prediction.label


def explained(example, prediction, trace=None):
    is_right = example.label == prediction.label
    return dspy.Prediction(score=float(is_right), feedback=f"should be {example.label}")


def writes(prompt):
    return "<TEXT>Which team is it?</TEXT>"


class Triage(dspy.Module):
    def __init__(self):
        super().__init__()
        self.sort = dspy.Predict(dspy.Signature("ticket -> label", "Sort it."))

    def forward(self, ticket):
        return self.sort(ticket=ticket)


class Twice(dspy.Module):
    def __init__(self):
        super().__init__()
        self.first = dspy.Predict(dspy.Signature("ticket -> label", "Sort it."))
        self.second = dspy.Predict(dspy.Signature("ticket -> label", "Again."))

    def forward(self, ticket):
        self.first(ticket=ticket)
        return self.second(ticket=ticket)


def compiled(student, metric=exact, model=writes, trainset=None, valset=None, **others):
    teleprompter = OPRO(metric, model, steps=2, candidates=2, num_threads=1, **others)
    with dspy.context(lm=TeamLM()):
        return teleprompter.compile(student, trainset=trainset or rows(0, 40), valset=valset)


def test_a_program_gets_a_better_instruction_and_is_saved_and_loaded(tmp_path):
    student = Triage()
    program = compiled(student)
    assert program.opro.verdict == "reliable gain"
    assert program.opro.result.test.difference.interval[0] > 0
    assert program.sort.signature.instructions == "Which team is it?"
    assert student.sort.signature.instructions == "Sort it." and program._compiled
    program.save(tmp_path / "program.json")
    loaded = Triage()
    loaded.load(tmp_path / "program.json")
    assert loaded.sort.signature.instructions == "Which team is it?"
    with dspy.context(lm=TeamLM()):
        assert loaded(ticket="ticket 4").label == "broken"


def test_each_predictor_takes_its_turn_with_what_the_metric_says_and_a_held_out_set():
    prompts = []

    def model(prompt):
        prompts.append(prompt)
        return writes(prompt)

    program = compiled(Twice(), explained, model, rows(0, 16), rows(16, 46))
    assert set(program.opro.texts) == {"first", "second"}
    assert program.second.signature.instructions == "Which team is it?"
    assert "The instruction: first" in prompts[0] and "feedback: should be" in prompts[0]
    assert "The instruction: second" in prompts[-1]
    result = program.opro.result
    assert [part.best.n for part in (result.train, result.validation, result.test)] == [16, 10, 20]


def test_without_a_gain_the_program_stays_as_it_was():
    program = compiled(Triage(), model=lambda prompt: "<TEXT>Do it.</TEXT>")
    assert program.sort.signature.instructions == "Sort it."
    assert program.opro.verdict == "no reliable gain"


def test_a_program_that_fails_on_a_row_earns_nothing_there():
    class Fails(Triage):
        def forward(self, ticket):
            if ticket.endswith("2"):
                raise ValueError("no such ticket")
            return super().forward(ticket)

    program = compiled(Fails())
    assert program.opro.result.train.best.accuracy < 1.0
    assert program.sort.signature.instructions == "Which team is it?"


def test_a_kept_run_resumes(tmp_path):
    first = compiled(Triage(), run=tmp_path / "run")
    lm = TeamLM()
    with dspy.context(lm=lm):
        teleprompter = OPRO(
            exact, writes, steps=2, candidates=2, num_threads=1, run=tmp_path / "run"
        )
        again = teleprompter.compile(Triage(), trainset=rows(0, 40))
    assert not lm.asked and again.opro.texts == first.opro.texts


def test_the_name_of_a_predictor_inside_another_is_its_path():
    program = dspy.ChainOfThought(dspy.Signature("ticket -> label", "Sort it."))
    (name,) = dict(program.named_predictors())
    changed = with_instructions(program, {name: "New."})
    assert changed.predict.signature.instructions == "New."
    assert program.predict.signature.instructions == "Sort it."


def test_mistakes_end_in_one_line():
    with pytest.raises(UsageError, match="metric"):
        OPRO(None, writes)
    with pytest.raises(UsageError, match="no examples"):
        OPRO(exact, writes).compile(Triage(), trainset=[])
    with pytest.raises(UsageError, match="teacher"):
        OPRO(exact, writes).compile(Triage(), trainset=rows(0, 9), teacher=Triage())
    with pytest.raises(UsageError, match="no predictors"):
        OPRO(exact, writes).compile(dspy.Module(), trainset=rows(0, 9))


@pytest.mark.real
def test_a_real_model_writes_for_dspy():
    real("transformers")
    program = compiled(
        Triage(), model=SMOL, set=["optimizer.engine=transformers", "optimizer.max_tokens=24"]
    )
    assert program.opro.result.costs.calls["optimizer"] == 2
