"""`mediaref gate`: conditions on reports, for CI."""

from __future__ import annotations

from pathlib import Path

import click

from mediaref_tools import plaintext as text
from mediaref_tools.commands import exits
from mediaref_tools.commands.conditions import condition_options, settle
from mediaref_tools.commands.params import PATH, amount, quiet_option

__all__ = ["command"]


@click.command(short_help="Check the report of a conversion, for CI.")
@click.argument("reports", metavar="REPORT...", type=PATH, nargs=-1, required=True)
@click.option(
    "--min-psnr",
    metavar="DB",
    type=click.FloatRange(0),
    callback=amount,
    help="Demand it of each topic's PSNR, its first percentile.",
)
@condition_options()
@click.option(
    "--markdown",
    "markdown_file",
    metavar="FILE",
    type=PATH,
    help="Append a table of all topics to FILE, as Markdown.",
)
@quiet_option()
def command(
    reports: tuple[Path, ...],
    max_ratio: float | None,
    min_psnr: float | None,
    no_loss: bool,
    junit_file: Path | None,
    markdown_file: Path | None,
    quiet: bool,
) -> None:
    """Check what `mediaref convert --report FILE` wrote, of one log or of many.

    Exits with 3 and a line for each condition that does not hold. That no reference is wrong or missing, and that no
    log failed, is always demanded.
    """
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.commands.files import write
    from mediaref_tools.gate import Conditions, gate, markdown, read_report

    conditions = Conditions(max_ratio, min_psnr, no_loss)
    found = [read_report(report) for report in reports]
    checks = [check for report in found for check in gate(report, conditions)]
    if markdown_file is not None:
        write("table", markdown_file, markdown(found, checks), append=True)
    console = output_console()
    if not settle(checks, junit_file, console):
        click.get_current_context().exit(exits.INCOMPLETE)
    if not quiet:
        console.print(f"{text.plural(len(checks), 'check')}, all hold", soft_wrap=True)
