"""The verbs of the `prodlytics` command that are about keeping data safe.

Belongs here: options, progress and exit codes, as in `cli.py`. Does not belong here: the work.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Annotated

import typer

from prodlytics.cli_shared import ASKED_WRONGLY, FAILED, JsonOption, stop

archive_app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
FirstDay = Annotated[str, typer.Argument(metavar="FROM", help="First production day, YYYY-MM-DD.")]
LastDay = Annotated[str, typer.Argument(metavar="TO", help="Last production day, YYYY-MM-DD.")]


@archive_app.command()
def retention(as_json: JsonOption = False) -> None:
    """Show what would leave the hot tables now, and why something may not; changes nothing."""
    from prodlytics.archive.retention import retain, retained
    from prodlytics.archive.store import ArchiveStore
    from prodlytics.db import hot
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.plant.load import load_plant
    from prodlytics.settings import Settings

    settings = Settings()
    plant, now = load_plant(settings.plant), dt.datetime.now(dt.UTC)
    store = ArchiveStore(settings.archive_place)
    with connect(database_url(settings)) as conn:
        verdicts = [one for dataset in retained() for one in retain(conn, store, plant, dataset, now, drop=False)]
        waiting = hot.waiting(conn)
    if as_json:
        told = {"units": [vars(one) for one in verdicts], "needs_restore": waiting}
        typer.echo(json.dumps(told, default=str))
        return
    for one in verdicts:
        span = f"{one.start:%Y-%m-%dT%H:%MZ} to {one.end:%Y-%m-%dT%H:%MZ}"
        typer.echo(f"{one.action:5} {one.dataset} {span}: {one.rows} rows{f'; {one.why}' if one.why else ''}")
    going = sum(one.rows for one in verdicts if one.action == "goes")
    typer.echo(f"{going} rows would go. The asset `retention` lets them go, every night.")
    for mark in waiting:
        typer.echo(f"Waits for a restore: {mark['marks']} marks of {mark['dataset']} from {mark['first']:%Y-%m-%d} on.")


@archive_app.command()
def restore(
    dataset: Annotated[str, typer.Argument(help="Dataset, e.g. machine_telemetry.")],
    first: FirstDay,
    last: LastDay,
    keep_days: Annotated[int, typer.Option(min=1, max=3650, help="How long retention leaves them.")] = 14,
    as_json: JsonOption = False,
) -> None:
    """Bring archived days back into the hot tables, beside what is there; run it again to go on."""
    from prodlytics.archive.restore import RestoredDay, restore_days
    from prodlytics.archive.store import ArchiveStore
    from prodlytics.archive.write import Day
    from prodlytics.datasets.registry import DATASETS
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.plant.calendar import production_day
    from prodlytics.plant.load import load_plant
    from prodlytics.settings import Settings

    known = {name for name, one in DATASETS.items() if one.archived}
    if dataset not in known:
        stop(ASKED_WRONGLY, f"{dataset!r} is not archived: write one of {', '.join(sorted(known))}.")
    dates = _days(first, last)
    settings = Settings()
    plant = load_plant(settings.plant)
    store = ArchiveStore(settings.archive_place)

    def say(done: RestoredDay) -> None:
        at = (done.production_date - dates[0]).days + 1
        said = done.action.replace("_", " ")
        sys.stderr.write(f"{done.production_date} ({at} of {len(dates)}): {said}, {done.added} of {done.rows} rows\n")

    with connect(database_url(settings)) as conn:
        days = [Day(date, *production_day(plant, date)) for date in dates]
        done = restore_days(conn, store, DATASETS[dataset], days, keep=dt.timedelta(days=keep_days), say=say)
    if as_json:
        typer.echo(json.dumps([vars(one) for one in done], default=str))
    else:
        typer.echo(f"{sum(one.added for one in done)} rows added, {sum(one.rows for one in done)} in the files.")
    waiting = [one.production_date for one in done if one.action == "waiting"]
    if waiting:
        stop(
            FAILED,
            f"{len(waiting)} days from {waiting[0]} on are being woken from the archive tier, which takes up to 15 "
            "hours: run the same command again then.",
        )


@archive_app.command()
def replay(
    first: FirstDay,
    last: LastDay,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the scratch schema for a look.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Compute archived days again in a scratch schema and compare; exit code 1 if a reported row differs."""
    from prodlytics.db.url import database_url
    from prodlytics.plant.load import load_plant
    from prodlytics.replay import replay as run
    from prodlytics.settings import Settings

    dates = _days(first, last)
    settings = Settings()
    plant = load_plant(settings.plant)

    def say(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    done = run(database_url(settings), plant, settings.archive_place, dates[0], dates[-1], keep=keep, say=say)
    typer.echo(json.dumps(done.as_dict()) if as_json else done.as_text())
    if not done.is_same:
        raise typer.Exit(FAILED)


@archive_app.command()
def backup(
    proof: Annotated[bool, typer.Option(help="Restore it into a scratch database and count.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Back up everything the archive does not hold, to the archive's place."""
    from prodlytics.archive.backup import make_backup, prove, record
    from prodlytics.archive.store import ArchiveStore
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.plant.load import load_plant
    from prodlytics.settings import Settings

    settings = Settings()
    plant, url = load_plant(settings.plant), database_url(settings)
    store = ArchiveStore(settings.archive_place)
    made = make_backup(url, store, plant, dt.datetime.now(dt.UTC))
    restored = prove(store, made.name, url) if proof else None
    differing = restored.differing if restored else {}
    with connect(url) as conn:
        record(conn, made, restored, "; ".join(differing) or (None if proof else "not tried"))
    if as_json:
        typer.echo(json.dumps({**vars(made), "restored": vars(restored) if restored else None}))
    else:
        rows = sum(made.rows.values())
        typer.echo(f"{made.name}: {rows} rows of {len(made.rows)} tables and {made.samples} samples that are not "
                   f"archived, {made.size_bytes / 1e6:.1f} MB, {made.took_s:.1f} s.")  # fmt: skip
        if restored:
            typer.echo(f"Restored into a scratch database in {restored.took_s:.1f} s.")
    if differing:
        stop(FAILED, f"Not every row came back: {', '.join(differing)}.")


@archive_app.command(name="restore-backup")
def restore_backup(
    name: Annotated[str, typer.Argument(help="Name of the backup, or latest.")],
    into: Annotated[str, typer.Argument(metavar="URL", help="An empty database: postgresql://user@host/database.")],
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into an empty database and count what came back (password: PGPASSWORD or in the URL)."""
    from prodlytics.archive import backup as backups
    from prodlytics.archive.store import ArchiveStore
    from prodlytics.settings import Settings

    store = ArchiveStore(Settings().archive_place)
    known = backups.backups(store)
    wanted = known[-1] if name == "latest" and known else name
    done = backups.restore_backup(store, wanted, into)
    if as_json:
        typer.echo(json.dumps(vars(done)))
    else:
        typer.echo(f"{done.name}: {done.rows} rows of {done.tables} tables and {done.samples} samples restored in "
                   f"{done.took_s:.1f} s. Archived samples come back with prodlytics restore.")  # fmt: skip
    if done.differing:
        stop(FAILED, f"Not every row came back: {', '.join(done.differing)}.")


def exit_code(error: Exception) -> int | None:
    """The exit code of an error of these verbs that is meant for people; None for any other."""
    from prodlytics.archive.errors import ArchiveError
    from prodlytics.db.hot import NeedsRestoreError

    known: tuple[type[Exception], ...] = (ArchiveError, NeedsRestoreError)
    if "prodlytics.replay" in sys.modules:
        from prodlytics.replay import NothingToReplayError

        known = (*known, NothingToReplayError)
    return FAILED if isinstance(error, known) else None


def _days(first: str, last: str) -> list[dt.date]:
    begin, end = _day(first), _day(last)
    if end < begin:
        stop(ASKED_WRONGLY, f"The last day {end} is before the first day {begin}.")
    return [begin + dt.timedelta(days=n) for n in range((end - begin).days + 1)]


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        stop(ASKED_WRONGLY, f"{text!r} is not a day: write YYYY-MM-DD, e.g. 2026-11-20.")
