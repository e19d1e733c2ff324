"""Sentences of a report, made from its numbers; times in them follow the reader's choice."""

from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from sklearn_jobtime._wording import (
    human_chance,
    human_seconds,
    human_share,
    human_span,
    human_time,
)
from sklearn_jobtime.report._calendar import WEEKDAYS
from sklearn_jobtime.report._pool import RUNNING
from sklearn_jobtime.runs._schema import WHOLE_RUN
from sklearn_jobtime.runs._timeline import later

__all__ = ["Words", "known"]


def known(value: Any) -> bool:
    """Whether a number or a moment is there and finite."""
    if value is None or value is pd.NaT:
        return False
    return not isinstance(value, float) or bool(np.isfinite(value))


class Words:
    """Sentences on one series.

    Parameters
    ----------
    timezone : str
        Whose clock shows the times until the reader asks for another.
    facts : dict
        Of :func:`~sklearn_jobtime.report._facts.gather`.
    """

    def __init__(self, timezone: str, facts: dict[str, Any]) -> None:
        self.timezone = timezone
        self.facts = facts
        self.model = "average of baselines" if facts["is_mix"] else "model"

    def when(self, moment: Any, form: str = "full") -> Markup:
        """Write a moment so that the page can show it in another zone too."""
        if not known(moment):
            return Markup("not known")
        text = human_time(moment, self.timezone)
        text = {"full": text, "clock": text[-5:], "day": text[:10]}[form]
        iso = moment.tz_convert("UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
        return Markup('<time datetime="{}" data-form="{}">{}</time>').format(iso, form, text)

    def after(self, start: pd.Timestamp, seconds: float, form: str = "clock") -> Markup:
        """Write the moment so many seconds after a start, by the clock."""
        return self.when(later(pd.Series([start]), pd.Series([seconds])).iloc[0], form)

    @property
    def zone(self) -> Markup:
        """Name of the zone in which times are shown."""
        return Markup('<span class="zone">{}</span>').format(self.timezone)

    def job(self, name: str) -> str:
        """Name of a job, or of the whole run."""
        return "whole run" if name == WHOLE_RUN else name

    def lead(self, one: dict[str, Any]) -> Markup:
        """Say when the run that goes on and the next one are done, and how surely."""
        said = self._next(one)
        if one["last"]["status"] != RUNNING:
            return said
        goes_on = Markup("A run goes on since {} {}").format(
            self.when(one["last"]["started_at"]), self.zone
        )
        landing = one["landing"]
        if landing is not None and landing["now"] is not None:
            whole = landing["rows"][-1]
            if known(whole["lands"]):
                goes_on += Markup(" and should be done at {}").format(
                    self.after(landing["started_at"], whole["lands"], "full")
                )
            if known(whole["lands"]) and known(whole["upper"]):
                goes_on += Markup(", between {} and {}").format(
                    self.after(landing["started_at"], whole["lower"]),
                    self.after(landing["started_at"], whole["upper"]),
                )
        return goes_on + Markup(". ") + said

    def _next(self, one: dict[str, Any]) -> Markup:
        if one["is_retired"]:
            return Markup("No run is expected: the last one started {} {}.").format(
                self.when(one["last"]["started_at"]), self.zone
            )
        if not self.facts["has_model"]:
            return Markup("Nothing can be forecast: no job of any run has succeeded.")
        if not known(one["seconds"]):
            return Markup("Nothing is forecast for {}.").format(self.job(one["main"]))
        if not known(one["next_start"]):
            why = " One run has no rhythm, so nothing says when the next one starts."
            return Markup("The next run takes {}{}.{}").format(
                human_seconds(one["seconds"]), self._span(one), why if one["runs"] == 1 else ""
            )
        said = Markup(
            "The run that started {}" if one["is_running"] else "The next run starts about {} and"
        ).format(self.when(one["next_start"]))
        what = "should be done" if one["main"] == WHOLE_RUN else f"should have done {one['main']}"
        said += Markup(" {} at {}{}").format(what, self.when(one["lands_at"]), self._between(one))
        said += self._chance(one)
        if one["overdue"] > 60:
            said += Markup(
                " By its usual rhythm it was due {} ago: it is late, or the data is."
            ).format(human_seconds(one["overdue"]))
        return said

    def _span(self, one: dict[str, Any]) -> str:
        if not known(one["lower"]):
            return ", with no interval"
        if not known(one["upper"]):
            return " (too few runs for an interval)"
        return f", between {human_span(one['lower'], one['upper']).replace(' to ', ' and ')}"

    def _between(self, one: dict[str, Any]) -> Markup:
        if one["lower"] is None:
            return Markup(" {} (the model has no intervals)").format(self.zone)
        if not known(one["upper_at"]):
            return Markup(" {} (too few runs to say between when)").format(self.zone)
        same_day = one["lower_at"].date() == one["upper_at"].date()
        return Markup(", between {} and {} {}").format(
            self.when(one["lower_at"], "clock" if same_day else "full"),
            self.when(one["upper_at"], "clock" if same_day else "full"),
            self.zone,
        )

    def _chance(self, one: dict[str, Any]) -> Markup:
        risk = one["risk"]
        if one["limit"] is None:
            return Markup(". No deadline was given.")
        if risk is None:
            return Markup(". Its chance to be done by {} is not known: no intervals.").format(
                one["limit"]
            )
        limit = self.when(risk["deadline_at"]) if known(risk["deadline_at"]) else one["limit"]
        chance = human_chance(risk["done_by"], risk["counted_runs"])
        guess = ", which is a guess" if risk["extrapolated"] else ""
        return Markup("; its chance to be done by {} is {}, if it succeeds{}.").format(
            limit, chance, guess
        )

    def history(self, one: dict[str, Any]) -> Markup:
        """Say what the newest runs took, and how the next compares."""
        took = [row["seconds"] for row in one["past"] if known(row["seconds"])]
        n, failed = len(one["past"]), self._failed(one)
        what = "" if one["main"] == WHOLE_RUN else f"of {one['main']} "
        if not took:
            return Markup("None of the newest {} runs {}succeeded.").format(n, what)
        median = float(np.median(took))
        said = f"The newest {n} runs {what}took {human_seconds(median)} in the median"
        if n == 1:
            said = f"The only run {what}took {human_seconds(median)}"
        low, high = np.quantile(took, [0.1, 0.9])
        if len(took) >= 10:
            said += f", 8 of 10 between {human_seconds(low)} and {human_seconds(high)}"
        if known(one["seconds"]) and median > 0:
            change = one["seconds"] / median - 1
            said += f"; the next is forecast at {human_seconds(one['seconds'])}"
            if abs(change) >= 0.02:
                said += f", {human_share(abs(change))} {'more' if change > 0 else 'less'}"
        return Markup("{}.{}").format(said, failed)

    def _failed(self, one: dict[str, Any]) -> str:
        bad = sum(row["status"] in ("failed", "timeout", "cancelled") for row in one["past"])
        return f" {bad} of them did not succeed." if bad else ""

    def plan(self, one: dict[str, Any]) -> Markup:
        """Say what the run waits for."""
        landing = one["landing"]
        if landing is None:
            return Markup(
                "Each bar starts where its job usually starts (median of the newest 20 runs) and "
                "is as long as its forecast; which job waits for which is not looked at here."
            )
        jobs = [
            row
            for row in landing["rows"][:-1]
            if known(row["critical"]) and row["state"] in ("waiting", "running")
        ]
        if not jobs:
            return Markup("No job is to be waited for: all have ended, or one did not succeed.")
        by = f"the {self.model}" if landing["by_model"] else "an average of baselines"
        often = [row for row in jobs if row["critical"] >= 0.5]
        longest = max(often or jobs, key=lambda row: row["lands"] - row["starts"])
        share = human_chance(longest["critical"])
        return Markup(
            "The longest job on the critical path is {}: the run waits for it with a chance of {}. "
            "Forecast by {} with the errors of {} whole runs."
        ).format(longest["job"], share, by, landing["nights"])

    def calendar(self, one: dict[str, Any]) -> Markup:
        """Say which weekday or hour stands out."""
        found = one["calendar"]
        if found is None:
            return Markup("Not known: no run with a start succeeded.")
        best = found["stands_out"]
        if best is None:
            return Markup(
                "No weekday and no hour differs clearly from the others (fewer than five runs of "
                "one say nothing)."
            )
        more = best["median"] - best["others"]
        what = (
            f"{WEEKDAYS[best['number']]}s take"
            if best["by"] == "weekday"
            else f"Runs that start from {best['number']:02d}:00 to {best['number']:02d}:59 take"
        )
        return Markup("{} {} {}: {} in the median of {} runs, the others {}.").format(
            what,
            human_seconds(abs(more)),
            "longer" if more > 0 else "less",
            human_seconds(best["median"]),
            best["runs"],
            human_seconds(best["others"]),
        )

    def jobs(self, one: dict[str, Any]) -> Markup:
        """Say which job takes the time, and which the lateness."""
        jobs = one["jobs"]
        if not jobs or jobs[0]["time_share"] is None:
            return Markup("Not known: no job succeeded.")
        if len(jobs) == 1:
            return Markup("There is one job, {}.").format(jobs[0]["job"])
        first = jobs[0]
        said = Markup("{} takes {} of the time of all jobs").format(
            first["job"], human_share(first["time_share"])
        )
        late = max(jobs, key=lambda job: job["late_share"] or 0.0)
        if late["late_share"]:
            said += Markup("; {} causes {} of the lateness (seconds beyond the forecast)").format(
                late["job"] if late is not first else "it", human_share(late["late_share"])
            )
        return said + Markup(".")

    def alarms(self, one: dict[str, Any]) -> Markup:
        """Say how many runs were unusual."""
        found = one["alarms"]
        if found["week"] is None:
            return Markup("Not judged: too few runs to compare with.")
        n = len(found["found"]) + found["more"]
        if not n:
            return Markup(
                "None among the newest {} runs of all series; 1 % of usual runs are expected to be "
                "called so."
            ).format(f"{self.facts['judged']:,}")
        return Markup(
            "{} of the newest runs {} unusual, {} in the newest week of the data; 1 % of usual "
            "runs are expected to be called so."
        ).format(n, "was" if n == 1 else "were", found["week"])

    def coverage(self, one: dict[str, Any]) -> Markup:
        """Say how often the intervals held, and what that says."""
        found = one["coverage"]
        if found is None:
            return Markup(
                "Not counted: the model has no intervals."
                if self.facts["coverage"] is None
                else "Not counted: too few runs that the {} had not seen."
            ).format(self.model)
        since = "since its fit" if self.facts["since_fit"] else "the newest of those held out"
        asked = human_share(found["nominal"])
        if found["is_below"]:
            says = f"That is less than the {asked} asked for: a refit is due."
        elif found["high"] < found["nominal"]:
            says = (
                f"That is less than the {asked} asked for, but runs next to each other are alike "
                f"(they tell as much as {found['n_effective']:.0f} independent ones), and the "
                "series are many: it may be chance."
            )
        elif found["low"] > found["nominal"]:
            says = f"That is more than the {asked} asked for: the intervals are wide."
        else:
            says = f"That fits the {asked} asked for."
        return Markup(
            "{} of {} runs that the {} had not seen ({}) lay in their interval; the true share is, "
            "95 % sure, from {} to {}. {}"
        ).format(
            round(found["coverage"] * found["n"]),
            found["n"],
            self.model,
            since,
            human_share(found["low"]),
            human_share(found["high"]),
            says,
        )

    def verdict(self, one: dict[str, Any]) -> Markup:
        """Say whether the model is worth having beside a baseline."""
        found = one["verdict"]
        if found is None:
            return Markup("Not compared: too few runs that the {} had not seen.").format(self.model)
        size = _size(found["ratio"])
        sure = f"95 % sure: {found['low']:.2f} to {found['high']:.2f} times"
        if not np.isfinite(found["high"]):
            sure = "too few runs to be sure"
        said = {
            "better": "Use the {model}: its error is {size} that of the baseline {baseline}",
            "worse": "Use the baseline {baseline}: the error of the {model} is {size} its own",
            "no clear difference": "No clear difference: the error of the {model} is {size} that "
            "of the baseline {baseline}, which is simpler",
            "too few runs": "Too few runs to say: the error of the {model} is {size} that of the "
            "baseline {baseline}",
        }[found["recommendation"]]
        return Markup(said + ", on {n} runs that it had not seen ({sure}).").format(
            model=self.model, size=size, baseline=found["baseline"], n=found["n"], sure=sure
        )

    def verdict_short(self, one: dict[str, Any]) -> str:
        """Say the same in two or three words."""
        found = one["verdict"]
        if found is None:
            return "not tested"
        return {
            "better": self.model,
            "worse": str(found["baseline"]),
            "no clear difference": f"{found['baseline']} as good",
            "too few runs": "too few runs",
        }[found["recommendation"]]

    def graph(self, one: dict[str, Any]) -> Markup:
        """Say which job waits for which, as far as that was looked at."""
        landing = one["landing"]
        if landing is None:
            return Markup("Which job waits for which was not looked at for this series.")
        edges = landing["graph"]
        if not edges:
            return Markup("No job was seen to wait for another.")
        return (
            Markup("In {} pairs of jobs one waits for the other, as their times show.").format(
                len(edges)
            )
            if len(edges) > 1
            else Markup("{} waits for {}, as their times show.").format(edges[0][1], edges[0][0])
        )


def _size(ratio: float) -> str:
    if not np.isfinite(ratio):
        return "larger than"
    if abs(ratio - 1) < 0.005:
        return "as large as"
    if ratio < 1:
        return f"{human_share(1 - ratio)} smaller than"
    if ratio < 2:
        return f"{human_share(ratio - 1)} larger than"
    return f"{ratio:,.1f} times"
