"""A run: plan, engines, driver, store and cache, from the check of everything it needs to its
result.

What is asked next is decided in search/; nothing here prints. May import: search, problems,
engines, placement, tasks, scoring, models, config.
"""
