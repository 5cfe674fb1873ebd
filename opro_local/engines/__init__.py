"""Models that answer batches: text in, text out, order kept, each in a worker process of its own.

They know no problem, no search and no run. May import: programs, models, types, errors.
"""
