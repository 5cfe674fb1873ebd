"""The user's own commands and functions, and what contains them: time, output, process tree.

What a score means lives in problems/. May import: protocols, types, errors.
"""
