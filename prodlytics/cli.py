"""The `prodlytics` command.

Belongs here: verbs, their options, exit codes. Each verb imports what it needs when it is called. Does not belong here:
the work. Exit codes: 0 done, 1 it failed, 2 you asked wrongly; what went wrong is one sentence on standard error.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from prodlytics.cli_alerts import alerts_app, watchdog_app
from prodlytics.cli_archive import archive_app
from prodlytics.cli_shared import ASKED_WRONGLY, FAILED, JsonOption, stop

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


app.add_typer(archive_app)
app.add_typer(alerts_app, name="alerts")
app.add_typer(watchdog_app)


@app.callback()
def _root() -> None:
    """What a factory lost, why, and what to do about it."""


@app.command()
def url() -> None:
    """Print the database URL in use, starting the embedded server if that is the one."""
    from prodlytics.db.url import database_url
    from prodlytics.settings import Settings

    typer.echo(database_url(Settings()))


@app.command()
def migrate(as_json: JsonOption = False) -> None:
    """Bring the database to this version; harmless to repeat."""
    from prodlytics.db.migrate import migrate as apply
    from prodlytics.db.url import database_url
    from prodlytics.settings import Settings

    report = apply(database_url(Settings()))
    edition = report.capability.edition
    if as_json:
        typer.echo(json.dumps({"applied": report.applied, "already": report.already, "timescaledb": edition}))
        return
    done = ", ".join(report.applied) if report.applied else "nothing to do"
    typer.echo(f"Migrations applied: {done} ({report.already} were there). TimescaleDB: {edition}.")


@app.command()
def env() -> None:
    """Print the variables Dagster's own commands need, for `eval "$(prodlytics env)"`."""
    import shlex

    from prodlytics.db.url import database_url
    from prodlytics.ops.instance import dagster_environment
    from prodlytics.settings import Settings

    settings = Settings()
    database_url(settings)
    for name, value in dagster_environment(settings).items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command()
