"""Everything a user can be told has gone wrong: a message, what to do about it, and the exit code.

For: errors that end a command in one line. Not for: bugs, which keep their traceback.
"""


class OproError(Exception):
    """A failure with a message for the user, a hint and an exit code."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(OproError):
    """The command line or the config asks for something that can't be done."""

    exit_code = 2


class DataError(OproError):
    """The user's data is missing or malformed; the message starts with file:line where there is
    one.
    """

    exit_code = 2


class ModelError(OproError):
    """The model folder is missing, incomplete or does not load."""

    exit_code = 3


class EngineError(OproError):
    """The engine died, hung or broke its contract."""

    exit_code = 3


class StoreError(OproError):
    """The run's folder can't be read or written, or its content is damaged."""

    exit_code = 4


class DamageError(StoreError):
    """What a file holds is not what was written to it."""


class LockedError(OproError):
    """Another process holds the run."""

    exit_code = 5
