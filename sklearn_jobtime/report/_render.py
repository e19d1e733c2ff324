"""Facts of a report into its templates."""

import base64
import gzip
import json
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from sklearn_jobtime._version import __version__
from sklearn_jobtime._wording import human_chance, human_seconds, human_share, human_span
from sklearn_jobtime.report._calendar import WEEKDAYS
from sklearn_jobtime.report._charts import calendar_bars, gantt, history_chart, hour_bars, sparkline
from sklearn_jobtime.report._embedded import embedded
from sklearn_jobtime.report._series import MANY
from sklearn_jobtime.report._states import STATES
from sklearn_jobtime.report._words import Words, known

__all__ = ["render"]


SHOWN_JOBS = 40
SHOWN_JOBS_OF_MANY = 6
A_DAY = 86400.0


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("sklearn_jobtime.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        known=known,
        sparkline=sparkline,
        history_chart=history_chart,
        gantt=gantt,
        calendar_bars=calendar_bars,
        hour_bars=hour_bars,
        STATES=STATES,
        WEEKDAYS=WEEKDAYS,
        version=__version__,
    )
    made.filters.update(
        seconds=human_seconds, share=human_share, chance=human_chance, age=_age, span=_span
    )
    return made


def _span(one: dict[str, Any]) -> str:
    upper = one["upper"] if known(one["upper"]) else float("inf")
    return human_span(one["lower"] if known(one["lower"]) else 0.0, upper)


def _age(seconds: float | None) -> str:
    """Write an age in one unit: nobody needs the minutes of days."""
    if seconds is None:
        return "not known"
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min"
    return f"{seconds // 3600:.0f} h" if seconds < 2 * A_DAY else f"{seconds // A_DAY:,.0f} d"


def render(facts: dict[str, Any]) -> tuple[str, dict[str, Any], str]:
    """Make the page.

    Parameters
    ----------
    facts : dict
        Of :func:`~sklearn_jobtime.report._facts.gather`.

    Returns
    -------
    html : str
    data : dict
        What is embedded in it.
    sentence : str
    """
    words, data = Words(facts["timezone"], facts), embedded(facts)
    many = len(facts["series"]) > MANY
    counts = {state: sum(state in one["states"] for one in facts["series"]) for state in STATES}
    sentence = _summary(facts, counts)
    shown = {"facts": facts, "words": words}
    view = _environment().get_template("series.html.j2")
    n_jobs = SHOWN_JOBS_OF_MANY if many else SHOWN_JOBS
    views = [
        view.render(one=one, id=place, shown_jobs=n_jobs, **shown)
        for place, one in enumerate(facts["series"])
    ]
    page = _environment().get_template("page.html.j2")
    html = page.render(
        counts=counts,
        summary=sentence,
        views=_packed(views),
        data=_in_script(json.dumps(data, allow_nan=False, separators=(",", ":"))),
        **shown,
    )
    return html, data, sentence


def _packed(views: list[str]) -> str:
    """Pack the views of the series: they are alike, and take a tenth of their size so."""
    text = json.dumps(views, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()


def _in_script(text: str) -> Markup:
    """Write JSON so that nothing in it can end the script element that holds it."""
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return Markup(text)


def _summary(facts: dict[str, Any], counts: dict[str, int]) -> str:
    n = len(facts["series"])
    parts = [f"{count} {STATES[state]}" for state, count in counts.items() if count]
    calm = sum(not one["states"] for one in facts["series"])
    parts += [f"{calm} without a remark"] if calm else []
    return f"{n:,} series, {facts['runs']:,} runs: {', '.join(parts)}."
