"""How does the program begin? ``pycjm``, or ``python -m pycjm`` where its script is not on the path."""

import gc

from . import _signals


def main() -> None:
    """The program; ready for signals before anything else is loaded."""
    _signals.end_at_once()
    # What is loaded stays: to look for cycles in it again and again takes time, and finds nothing.
    gc.disable()
    from .cli import main as run

    gc.freeze()
    gc.enable()
    try:
        run()
    finally:
        _signals.ignore()
        # The process ends, and its memory with it: there is no need to look for cycles one last time.
        gc.freeze()


if __name__ == "__main__":
    main()
