"""Prompts scored on the rows of a task: instructions, worked examples, and the operators that
propose both.
"""
