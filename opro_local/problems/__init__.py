"""What can be optimized, one folder or file a problem, each a `protocols.Problem`.

A problem says what a model or a program must do by yielding batches; it knows no engine. May
import: search, scoring, tasks, programs, models, config, stats, types, files,
records, errors.
"""
