"""The rule math: formulas, sets and intervals that say the same, by math-verify in a child."""
