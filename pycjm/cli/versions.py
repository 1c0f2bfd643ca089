"""``pycjm versions``: what is installed?"""

from __future__ import annotations

import click

from ._options import output_options


@click.command("versions")
@output_options
def command(as_json: bool, quiet: bool) -> None:
    """Show what is installed: to be given with every report of a bug."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import pycjm

    from . import _output

    found: dict[str, object] = {
        **pycjm.versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    for name in ("pyarrow", "numpy", "numba"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    if as_json:
        _output.print_json(found)
    else:
        _output.print_rich(_output.pairs("", {name: str(value or "not installed") for name, value in found.items()}))
