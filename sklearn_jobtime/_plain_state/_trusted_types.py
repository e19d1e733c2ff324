"""The list: every type and function that a file may name, and what is checked in its objects."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

__all__ = ["CLASSES", "CONSTRUCTORS", "FUNCTIONS", "check", "trusted"]

_PACKAGE = {
    "anomaly": ["JobTimeAnomalyDetector"],
    "baselines._history_regressor": ["Learned"],
    "baselines._online_mix": ["OnlineMix"],
    "baselines._rules": ["ExponentialMean", "JenkinsRule", "RollingRule", "SeasonalRule"],
    "compose._anchored": ["AnchoredRegressor"],
    "compose._boosted_trees": ["BoostedTreesRegressor"],
    "compose._complete_case": ["CompleteCaseRegressor"],
    "compose._direct_steps": ["DirectMultiStepRegressor"],
    "compose._forecast_mean": ["ForecastMean"],
    "compose._missing_targets": ["InPlace"],
    "compose._packed_trees": ["PackedTrees"],
    "conformal._adaptive": ["AdaptiveBound", "AdaptiveGroup", "PoolShares"],
    "conformal._calibration_set": ["CalibrationSet"],
    "conformal._drift": ["DriftAlarm"],
    "conformal._forecaster": ["ConformalForecaster"],
    "conformal._group_quantiles": ["GroupQuantiles"],
    "conformal._inner_estimators": ["InnerEstimators", "RecentSpread"],
    "conformal._p_values": ["CalibrationErrors"],
    "conformal._quantiles": ["EmpiricalQuantile", "KaplanMeierQuantile"],
    "conformal._scores": ["AbsoluteScore", "LogRatioScore", "NormalisedScore", "QuantileScore"],
    "conformal._series_bounds": ["Ends", "SeriesBounds"],
    "landing._bounds": ["StageBounds"],
    "landing._calibration": ["Calibration"],
    "landing._forecaster": ["LandingForecaster"],
    "landing._precedence": ["Precedence"],
    "landing._surprises": ["Surprises"],
    "landing._usual_gaps": ["UsualGaps"],
    "lstm.forecaster": ["LSTMForecaster"],
    "lstm.options": ["NetworkOptions"],
    "lstm.residual": ["ResidualForecaster"],
    "lstm.stateful": ["StatefulForecaster"],
    "point_in_time._clock": ["Clock"],
    "point_in_time._memory": ["Memory"],
    "point_in_time._table_memory": ["RememberedRows"],
    "preprocessing._covariates": ["CovariateEncoder"],
    "preprocessing._failures": ["FailureImputer"],
    "preprocessing._level": ["LevelScaler"],
    "preprocessing._minmax": ["MinMaxScaler"],
    "preprocessing._recent": ["RecentRuns"],
    "preprocessing._series": ["SeriesEncoder"],
    "preprocessing._timestamps": ["TimestampToNumeric"],
    "preprocessing._windows": ["SequenceWindower"],
    "runs._target_arrays": ["TargetForm"],
    "tagging._events": ["EventEncoder"],
    "tagging._tagger": ["LSTMTagger"],
}
# Of scikit-learn: what the recipes are made of, and regressors that are arrays used by NumPy. Its
# trees, nearest neighbours and support vectors are not here: their compiled code follows the
# indices in a file without a check, and a crafted file can crash the process.
_SCIKIT_LEARN = {
    "_loss.link": ["IdentityLink", "Interval", "LogLink"],
    "_loss.loss": [
        "AbsoluteError", "HalfGammaLoss", "HalfPoissonLoss", "HalfSquaredError", "PinballLoss",
    ],
    "compose._column_transformer": ["ColumnTransformer"],
    "compose._target": ["TransformedTargetRegressor"],
    "dummy": ["DummyRegressor"],
    "ensemble._hist_gradient_boosting.binning": ["_BinMapper"],
    "ensemble._hist_gradient_boosting.gradient_boosting": ["HistGradientBoostingRegressor"],
    "frozen._frozen": ["FrozenEstimator"],
    "impute._base": ["SimpleImputer"],
    "linear_model._base": ["LinearRegression"],
    "linear_model._quantile": ["QuantileRegressor"],
    "linear_model._ridge": ["Ridge"],
    "pipeline": ["FeatureUnion", "Pipeline"],
    "preprocessing._data": ["MinMaxScaler", "RobustScaler", "StandardScaler"],
    "preprocessing._encoders": ["OneHotEncoder", "OrdinalEncoder"],
    "preprocessing._function_transformer": ["FunctionTransformer"],
    "utils._bunch": ["Bunch"],
}  # fmt: skip


def _names(package: str, modules: dict[str, list[str]]) -> set[str]:
    return {f"{package}.{module}.{name}" for module in modules for name in modules[module]}


# Made by `__new__`, then given their attributes; no `__init__` runs.
CLASSES = frozenset(_names("sklearn_jobtime", _PACKAGE) | _names("sklearn", _SCIKIT_LEARN))
# Called with what the file says.
CONSTRUCTORS = frozenset(
    {
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "sklearn_jobtime._plain_state._stand_ins.StandIn",
        "zoneinfo.ZoneInfo",
    }
)
# Held by a parameter as they are: functions, and types of numbers.
FUNCTIONS = frozenset(
    {
        "sklearn_jobtime.pipeline.derived_name",
        "sklearn_jobtime.pipeline.flatten",
        "sklearn_jobtime.pipeline.without_base_forecast",
        *(f"builtins.{name}" for name in ("bool", "float", "int", "str")),
        *(f"numpy.{name}" for name in ("float32", "float64", "int32", "int64", "log", "exp")),
        *(f"numpy.{name}" for name in ("log1p", "expm1", "sqrt", "square")),
    }
)


def trusted(name: str) -> Any:
    """Import what a listed name stands for."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


