"""A run, or a sweep, as a page to look at: one HTML file with everything in it.

The rooms: gathering.py (what a page is made of, read from a store), phases.py (costs by phase),
config_text.py (a run's config as TOML), replayed.py and lineage.py (what only the completions
tell), charts.py (where the marks of the pictures stand), confusion.py (answers by class), page.py,
feedback.py (a store of production outcomes), sweep_page.py and sweep_curves.py (a sweep), html.py
and templates/ (the HTML), view/ (the pages of all runs, served). Runs are opened to be read only, a
feedback store as `feedback status` opens it, nothing is asked of a model, and a damaged run is
refused. Not for: what a terminal or a notebook shows (cli/, runs/). May import: feedback, sweeps,
runs, problems, search, scoring, config, stats, types, files, errors.
"""
