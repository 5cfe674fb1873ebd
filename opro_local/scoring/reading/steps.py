"""Numbers of a step that is not done: "We need to subtract 4", code that nobody ran.

For: whether the last number of an answer is only something to work with. Not for: which number is
the answer (conclusions.py), or numbers of equal standing (rivals.py).
"""

from __future__ import annotations

import re

# What stands before a number that is still to be added: "We need to subtract 4".
PLANNED = re.compile(
    r"""
    \b (?: add | subtract | multiply | divide ) \b
    (?: (?! \b (?: get | is | are | gives? | giving | equals? | leaves? | leaving | left | makes?
          | total | sum | have | so | result | answer | obtain | yields? | comes? | which | find
        ) \b | [=≈:] ) . ){0,60}
    $
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What follows the last number of code that nobody ran: "y = 4\nprint(x * y)".
UNRUN = re.compile(
    r"""
    [^\n\d]{0,40} \n
    (?: [^\n]* \n )?
    [ \t]* (?: (?: print | return | console\.log | puts | echo ) \b [^\n]*
        | (?: [A-Za-z_]\w* [ ]? = [ ]? )? [A-Za-z_]\w* [ ]? [-+*/%] [ ]? [A-Za-z_]\w* )
    [\s`]* \Z
    """,
    re.VERBOSE,
)


def is_step(text: str, start: int, number: re.Match[str]) -> bool:
    """Whether a number in the sentence that starts there belongs to a step that is not done."""
    is_planned = PLANNED.search(text, start, number.start()) is not None
    return is_planned or UNRUN.match(text, number.end()) is not None
