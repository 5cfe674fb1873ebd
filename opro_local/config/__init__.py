"""The settings of a run: what they are called, what they may be, and how they are read.

What needs data, a model or a disk to be checked lives where it is used. May import: types, files,
errors; of the wings above it the two tables of names, engines/kinds.py and
search/schedules/table.py.
"""
