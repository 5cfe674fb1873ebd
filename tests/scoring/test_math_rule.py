"""The rule math: what says the same, what doesn't, what is not read, and that it always comes back."""

import importlib.util
import threading
import time

import pytest

from opro_local.errors import UsageError
from opro_local.scoring.choosing import make_rule
from opro_local.scoring.mathematics import rule as mathematics
from opro_local.scoring.mathematics.process import Limits, MathProcess
from opro_local.scoring.reading import formulas
from opro_local.types import Example

pytest.importorskip("math_verify", reason="the extra math is not installed")
RULE = mathematics.math()


def earned(answer, target, rule=RULE):
    values, failed = rule.score([answer], [Example("1", {}, "", target, "")])
    return None if failed[0] else values[0]


@pytest.mark.parametrize(
    ("answer", "target", "value"),
    [
        # Equal texts and numbers, which need no child.
        ("$x^2+1$", "x^2 + 1", 1),
        (r"\boxed{\dfrac{1}{2}}", r"\frac12", 1),
        ("The answer is 1,000.", "1000", 1),
        ("It is 7 apples.", "7", 1),
        ("0.5", "1/2", 1),
        # Formulas.
        ("1 + x^2", "x^2+1", 1),
        ("1", "x^2+1", 0),
        ("x^2", "x^2+1", 0),
        (r"\sqrt{12}", r"2\sqrt{3}", 1),
        (r"\boxed{(x-1)(x+1)}", "x^2-1", 1),
        (r"$\frac{2}{4}$", r"\frac{1}{2}", 1),
        (r"\boxed{\log_2 8}", "3", 1),
        ("x = 3", "3", 1),
        ("3", "x=3", 1),
        (r"$90^\circ$", "90", 1),
        (r"\boxed{50\%}", "0.5", 1),
        # Sets, pairs, intervals.
        (r"$\{3, 1, 2\}$", r"\{1,2,3\}", 1),
        (r"$\{1, 2\}$", r"\{1,2,3\}", 0),
        (r"$(1, 2)$", r"\{1,2\}", 0),
        (r"$(2, 1)$", "(1,2)", 0),
        ("$(0,1]$", "(0, 1]", 1),
        ("$[0,1]$", "(0, 1]", 0),
        (r"$(-\infty,2] \cup (3,4)$", r"(3,4) \cup (-\infty,2]", 1),
        ("x > 2", r"(2,\infty)", 1),
        ("The solutions are $x=2$ and $x=3$.", "2, 3", 1),
        (r"\boxed{2 \text{ or } 3}", "3, 2", 1),
        (r"\boxed{2 \text{ or } 3}", "3", 0),
        (r"$\begin{pmatrix}1\\2\end{pmatrix}$", r"\begin{pmatrix}1\\2\end{pmatrix}", 1),
        # The last that is said, where it is said to be it.
        ("First $x=1$.\nSo the answer is $x=2$.", "2", 1),
        ("From $2x=8$ we get $x=4$.\nTherefore $x = 4$.", "4", 1),
        # What says nothing, or two things.
        ("hello world", "x", None),
        ("I am not sure", "x+1", None),
        ("With $x=1$ it is true.\nWith $x=2$ it is true.", "1", None),
        ("", "x", None),
        (r"\boxed{}", "x", None),
        ("<think>$x^2+1$", "x^2+1", None),
        ("34", "3 4", 0),
    ],
)
def test_what_says_the_same_is_right(answer, target, value):
    assert earned(answer, target, make_rule("math") if "think" in answer else RULE) == value


def test_a_target_may_be_a_solution_with_its_box():
    assert earned("$x-1$", r"So the quotient is $\boxed{x - 1}$.") == 1


@pytest.mark.long
@pytest.mark.parametrize(
    "answer", ["$10^{10^{10}}$", "$((((9^9)^9)^9)^9)^{9!}$", "$" + "(" * 350 + "$"]
)
def test_a_formula_that_takes_too_long_is_not_read(answer):
    quick = mathematics.math(Limits(cpu_seconds=1))
    begun = time.monotonic()
    assert earned(answer, "x+1", quick) in (None, 0)
    assert earned("1+x", "x+1", quick) == 1
    assert time.monotonic() - begun < 30


def test_threads_take_turns():
    pairs = [(f"{n} + x", f"x + {n}") for n in range(20)]
    right = []

    def work(part):
        right.extend(earned(*pair) for pair in part)

    threads = [threading.Thread(target=work, args=(pairs[i::4],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [1] * 20


def test_without_math_verify_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="math-verify") as error:
        MathProcess(Limits())
    assert "opro-local[math]" in str(error.value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (r"\dfrac{1}{2}", r"\frac12"),
        (r"\left( 0, 1 \right]", "(0,1]"),
        (r"x \leq 2", "x ≤ 2"),
        (r"3\,000", "3000"),
    ],
)
def test_a_plain_form_leaves_out_what_makes_no_difference(text, same):
    assert formulas.plain(text) == formulas.plain(same)
    assert formulas.plain("3 4") != formulas.plain("34")
