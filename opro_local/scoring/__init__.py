"""What an answer earns against a row's target: rules, and the readers of answers that they stand
on.

Statistics live in stats.py, problems in problems/. May import: tasks, programs, config, stats,
types, files, records, errors.
"""
