"""The verbs of the `prodlytics` command that are about alerts.

Belongs here: options, output and exit codes, as in `cli.py`. Does not belong here: the work.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from prodlytics.cli_shared import ASKED_WRONGLY, FAILED, JsonOption, stop

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant

alerts_app = typer.Typer(no_args_is_help=True, add_completion=False, help="What is wrong, and who was told.")
watchdog_app = typer.Typer(add_completion=False)
By = Annotated[str, typer.Option(help="Who you are.")]

WATCH_EVERY_S = 30.0


@alerts_app.command("list")
def list_alerts(
    everything: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show the alerts, newest first."""
    from psycopg.rows import dict_row

    from prodlytics.db.connect import connect
    from prodlytics.db.queries import sql
    from prodlytics.db.url import database_url
    from prodlytics.settings import Settings

    settings = Settings()
    with connect(database_url(settings)) as conn, conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql("select_alerts"), {"all": everything, "most": most}).fetchall()
    if as_json:
        typer.echo(json.dumps({"alerts": rows}, default=str))
        return
    plant = _plant()
    for row in rows:
        since = f"{row['since'].astimezone(plant.zone):%Y-%m-%d %H:%M}"
        typer.echo(f"{row['alert_id']:>6} {row['state']:12} {row['severity']:8} since {since}  {row['message']}")
    typer.echo(f"{len(rows)} alerts." if rows else "No alert is open.")


@alerts_app.command()
def ack(
    alert_id: Annotated[int, typer.Argument(help="Number of the alert.")],
    by: By,
    note: Annotated[str, typer.Option(help="What you do about it.")] = "",
) -> None:
    """Say that you look after an alert: it is not escalated any further."""
    from prodlytics.alerts.store import acknowledge
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.settings import Settings

    with connect(database_url(Settings()), autocommit=True) as conn:
        if not acknowledge(conn, alert_id, by, note, dt.datetime.now(dt.UTC)):
            stop(ASKED_WRONGLY, f"There is no open alert {alert_id}: prodlytics alerts list shows them.")
    typer.echo(f"Alert {alert_id} is acknowledged by {by}.")


@alerts_app.command()
def silence(
    why: Annotated[str, typer.Argument(help="Why nobody has to be told.")],
    by: By,
    minutes: Annotated[float, typer.Option("--for", min=1, max=60 * 24 * 14, help="For how many minutes.")] = 60,
    rule: Annotated[str | None, typer.Option(help="Only this rule.")] = None,
    machine: Annotated[str | None, typer.Option(help="Only this machine.")] = None,
) -> None:
    """Tell nobody for a while, during works for instance; alerts are recorded all the same."""
    from prodlytics.alerts.catalogue import RULES
    from prodlytics.alerts.store import Silence
    from prodlytics.alerts.store import silence as keep
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.settings import Settings

    plant = _plant()
    if rule is not None and rule not in RULES:
        stop(ASKED_WRONGLY, f"There is no rule {rule!r}: write one of {', '.join(RULES)}.")
    if machine is not None and machine not in {one.id for one in plant.machines}:
        stop(ASKED_WRONGLY, f"There is no machine {machine!r}.")
    until = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=minutes)
    with connect(database_url(Settings()), autocommit=True) as conn:
        keep(conn, Silence(rule, machine, until, why, by))
    typer.echo(f"Nobody is told of {rule or 'any rule'} of {machine or 'any machine'} until "
               f"{until.astimezone(plant.zone):%Y-%m-%d %H:%M}.")  # fmt: skip


@alerts_app.command("test")
def try_out(channel: Annotated[str | None, typer.Argument(help="Only this channel.")] = None) -> None:
    """Send a test message through each channel, to everybody who has it."""
    from prodlytics.alerts.trial import try_channels

    plant = _plant()
    if not plant.alerts.channels:
        stop(ASKED_WRONGLY, "The plant file names no channel under alerts: nobody can be told.")
    if channel is not None and channel not in plant.alerts.names:
        stop(ASKED_WRONGLY, f"There is no channel {channel!r}: {', '.join(sorted(plant.alerts.names))}.")
    failed = 0
    for tried in try_channels(plant, os.environ, dt.datetime.now(dt.UTC), channel):
        typer.echo(f"{tried.channel} to {tried.address}: {tried.problem or 'accepted'}")
        failed += tried.problem is not None
    if failed:
        stop(FAILED, f"{failed} messages were not accepted.")


@watchdog_app.command()
def watchdog(
    once: Annotated[bool, typer.Option("--once", help="Look once, for cron; else every 30 seconds for ever.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look from outside whether Dagster, database, broker, bridge and server are well, and tell whoever has to know."""
    from prodlytics.ops.watchdog import Watchdog
    from prodlytics.settings import Settings

    watching = Watchdog(Settings(), _plant(with_secrets=True), os.environ)
    while True:
        began = time.monotonic()
        looked = watching.look(dt.datetime.now(dt.UTC))
        if as_json:
            typer.echo(json.dumps(looked.as_dict()))
        else:
            typer.echo(looked.says())
        if once:
            raise typer.Exit(FAILED if looked.bad else 0)
        sys.stdout.flush()
        time.sleep(max(0.0, WATCH_EVERY_S - (time.monotonic() - began)))


def _plant(*, with_secrets: bool = False) -> Plant:
    from prodlytics.plant.load import load_plant
    from prodlytics.settings import Settings

    return load_plant(Settings().plant, os.environ if with_secrets else None)
