"""`mediaref gate`: conditions on reports, for CI."""

from __future__ import annotations

from pathlib import Path

import click

from mediaref_tools.commands import exits, text
from mediaref_tools.commands.params import PATH, quiet_option

__all__ = ["command"]


@click.command(short_help="Check the report of a conversion, for CI.")
@click.argument("reports", metavar="REPORT...", type=PATH, nargs=-1, required=True)
@click.option(
    "--max-ratio", metavar="X", type=click.FloatRange(0), help="The dataset has at most X bytes a log's byte."
)
@click.option(
    "--min-psnr", metavar="DB", type=click.FloatRange(0), help="First percentile of PSNR of each topic, at least."
)
@click.option("--no-loss", is_flag=True, help="Nothing was kept unasked, embedded, skipped or recovered with loss.")
@click.option("--junit", "junit_file", metavar="FILE", type=PATH, help="Write the checks to FILE, as JUnit XML.")
@quiet_option()
def command(
    reports: tuple[Path, ...],
    max_ratio: float | None,
    min_psnr: float | None,
    no_loss: bool,
    junit_file: Path | None,
    quiet: bool,
) -> None:
    """Check what `mediaref convert --report FILE` wrote, of one log or of a folder of them.

    Exits with 3 and a line for each condition that does not hold. That no reference is wrong or missing, and that no
    log failed, is always checked.
    """
    from mediaref_tools.commands.consoles import output_console
    from mediaref_tools.errors import OutputError
    from mediaref_tools.gate import Conditions, gate, junit, read_report

    conditions = Conditions(max_ratio, min_psnr, no_loss)
    checks = [check for report in reports for check in gate(read_report(report), conditions)]
    if junit_file is not None:
        try:
            junit_file.write_text(junit(checks), "utf-8")
        except OSError as error:
            raise OutputError(f"checks can't be written: {error.strerror or error}: {junit_file}") from error
    broken = [check for check in checks if check.broken]
    console = output_console()
    for check in broken:
        console.print(text.one_line(f"{check.log}: {check.condition}: {check.broken}"), soft_wrap=True)
    if broken:
        click.get_current_context().exit(exits.INCOMPLETE)
    if not quiet:
        console.print(f"{text.plural(len(checks), 'check')}, all hold", soft_wrap=True)
