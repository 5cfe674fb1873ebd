"""Templates and YAML of a few bytes that ask for hours or gigabytes, shared by the tests of all that
read such files.
"""

# Jinja's sandbox lets each of these through, but for range(10**9).
TEMPLATES = {
    "range": "{% for i in range(10**9) %}x{% endfor %}",
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "product": "{{ 'x' * 10**9 }}",
    "list": "{{ ([0] * 10**9) | length }}",
    "power": "{{ 10 ** (10 ** 9) }}",
    "modulo": "{{ '%0999999999d' % 1 }}",
    "format": "{{ '{:>999999999}'.format(1) }}",
    "center": "{{ 'x' | center(10**9) }}",
    "method": "{{ 'x'.ljust(10**9) }}",
    "doubling": "{% set n = namespace(x='xx') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "nesting": "{% set n = namespace(x=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "equality": "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(40) %}{% set n.x = [n.x, n.x] %}"
    "{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
    "macro": "{% macro f(n) %}{{ f(n - 1) if n else '' }}{{ f(n - 1) if n else '' }}{% endmacro %}{{ f(40) }}",
    "replace": "{% set x = 'x' * 99999 %}{{ x.replace('x', x) }}",
    "batch": "{{ range(9) | batch(10**9, 0) | list | string }}",
}
QUICK = ("range", "product", "center", "loops")

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
YAML = {
    "laughs": LAUGHS,
    "texts": "t: &t '" + "x" * 60_000 + "'\nall: [" + ", ".join(["*t"] * 999) + "]\n",
    "nested": "[" * 9_000,
    "maps": "{a: " * 20_000,
    "indented": "".join(" " * i + "a:\n" for i in range(600)),
    "hexadecimal": "a: 0x" + "f" * 9000 + "\n",
    "long": "# " + "x" * 300_000 + "\na: b\n",
    "sixties": "a: 1" + ":59" * 20_000 + "\n",
    "recursive": "&a [*a]\n",
}
