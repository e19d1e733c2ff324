"""The trained network inside a fitted model, however deep it stands."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

# Where search, meta-estimators and pipelines keep what they fitted.
INSIDE = ("best_estimator_", "regressor_", "estimator_")


def fitted_part(model: Any, attribute: str) -> Any:
    """Return the innermost estimator of `model` that has `attribute`, such as ``net_``.

    Raises
    ------
    ValueError
        When nothing in `model` has it.
    """
    check_is_fitted(model)
    part = model
    while not hasattr(part, attribute):
        inside = [getattr(part, name, None) for name in INSIDE]
        inside += [part.steps[-1][1]] if hasattr(part, "steps") else []
        inside = [one for one in inside if one is not None]
        if not inside:
            raise ValueError(
                f"{type(model).__name__} holds no trained network: {type(part).__name__} has no "
                f"attribute {attribute!r}. Expected an LSTMForecaster, or a pipeline, search or "
                "AnchoredRegressor around one that follows it (shrinkage_ above 0)."
            )
        part = inside[0]
    return part
