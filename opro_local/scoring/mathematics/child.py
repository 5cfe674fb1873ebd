"""The child of the rule math: one line of JSON in, [gold, answer]; one line out, whether the answer
could be read, and whether it is the gold.

For: parsing with math-verify, each pair within a limit of processor time that ends this process.
Not for: being imported; process.py starts it by its path. It imports nothing of this package.
"""

import json
import resource
import sys
from typing import Any

# What sympy and its parsers raise on what they don't understand. Anything else ends this process,
# which is no answer either.
PARSER_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def main() -> None:
    """Answer line after line until the parent closes the pipe."""
    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    import logging

    logging.disable(logging.CRITICAL)
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    kinds = (LatexExtractionConfig(), ExprExtractionConfig())
    golds: dict[str, Any] = {}

    def parsed(text: str) -> Any:
        # The process is ended from outside, so math-verify's own alarms are off.
        return parse(f"${text}$", extraction_config=kinds, parsing_timeout=None)

    def compared(gold: str, answer: str) -> list[bool]:
        if gold not in golds:
            golds.clear()
            golds[gold] = parsed(gold)
        said = parsed(answer)
        # With nothing but its text, it was not understood.
        if not any(not isinstance(part, str) for part in said):
            return [False, False]
        return [
            True,
            bool(verify(golds[gold], said, allow_set_relation_comp=True, timeout_seconds=None)),
        ]

    parsed("1")
    sys.stdout.write("[]\n")
    sys.stdout.flush()
    for line in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        try:
            reply = compared(*json.loads(line))
        except PARSER_ERRORS:
            reply = [False, False]
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
