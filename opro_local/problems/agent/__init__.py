"""Agent instruction files such as CLAUDE.md, whole or by section, scored by a suite of tasks."""
