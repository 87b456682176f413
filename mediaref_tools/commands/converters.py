"""`mediaref converters`: the plugins."""

from __future__ import annotations

import json

import click

from mediaref_tools.commands import exits
from mediaref_tools.commands.params import json_option

__all__ = ["command"]


@click.command(short_help="List the installed converters.")
@json_option("Print the list as JSON.")
def command(as_json: bool) -> None:
    """List the installed converters, each of which reads and writes one kind of log.

    Exits with 1 where one is broken.
    """
    from mediaref_tools.plugins import installed

    plugins = installed()
    rows = [
        {
            "name": plugin.name,
            "package": plugin.distribution,
            "version": plugin.version,
            "target": plugin.target,
            "error": None if plugin.error is None else str(plugin.error),
        }
        for plugin in plugins
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        _show(rows)
    if any(plugin.error for plugin in plugins):
        click.get_current_context().exit(exits.FAILED)


def _show(rows: list[dict[str, str | None]]) -> None:
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.tables import Column, notes, show_table

    console = output_console()
    if not rows:
        notes(console, ["no converter is installed: reinstall mediaref-tools"])
        return
    columns = [
        Column("name", "name"),
        Column("package", "name"),
        Column("version", "word"),
        Column("status", "word"),
    ]
    cells = [
        [str(row["name"]), str(row["package"]), str(row["version"]), "broken" if row["error"] else "ready"]
        for row in rows
    ]
    show_table(console, columns, cells)
    notes(console, [row["error"] for row in rows if row["error"]])
