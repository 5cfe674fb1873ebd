"""Agent instruction files such as CLAUDE.md, by whole file or section, scored by a suite of tasks."""
