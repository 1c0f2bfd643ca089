"""``pycjm sample``: a log to try things with."""

from __future__ import annotations

import click

from .. import _signals
from ._options import output_options


@click.command("sample")
@click.argument("directory", default=".", type=click.Path())
@output_options
def command(directory: str, as_json: bool, quiet: bool) -> None:
    """Write the sample log into DIRECTORY (default: the current one).

    A few thousand events of a retailer's customers over web, app, e-mail, call centre, store and CRM.
    """
    _signals.clean_up()
    import pycjm

    from . import _output

    path = pycjm.write_sample(directory)
    if as_json:
        _output.print_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        click.echo(str(path))
        _output.say(f"Now try: pycjm mine {path}", quiet=quiet)
