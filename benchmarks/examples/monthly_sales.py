"""Monthly sales of beer, wine and spirits: the last 24 months against the methods of textbooks.

Run ``python benchmarks/examples/monthly_sales.py --out .``. The pipeline forecasts by which factor
a month will differ from the same month a year before, from the factors of the months before and
from the calendar: how many working days the month has. `GridSearchCV` chooses steps, units and
learning rate on the training months alone. The others are the seasonal naive forecast and
Holt-Winters exponential smoothing, chosen by its AICc and fitted anew each month.
"""

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import Pipeline
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from sklearn_jobtime import AnchoredRegressor, LSTMForecaster, SequenceWindower, TimestampToNumeric
from sklearn_jobtime.baselines import SeasonalRule
from sklearn_jobtime.datasets import load_alcohol_sales
from sklearn_jobtime.lstm import NetworkOptions
from sklearn_jobtime.metrics import get_forecast_scorer, observed_mape
from sklearn_jobtime.plots import PredictionDisplay
from sklearn_jobtime.runs import make_targets, validate_runs

N_TEST = 24
GRID = {
    "regressor__windows__n_steps": [6, 12, 24],
    "regressor__lstm__hidden_size": [8, 16],
    "regressor__lstm__lr": [0.003, 0.01],
}

OPTIONS = NetworkOptions(skip_connection=True)  # the output sees what is known of the run


def monthly_runs(sales: pd.Series) -> pd.DataFrame:
    """Run table of monthly sales: a month starts, and its sales are known when it has ended."""
    start = sales.index
    end = start + pd.offsets.MonthBegin()
    days = [index.to_numpy().astype("datetime64[D]") for index in (start, end)]
    working_days = pd.Series(np.busday_count(*days), dtype="float64", index=start)
    runs = pd.DataFrame(
        {
            "started_at": start,
            "ended_at": end,
            "sales": sales,
            "growth": np.log(sales / sales.shift(12)),  # an outcome: the pipeline lags it
            "more_working_days": np.log(working_days / working_days.shift(12)),  # known ahead
        }
    )
    return validate_runs(runs.reset_index(drop=True), jobs=["sales"])


def make_model(known: Sequence[str], seed: int) -> AnchoredRegressor:
    """Pipeline on top of the seasonal naive forecast: it learns the log of the year's growth."""
    unused = ["sales", *({"more_working_days"} - set(known))]
    rest = ColumnTransformer(
        [("unused", "drop", unused)], remainder="passthrough", verbose_feature_names_out=False
    )
    pipeline = Pipeline(
        [
            ("inputs", rest.set_output(transform="pandas")),
            ("timestamps", TimestampToNumeric()),
            ("windows", SequenceWindower(known=list(known) or None)),
            ("lstm", LSTMForecaster(network_options=OPTIONS, device="cpu", random_state=seed)),
        ]
    )
    # The network is followed in full: the seasonal naive forecast is no rule to stay near.
    return AnchoredRegressor(pipeline, SeasonalRule("month", n_runs=1), prior_sample_size=0)


def months_ahead(model: AnchoredRegressor, sales: pd.Series, n: int) -> np.ndarray:
    """Forecast `n` months from one origin: each forecast is the past of the next one."""
    for _ in range(n):
        coming = pd.Series([np.nan], index=[sales.index[-1] + pd.offsets.MonthBegin()])
        so_far = pd.concat([sales, coming])
        so_far.iloc[-1] = model.predict(monthly_runs(so_far))[-1]
        sales = so_far
    return sales.to_numpy()[-n:]


def smoothed(train: pd.Series, n: int, **kind: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ExponentialSmoothing(train, seasonal_periods=12, **kind).fit().forecast(n).to_numpy()


def best_smoothing(train: pd.Series) -> dict[str, object]:
    """Kind of Holt-Winters smoothing with the least AICc on the training months."""
    kinds = [
        {"trend": "add", "damped_trend": damped, "seasonal": seasonal}
        for damped in (False, True)
        for seasonal in ("add", "mul")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return min(
            kinds, key=lambda k: ExponentialSmoothing(train, seasonal_periods=12, **k).fit().aicc
        )


def main(argv: Sequence[str] | None = None) -> dict[str, dict[str, float]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--until", default="2022-07", help="last month; tutorials end in 2019-01")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the picture")
    asked = parser.parse_args(argv)

    sales = load_alcohol_sales()["sales_musd"][: asked.until]
    train, test = sales[:-N_TEST], sales[-N_TEST:]
    runs, n = monthly_runs(sales), len(train)
    y = make_targets(runs, jobs=["sales"], whole_run=False)

    search = GridSearchCV(
        make_model(["more_working_days"], asked.seed),
        GRID,
        cv=TimeSeriesSplit(3, test_size=N_TEST),
        scoring=get_forecast_scorer("neg_observed_mape"),
    ).fit(runs[:n], y[:n])
    model = search.best_estimator_
    best = {name.rsplit("__", 1)[-1]: value for name, value in search.best_params_.items()}
    plain = clone(make_model([], asked.seed)).set_params(**search.best_params_)
    plain.fit(runs[:n], y[:n])
    kind = best_smoothing(train)

    fitted = model.predict(runs).ravel()
    one_ahead = {
        "seasonal naive": sales.shift(12).to_numpy()[n:],
        "exponential smoothing": np.concatenate(
            [smoothed(sales[: n + k], 1, **kind) for k in range(N_TEST)]
        ),
        "LSTM pipeline": fitted[n:],
        "LSTM pipeline, no working days": plain.predict(runs).ravel()[n:],
    }
    all_ahead = {
        "seasonal naive": np.tile(train[-12:], 2),
        "exponential smoothing": smoothed(train, N_TEST, **kind),
        "LSTM pipeline": months_ahead(model, train, N_TEST),
        "LSTM pipeline, no working days": months_ahead(plain, train, N_TEST),
    }
    errors = {
        name: {
            "1 month ahead": 100 * observed_mape(test, one_ahead[name]),
            f"{N_TEST} months ahead": 100 * observed_mape(test, all_ahead[name]),
        }
        for name in one_ahead
    }
    print(f"Test: {test.index[0]:%Y-%m} to {test.index[-1]:%Y-%m}, mean absolute error in per cent")
    print(pd.DataFrame(errors).T.round(2).to_string())
    print(f"chosen on the training months: {best}; smoothing: {kind}")
    if asked.out:
        shown = slice(-120, None)
        display = PredictionDisplay.from_predictions(
            sales.rename("US sales of beer, wine and spirits, forecast one month ahead")[shown],
            fitted[shown],
            is_test=np.arange(len(sales))[shown] >= n,
            unit="million US dollars",
        )
        asked.out.mkdir(parents=True, exist_ok=True)
        display.figure_.savefig(asked.out / "monthly_sales.png")
    return errors


if __name__ == "__main__":
    main()
