"""How does a log become one Parquet file in case order, be it larger than memory?

An external sort in four steps: ``rows`` reads the log with all its columns and asks the engine what orders them;
``order`` sorts what fits into memory; ``runs`` puts sorted runs aside and merges them; ``parquet`` writes the file.
"""
