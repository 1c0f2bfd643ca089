"""How is the command line run where its script is not on the path? ``python -m pycjm``."""

from .cli import main

if __name__ == "__main__":
    main()
