"""The winner of a run in the form that another program takes: one file a format, and the table of
them.

A format turns a `WholePrompt`, which is data, into a text; it knows no run, no engine and no
folder. So it stands below the runs, whose results offer it (`result.export`). Making a
`WholePrompt` of a run is in runs/. May import: scoring, types, files, errors.
"""
