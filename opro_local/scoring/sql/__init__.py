"""Answers that are SQL: run read-only in a child process, and compared by what they return."""