def check(instance: Any, state: dict[str, Any]) -> None:
    """Refuse an object whose attributes would lead its code astray.

    Raises
    ------
    ValueError
        When an attribute hides a method, or the indices in a tree lead out of it.
    """
    cls = type(instance)
    hidden = [name for name in state if callable(getattr(cls, name, None))]
    if hidden:
        raise ValueError(f"the attribute {hidden[0]!r} of {cls.__name__} hides its method")
    if cls.__name__ in _CHECKS:
        _CHECKS[cls.__name__](instance)


def _check_boosting(model: Any) -> None:
    """Compiled code takes the features that the nodes name, without a check."""
    n_features = getattr(model, "n_features_in_", None)
    trees = [tree for trees in getattr(model, "_predictors", []) for tree in trees]
    if not trees:
        return
    features = np.concatenate([tree.nodes["feature_idx"] for tree in trees])
    is_categorical = model._bin_mapper.is_categorical_
    if (
        type(n_features) is not int
        or not ((features >= 0) & (features < n_features)).all()
        or is_categorical.shape != (n_features,)
        or is_categorical.any()
    ):
        raise ValueError("the features of boosted trees do not match those of their model")


def _check_packed(trees: Any) -> None:
    """Children come after their parent and inside its tree, so that every walk ends there."""
    nodes = [trees.numbers, trees.features, trees.skips, trees.missing_left]
    sizes = trees.sizes.astype(np.int64)
    places = np.concatenate([np.arange(size) for size in sizes.clip(0)])
    if (
        type(trees.baseline) is not float
        or sizes.ndim != 1
        or (sizes < 1).any()
        or {one.shape for one in nodes} != {places.shape}
        or [one.dtype.kind for one in (*nodes, trees.sizes)] != ["f", "u", "u", "b", "u"]
    ):
        raise ValueError("the nodes of the trees are not as many as they should be")
    is_split = trees.skips > 0
    ends = np.repeat(sizes, sizes)
    leads_out = places + np.maximum(trees.skips.astype(np.int64), 1) >= ends
    if (leads_out & is_split).any() or (trees.skips == 1).any():
        raise ValueError("the nodes of a tree lead out of it")


def _check_trees(model: Any) -> None:
    """Compiled code takes the features that the nodes name, without a check."""
    features = getattr(getattr(model, "_trees", None), "features", np.empty(0))
    n_features = getattr(model, "n_features_in_", 0)
    if features.size and (type(n_features) is not int or features.max() >= n_features):
        raise ValueError("the features of boosted trees do not match those of their model")


_CHECKS: dict[str, Callable[[Any], None]] = {
    "BoostedTreesRegressor": _check_trees,
    "HistGradientBoostingRegressor": _check_boosting,
    "PackedTrees": _check_packed,
}