def up(
    port: Annotated[int, typer.Option(help="Port of the web page, on this machine only.")] = 3000,
) -> None:
    """Open the Dagster UI with its daemon, and the embedded database if that is the one in use."""
    from prodlytics.db.connect import connect
    from prodlytics.db.embedded import is_free
    from prodlytics.db.plant_settings import refuse_moved_installation
    from prodlytics.db.url import database_url
    from prodlytics.ops.instance import dagster_environment, project_file
    from prodlytics.plant.load import load_plant
    from prodlytics.settings import Settings

    settings = Settings()
    plant = load_plant(settings.plant, os.environ)
    if not is_free(port):
        stop(ASKED_WRONGLY, f"Port {port} is in use, perhaps by this very command: write --port with another one.")
    with connect(database_url(settings)) as conn:
        refuse_moved_installation(conn, plant)
    os.environ.update(dagster_environment(settings))
    os.environ["PRODLYTICS_PLANT"] = str(settings.plant.resolve())
    typer.echo(f"Dagster UI: http://127.0.0.1:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)]
    os.chdir(project_file("workspace.yaml").parent)
    os.execv(sys.executable, [*command, "-w", str(project_file("workspace.yaml"))])


@app.command()
def down() -> None:
    """Stop the embedded database."""
    from prodlytics.db.embedded import stop
    from prodlytics.settings import Settings

    stop(Settings().home)
    typer.echo("The embedded database is stopped.")


@app.command()
def report(day: Annotated[str, typer.Argument(help="Production day, YYYY-MM-DD.")]) -> None:
    """Write the daily report of a production day to a file, as it is in the database now."""
    from prodlytics.db.connect import connect
    from prodlytics.db.queries import sql
    from prodlytics.db.url import database_url
    from prodlytics.settings import Settings

    settings, date = Settings(), _day(day)
    with connect(database_url(settings)) as conn:
        found = conn.execute(sql("select_report"), {"production_date": date}).fetchone()
    if found is None:
        stop(FAILED, f"There is no report of {date}: close the day first, with prodlytics backfill {date}.")
    file = settings.home / "reports" / f"{date}.html"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(found[2], encoding="utf-8")
    typer.echo(str(file))


@app.command()
def explain(
    machine: Annotated[str, typer.Argument(help="Machine, e.g. Press01.")],
    hour: Annotated[str, typer.Argument(help="Hour in plant-local time, e.g. 2026-11-20T10; with --csv also a day.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="For a spreadsheet: the whole production day.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show everything that made the OEE of a machine's hour; exit code 1 if the stored row is not what that gives."""
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.ops.explain import explain_from
    from prodlytics.plant.load import load_plant
    from prodlytics.report.explain_csv import day_as_csv
    from prodlytics.report.explain_text import as_text, terminal_width
    from prodlytics.settings import Settings

    if as_csv and as_json:
        stop(ASKED_WRONGLY, "--csv and --json cannot be had at once: leave one of them out.")
    settings = Settings()
    plant = load_plant(settings.plant)
    with connect(database_url(settings)) as conn:
        explained = explain_from(conn, plant, machine, hour, whole_day=as_csv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file for a program is UTF-8 whatever the terminal speaks; on a screen a letter may be lost, not the page.
        sys.stdout.reconfigure(encoding="utf-8" if as_csv else None, errors="replace")
    if as_csv:
        sys.stdout.write(day_as_csv(explained))
    elif as_json:
        typer.echo(json.dumps(explained[0].as_dict()))
    else:
        sys.stdout.write(as_text(explained[0], width=terminal_width(sys.stdout), colours=sys.stdout.isatty()))
    wrong = [one for one in explained if one.verdict]
    if wrong and (as_csv or as_json):
        sys.stderr.write(f"{wrong[0].machine_id}, hour of {wrong[0].starts_at.isoformat()}: {wrong[0].verdict}\n")
    if wrong:
        raise typer.Exit(FAILED)


@app.command(name="what-if")
def what_if(
    asked: Annotated[
        str, typer.Argument(metavar="REASON_OR_LOSS", help="E.g. micro_stop, MECH_BRG, or a scrap reason.")
    ],
    less: Annotated[float, typer.Option(min=0, max=100, help="How much less of it, in percent.")] = 33.0,
    machine: Annotated[str | None, typer.Option(help="Only this machine.")] = None,
    line: Annotated[str | None, typer.Option(help="Only this line.")] = None,
    weeks: Annotated[int, typer.Option(min=1, max=520, help="Whole weeks to look back.")] = 8,
    as_json: JsonOption = False,
) -> None:
    """Say what less of a loss would bring in OEE and money per week, and how sure that is."""
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.ops.what_if import ask
    from prodlytics.plant.load import load_plant
    from prodlytics.report.what_if_text import as_dict, as_text
    from prodlytics.settings import Settings

    settings = Settings()
    plant = load_plant(settings.plant)
    with connect(database_url(settings)) as conn:
        question, answer = ask(conn, plant, asked, less / 100, machine=machine, line=line, weeks=weeks)
    told = (plant, question.asked, question.scope, less / 100, answer)
    typer.echo(json.dumps(as_dict(*told)) if as_json else as_text(*told).rstrip())


@app.command()
def models(
    action: Annotated[str, typer.Argument(help="list, promote, pin, unpin or train.")] = "list",
    model: Annotated[str | None, typer.Argument(help="E.g. downtime_causes.")] = None,
    version: Annotated[int | None, typer.Argument(help="For promote and pin; an earlier one is the way back.")] = None,
    why: Annotated[str | None, typer.Option(help="Why, for the record; needed to change what is in use.")] = None,
    by: Annotated[str | None, typer.Option(help="Who you are; without it your login.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show trained models with their scores, put one in use, fix it, or train now."""
    from prodlytics.ops.models import act
    from prodlytics.settings import Settings

    if action == "train":
        from prodlytics.backfill import train_now

        train_now(Settings())
    told = act(Settings(), action, model, version, why, by)
    typer.echo(json.dumps(told.rows, default=str) if as_json else told.text)


@app.command()
def bridge() -> None:
    """Store what the MQTT broker sends; runs until it is told to stop."""
    from prodlytics.edge.service import run_bridge
    from prodlytics.settings import Settings

    run_bridge(Settings())


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Look whether everything that is set up can be used, and say what to do; changes nothing. Exit code 1 if not."""
    from prodlytics.ops.doctor import as_dict, as_text, examine
    from prodlytics.settings import Settings

    found = examine(Settings(), os.environ)
    typer.echo(json.dumps(as_dict(found)) if as_json else as_text(found))
    if not found.well:
        raise typer.Exit(FAILED)


@app.command()
def simulate(
    mqtt: Annotated[bool, typer.Option("--mqtt", help="Publish to the broker of PRODLYTICS_MQTT_URL.")] = False,
    form: Annotated[
        str,
        typer.Option("--format", help="kepserverex (100 samples a message), kepserverex-single, plain or sparkplug."),
    ] = "kepserverex",
    speed: Annotated[float, typer.Option(min=0.01, max=1000, help="How many times real time.")] = 1.0,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Samples of sensors per second, in all.")] = None,
    seconds: Annotated[float | None, typer.Option("--for", min=0.1, help="Seconds; without it until Ctrl-C.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="drop-connection, duplicate, late, bad-json or unknown-machine, e.g. late=0.05 of messages; "
            "counter-reset or counter-step-back, of a counter's readings; counter-rollover."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Chance; without it the plant's own.")] = None,
    story: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%dT%H:%M"], help="Moment of the plan to begin at, local; without it the present."),
    ] = None,
) -> None:
    """Let the plant work now: publish its samples as they arise, and keep the truth to compare with."""
    if not mqtt:
        stop(ASKED_WRONGLY, "Write --mqtt to publish live; weeks of files come from prodlytics demo.")
    from prodlytics.settings import Settings
    from prodlytics.simulator.command import run_simulation

    done = run_simulation(
        Settings(), form=form, speed=speed, rate=rate, seconds=seconds, faults=fault or [], seed=seed, story=story
    )
    typer.echo(done)


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=2, max=120, help="Production days to simulate.")] = 45,
    as_json: JsonOption = False,
) -> None:
    """Simulate the demo plant, compute everything as Dagster runs, and say what came out."""
    from prodlytics.demo import run_demo
    from prodlytics.settings import Settings

    summary = run_demo(Settings(), days)
    if as_json:
        typer.echo(json.dumps(summary, default=str))


@app.command()
def backfill(
    first: Annotated[str, typer.Argument(help="First production day, YYYY-MM-DD.")],
    last: Annotated[str | None, typer.Argument(help="Last production day; without it the first.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Load what has landed and compute production days, closed ones with report and archive, as Dagster runs."""
    from prodlytics.backfill import run_backfill
    from prodlytics.settings import Settings

    days = [_day(first), _day(last or first)]
    if days[1] < days[0]:
        stop(ASKED_WRONGLY, f"The last day {days[1]} is before the first day {days[0]}.")
    outcome = run_backfill(Settings(), days[0], days[1])
    if as_json:
        typer.echo(json.dumps(outcome.as_dict()))
    else:
        typer.echo(outcome.as_text())
    if not outcome.succeeded:
        raise typer.Exit(FAILED)


@app.command(name="import-history")
def import_history(
    file: Annotated[Path, typer.Argument(help="Excel workbook (.xlsx) or CSV file.")],
    what: Annotated[
        str | None,
        typer.Option(help="stops, production, shift_totals, scrap, work_orders or part_costs; without it as it looks."),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Name of the sheet; without it the one that looks like it.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="A mapping (YAML) instead of what the file looks like.")] = None,
    save_mapping: Annotated[Path | None, typer.Option(help="Write the mapping here, for the next file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen and keep nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is right.")] = False,
    rejected: Annotated[Path | None, typer.Option(help="Write rejected rows with their reasons here (CSV).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Import stops, bookings, totals of shifts, scrap, orders or costs from a spreadsheet."""
    from prodlytics.ops.import_history import Asked, run

    asked = Asked(file, what, sheet, mapping, save_mapping, rejected, dry_run=dry_run, yes=yes, quiet=as_json)
    told = run(asked, sys.stdin.isatty(), typer.prompt, typer.echo)
    if as_json:
        typer.echo(json.dumps(told))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        stop(ASKED_WRONGLY, f"{text!r} is not a day: write YYYY-MM-DD, e.g. 2026-11-20.")


def main() -> None:
    """Run the command; errors meant for people come out as their one sentence."""
    try:
        app()
    except Exception as error:
        code = _exit_code(error)
        if code is None:
            raise
        stop(code, str(error))


def _exit_code(error: Exception) -> int | None:
    """The exit code of an error that is meant for people; None for a defect, which keeps its traceback."""
    from pydantic import ValidationError

    from prodlytics.db.connect import DatabaseUnavailable
    from prodlytics.db.migrate import MigrationError
    from prodlytics.db.model_registry import NoSuchModelError
    from prodlytics.ops.explain import NoSuchHourError, NothingToExplainError
    from prodlytics.ops.instance import NotConfiguredError
    from prodlytics.ops.what_if import NoSuchQuestionError, NothingToAskError
    from prodlytics.partitions import NoSuchDayError
    from prodlytics.plant.changed import InstallationChangedError
    from prodlytics.plant.load import PlantFileError

    if "prodlytics.ops.import_history" in sys.modules:
        from prodlytics.ops.import_history import exit_code as imports

        code = imports(error)
        if code is not None:
            return code
    if "prodlytics.archive.errors" in sys.modules or "prodlytics.db.hot" in sys.modules:
        from prodlytics.cli_archive import exit_code as archives

        code = archives(error)
        if code is not None:
            return code
    wrong_question = NotConfiguredError | NoSuchDayError | NoSuchHourError | NoSuchQuestionError | NoSuchModelError
    if isinstance(error, PlantFileError | ValidationError | InstallationChangedError | wrong_question):
        return ASKED_WRONGLY
    if isinstance(error, DatabaseUnavailable | MigrationError | NothingToExplainError | NothingToAskError):
        return FAILED
    if "prodlytics.simulator.command" in sys.modules:
        from prodlytics.simulator.command import exit_code as simulations

        code = simulations(error)
        if code is not None:
            return code
    # The edge's libraries are loaded only where a bridge runs.
    if "prodlytics.edge.service" in sys.modules:
        from prodlytics.edge.service import exit_code

        return exit_code(error)
    return None


if __name__ == "__main__":
    main()
