"""Models that answer batches: text in, text out, order kept, each in a worker process of its own.

They know no problem, no search and no run. A new engine is a file here and one line in kinds.py.
Config reads the table in kinds.py, and nothing else of this wing. May import: programs, models,
protocols, types, files, records, network, errors.
"""
