"""How is pycjm used from a shell?

``main`` is the program. Commands are loaded when they are called, and what they need when they run, so that ``--help``
and completion answer at once. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from .. import _signals
from . import _failure

COMMANDS = {
    "bench": "Compare pycjm with other tools on a synthetic log.",
    "inspect": "Show the columns of a log, their roles, and what is in it.",
    "map": "Draw the process map as Graphviz DOT or Mermaid.",
    "merge": "Compute measures of several logs together, from their states.",
    "mine": "Compute measures of a log: a summary here, or all tables as files.",
    "sample": "Write the sample log into a directory.",
    "sort": "Write a log in case order, so that every question to it is a scan.",
    "synth": "Write a synthetic log of any size.",
    "versions": "Show what is installed.",
}
"""The commands and what they do, so that the list of them needs none of their modules."""


class _Commands(click.Group):
    """A group that loads its commands late and ends every failure with one message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"{__name__}.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from ..errors import unknown

            raise click.UsageError(unknown("command", name, list(COMMANDS)).message, ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        with _told(lambda: False):
            return super().make_context(*args, **options)

    def invoke(self, ctx: click.Context) -> Any:
        with _told(lambda: bool(ctx.obj and ctx.obj.get("debug"))):
            return super().invoke(ctx)


@contextmanager
def _told(debug: Callable[[], bool]) -> Iterator[None]:
    """Ends every failure of the block with one message and an exit code."""
    try:
        try:
            yield
        except click.exceptions.Exit as ended:
            # --help and --version end this way, their text unwritten still.
            _failure.flush()
            raise ended
        # Errors of a closed pipe have to show here, where they are handled, and not when Python ends.
        _failure.flush()
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except BaseException as error:
        code = _failure.tell(error, debug=debug())
        raise click.exceptions.Exit(code) from None


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        from .. import __version__

        click.echo(f"pycjm {__version__}")
        ctx.exit()


@click.command(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""Exit codes: 0 well, 2 usage, 3 the log's data, 4 memory, 5 disk and files, 70 a bug or a failed case
    metric, 130 interrupted.

    \b
    Completion: eval "$(_PYCJM_COMPLETE=bash_source pycjm)" in ~/.bashrc, with zsh_source
    in ~/.zshrc; _PYCJM_COMPLETE=fish_source pycjm | source in config.fish.
    """,
)
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Customer journeys out of event logs, at any size.

    Try: pycjm sample, then pycjm mine omnichannel.parquet
    """
    ctx.ensure_object(dict)


def main() -> None:
    """The program ``pycjm``."""
    _signals.end_at_once()
    _failure.open_streams()
    for stream in (sys.stdout, sys.stderr):
        # A label that the terminal's encoding lacks must not end the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(prog_name="pycjm", standalone_mode=False) or 0
    except click.ClickException as error:
        code = _failure.show(error)
    except click.Abort:
        code = _failure.tell(KeyboardInterrupt())
    sys.exit(code)
