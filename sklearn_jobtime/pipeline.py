"""The recipe: from a run table to a forecast of the next runs of every job."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from sklearn_jobtime.compose._anchored import BASE_FORECAST_COLUMN, AnchoredRegressor
from sklearn_jobtime.compose._asked_rows import each_row_alone
from sklearn_jobtime.compose._boosted_trees import BoostedTreesRegressor
from sklearn_jobtime.compose._direct_steps import DirectMultiStepRegressor
from sklearn_jobtime.compose._forecast_mean import ForecastMean
from sklearn_jobtime.lstm.forecaster import LSTMForecaster
from sklearn_jobtime.lstm.residual import ResidualForecaster
from sklearn_jobtime.preprocessing import (
    CovariateEncoder,
    FailureImputer,
    LevelScaler,
    MinMaxScaler,
    RecentRuns,
    SeriesEncoder,
    TimestampToNumeric,
)
from sklearn_jobtime.preprocessing._windows import SequenceWindower

__all__ = ["make_anchored_forecaster", "make_forecast_pipeline"]


UNKNOWN = -9.0  # below all log ratios, so that trees can tell it apart


def derived_name(column: str, category: object) -> str:
    """Name of the 0/1 column of a category: known at the start when its column is."""
    return f"{column}__{category}"


def make_forecast_pipeline(
    *,
    jobs: Sequence[str] | None = None,
    known: Sequence[str] = (),
    categorical: Sequence[str] = (),
    n_steps: int = 20,
    hidden_size: int = 32,
    device: str = "cuda",
    random_state: int | None = None,
) -> Pipeline:
    """Make the pipeline that forecasts every job from a run table.

    The steps are `timestamps`, `failures`, `encode` (with `categorical`), `windows`, `scale` and
    `lstm`; every parameter of theirs is reachable with ``set_params`` and in a grid, such as
    ``windows__n_steps``, ``lstm__hidden_size`` or ``failures__strategy``. Fit it on a run table
    and the targets of :func:`~sklearn_jobtime.runs.make_targets`.

    Parameters
    ----------
    jobs : sequence of str, default=None
        The job columns. None finds them by their status columns, as
        :func:`~sklearn_jobtime.runs.job_columns` does.
    known : sequence of str, default=()
        Covariates that are known when a run starts, such as the event that caused it. A column
        that is not named here is taken as an outcome and used one run later: forgetting one
        costs accuracy, never honesty.
    categorical : sequence of str, default=()
        Columns of names to turn into 0/1 columns, at most ten for each; rarer and unseen
        categories share one. Every column of text has to be here, or to be dropped.
    n_steps : int, default=20
        How many ended runs a window holds: about three weeks of a nightly job.
    hidden_size : int, default=32
        Units of the LSTM: run histories are short.
    device : str, default="cuda"
        Where to train; without CUDA the CPU is used and a message says so.
    random_state : int, default=None
        Seed for a reproducible fit.

    Returns
    -------
    Pipeline

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.pipeline import make_forecast_pipeline
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=120, random_state=0)
    >>> model = make_forecast_pipeline(n_steps=5, device="cpu", random_state=0)
    >>> _ = model.set_params(lstm__max_epochs=3)
    >>> y = make_targets(runs, horizon=2)
    >>> model.fit(runs, y).predict(runs).shape == y.shape
    True
    """
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 - takes longer than to load a model

    encode = ColumnTransformer(
        [
            (
                "onehot",
                OneHotEncoder(
                    handle_unknown="infrequent_if_exist",
                    max_categories=10,
                    sparse_output=False,
                    feature_name_combiner=derived_name,
                ),
                list(categorical),
            )
        ],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    return Pipeline(
        [
            ("timestamps", TimestampToNumeric()),
            ("failures", FailureImputer(jobs=None if jobs is None else list(jobs))),
            *([("encode", encode)] if categorical else []),
            ("windows", SequenceWindower(n_steps=n_steps, known=list(known) or None)),
            ("scale", MinMaxScaler()),
            (
                "lstm",
                LSTMForecaster(hidden_size=hidden_size, device=device, random_state=random_state),
            ),
        ]
    )


@each_row_alone
def without_base_forecast(runs: pd.DataFrame) -> pd.DataFrame:
    """Leave out the base forecasts, which `show_base_forecast` adds."""
    return runs.loc[:, ~runs.columns.str.startswith(BASE_FORECAST_COLUMN)]


@each_row_alone
def flatten(windows: NDArray[np.floating]) -> NDArray[np.floating]:
    """Make one row of numbers of each window; a column that is nowhere known stops no trees."""
    return np.nan_to_num(windows.reshape(len(windows), -1), nan=UNKNOWN)


def network_member(
    known: list[str], n_steps: int, n_members: int, device: str, random_state: int | None
) -> Pipeline:
    """Make the member of the recipe that is a network: a few small LSTMs, trained together."""
    network = ResidualForecaster(
        dropout=0.2,
        n_members=n_members,
        lr=0.003,
        batch_size=128,
        max_epochs=60,
        patience=15,
        device=device,
        random_state=random_state,
    )
    return Pipeline(
        [
            ("columns", FunctionTransformer(without_base_forecast)),
            ("windows", SequenceWindower(n_steps=n_steps, known=known or None)),
            ("network", network),
        ]
    )


def trees_member(known: list[str], random_state: int | None) -> Pipeline:
    """Make the member of the recipe that is boosted trees, of the last two runs of each job."""
    boosting = BoostedTreesRegressor(
        loss="absolute_error",
        learning_rate=0.05,
        max_iter=100,
        max_leaf_nodes=15,
        max_features=0.3,
        early_stopping=False,
        random_state=random_state,
    )
    return Pipeline(
        [
            ("windows", SequenceWindower(n_steps=2, known=known or None)),
            ("flat", FunctionTransformer(flatten)),
            ("boosting", DirectMultiStepRegressor(boosting)),
        ]
    )


def make_anchored_forecaster(
    *,
    jobs: Sequence[str] | None = None,
    known: Sequence[str] = (),
    n_steps: int = 20,
    n_members: int = 3,
    series_identity: bool = False,
    device: str = "cuda",
    random_state: int | None = None,
) -> AnchoredRegressor:
    """Make the forecaster to deploy: baselines, and an LSTM and trees on what they leave.

    A weighted average of baselines forecasts the local level of every job. Three small LSTMs,
    trained together, and boosted trees learn by which factor it will be wrong, from what is known
    when a run starts (calendar, covariates, what became of the runs that had ended) and from the
    last runs, all in ratios to their local level; their mean corrects the base forecast. With few
    runs it stays near that. The defaults are the same for every history; nothing was tuned to one.

    The steps of its `regressor` are `timestamps`, `failures`, `recent`, `levels`, `covariates` and
    `mean`, a :class:`~sklearn_jobtime.ForecastMean` of two pipelines: `lstm` (`columns`, `windows`
    and `network`) and `trees` (`windows`, `flat` and `boosting`). A grid reaches them as
    ``regressor__mean__lstm__windows__n_steps`` or ``regressor__mean__lstm__network__lr``, and
    ``regressor__mean__trees="drop"`` leaves the LSTM alone. Fit it on a run table and the targets
    of :func:`~sklearn_jobtime.runs.make_targets`, as :func:`make_forecast_pipeline`.

    Parameters
    ----------
    jobs : sequence of str, default=None
        The job columns. None finds them by their status columns, as
        :func:`~sklearn_jobtime.runs.job_columns` does. Name them where the table has no status.
    known : sequence of str, default=()
        Covariates that are known when a run starts, numbers or names. A number that is not named
        here is taken as an outcome and used one run later; a column of text has to be named, or
        to be dropped.
    n_steps : int, default=20
        How many ended runs a window of the LSTM holds. The trees see the last two, and what
        :class:`~sklearn_jobtime.RecentRuns` says of those before.
    n_members : int, default=3
        Networks whose forecasts are averaged.
    series_identity : bool, default=False
        Let the network know which series of a pool a run belongs to
        (:class:`~sklearn_jobtime.SeriesEncoder`, the step `series`). Off, since inputs and targets
        are relative to the local level of their series already.
    device : str, default="cuda"
        Where to train; without CUDA the CPU is used and a message says so. For a few thousand runs
        a CPU is as fast.
    random_state : int, default=None
        Seed for a reproducible fit.

    Returns
    -------
    AnchoredRegressor

    Examples
    --------
    >>> from sklearn_jobtime.datasets import make_job_runs
    >>> from sklearn_jobtime.forecasting import forecast
    >>> from sklearn_jobtime.pipeline import make_anchored_forecaster
    >>> from sklearn_jobtime.runs import make_targets
    >>> runs = make_job_runs(n_runs=120, random_state=0)
    >>> model = make_anchored_forecaster(device="cpu", random_state=0)
    >>> _ = model.set_params(regressor__mean__lstm__network__max_epochs=3)
    >>> table = forecast(model.fit(runs, make_targets(runs, horizon=2)), runs)
    >>> table["step"].unique().tolist(), bool((table["seconds"] > 0).all())
    ([1, 2], True)
    """
    known = list(known)
    failures = FailureImputer(
        jobs=None if jobs is None else list(jobs),
        on_no_success="pooled",  # a new job must not be an error
    )
    members = [
        ("lstm", network_member(known, n_steps, n_members, device, random_state)),
        ("trees", trees_member(known, random_state)),
    ]
    steps = [
        ("timestamps", TimestampToNumeric(month=False)),
        ("failures", failures),
        ("recent", RecentRuns(by=known)),
        ("levels", LevelScaler()),
        ("covariates", CovariateEncoder(known)),
        *([("series", SeriesEncoder())] if series_identity else []),
        ("mean", ForecastMean(members, weights=[1, 2])),
    ]
    return AnchoredRegressor(Pipeline(steps), show_base_forecast=True)
