"""The report of one production day, for a phone and one minute.

Belongs here: the order of the page, its sentences, HTML and plain text from the same figures. Does not belong here:
reading tables, sending mail.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from prodlytics.plant.calendar import production_day
from prodlytics.plant.model import Plant
from prodlytics.report import charts, sentences, words
from prodlytics.report.data import DailyData, Report
from prodlytics.report.figures import Figures, figures_of

#: Beyond these, restatements and reasons of scrap are added up, not listed: the page is for one minute.
RESTATED_SHOWN = 8
SCRAP_SHOWN = 6
_TEMPLATES = Path(__file__).parent / "templates"


def build(data: DailyData) -> Report:
    """Make the report of one production day.

    The same data gives the same bytes. Everything people typed is escaped; a figure that is missing says why.

    Raises:
        LossesDoNotBalanceError: Losses and elements of the day are not of the same age; a report would contradict
            itself.
    """
    plant, figures = data.plant, figures_of(data)
    says = {**_sayings(plant, data.production_date, figures), "lever": sentences.lever(plant, data.lever)}
    summary = _summary(plant, data.production_date, figures)
    plain_text = _render("daily.txt.j2", {**says, "fingerprint": ""})
    # Of what is said, not of how it is drawn: a new version of the drawing library is no new report.
    fingerprint = hashlib.sha256(f"{json.dumps(summary, sort_keys=True)}\n{plain_text}".encode()).hexdigest()
    start, end = production_day(plant, data.production_date)
    images = {
        "trend": _data_uri(charts.trend_chart(figures.trend)),
        "day": _data_uri(charts.day_chart(plant, data.ledger, start, end)),
    }
    html = _render("daily.html.j2", {**says, "fingerprint": fingerprint, "images": images})
    return Report(html, plain_text, summary, fingerprint)


def _sayings(plant: Plant, date: dt.date, figures: Figures) -> dict[str, Any]:
    """What both templates say, in words."""
    costs = [item.cost for item in figures.scrap if item.cost is not None]
    return {
        "plant": plant,
        "date": date,
        "figures": figures,
        "no_figure": words.no_figure,
        "headline": sentences.headline(plant, figures),
        "compared": sentences.compared(figures),
        "lost": sentences.lost(plant, figures),
        "trend_alt": sentences.trend(figures),
        "day_alt": sentences.day_chart(figures),
        "longest_loss": max((loss.minutes for loss in figures.losses), default=0.0),
        "unrated": sentences.unrated(figures),
        "nothing_lost": sentences.nothing_lost(figures),
        "no_causes": sentences.no_causes(figures),
        "unexplained": sentences.unexplained(figures),
        "machines": [line for line in figures.machines if not sentences.is_not_planned(line)],
        "not_planned": sentences.not_planned(figures),
        "suspects": sentences.suspects(plant, figures),
        "no_scrap": sentences.no_scrap(figures),
        "scrap_pieces": sum(item.pieces for item in figures.scrap),
        "scrap_cost": sum(costs) if costs else None,
        "scrap_costless": sum(item.pieces_without_cost for item in figures.scrap),
        "scrap_shown": figures.scrap[:SCRAP_SHOWN],
        "scrap_rest": sentences.scrap_rest(figures.scrap[SCRAP_SHOWN:]),
        "restated_shown": RESTATED_SHOWN,
        "data_quality": sentences.data_quality(plant, figures),
        "as_of": sentences.as_of(plant, figures),
        "convention": sentences.convention(plant),
    }


@cache
def _environment(escape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=escape, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {
        "band": words.band,
        "percent": words.percent,
        "whole_percent": words.whole_percent,
        "minutes": words.minutes,
        "count": words.count,
        "count_or_dash": words.count_or_dash,
        "long_date": words.long_date,
        "short_date": words.short_date,
        "loss_name": words.loss_name,
        "money": _of_plant(lambda plant, cost: words.money(cost, plant.currency)),
        "cost": _of_plant(lambda plant, cost, costless: words.scrap_cost(cost, costless, plant.currency)),
        "reason_name": _of_plant(words.reason_name),
        "scrap_name": _of_plant(sentences.scrap_name),
        "evidence": _of_plant(sentences.evidence),
        "changes": _of_plant(sentences.changes),
        "restated_what": sentences.restated_what,
        "as_shown": _of_plant(sentences.as_shown),
    }
    return environment


def _of_plant(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose first argument is the plant of the page: compiled templates are shared by all plants."""

    @jinja2.pass_context
    def call(context: jinja2.runtime.Context, *values: Any) -> Any:
        return function(context["plant"], *values)

    return call


def _render(template: str, context: dict[str, Any]) -> str:
    return _environment(template.endswith(".html.j2")).get_template(template).render(context)


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _summary(plant: Plant, date: dt.date, figures: Figures) -> dict[str, object]:
    """The figures for JSON: times as ISO 8601 in UTC, dates as ISO dates, missing as None."""
    return {
        "plant": plant.plant,
        "production_date": date.isoformat(),
        "currency": plant.currency,
        "band": words.band(figures.day.oee).name,
        "plant_oee": figures.day.oee,
        **{name: _plain(value) for name, value in dataclasses.asdict(figures).items()},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return value.isoformat() if isinstance(value, dt.date) else value
