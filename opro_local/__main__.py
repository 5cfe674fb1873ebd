"""Where the program begins: the script `opro-local`, and `python -m opro_local`.

For: signals that come while the program is still being loaded, which takes a moment; they end it at
once, for nothing has begun. Not for: anything else (cli/main.py).
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Load and run the program."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` has SIGHUP ignored, and means it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _leave)
    from opro_local.cli.main import main as run_program

    run_program()


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, b"opro-local: stopped\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
