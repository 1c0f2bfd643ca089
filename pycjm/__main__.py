"""How does the program begin? ``pycjm``, or ``python -m pycjm`` where its script is not on the path."""

from . import _signals


def main() -> None:
    """The program; ready for signals before anything else is loaded."""
    _signals.end_at_once()
    from .cli import main as run

    try:
        run()
    finally:
        _signals.ignore()


if __name__ == "__main__":
    main()
