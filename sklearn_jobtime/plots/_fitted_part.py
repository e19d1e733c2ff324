"""The trained network inside a fitted model, however deep it stands."""

from typing import Any

from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._inside import fitted_part as part_of

__all__ = ["fitted_part"]


def fitted_part(model: Any, attribute: str) -> Any:
    """Return the outermost estimator of `model` that has `attribute`, such as ``net_``.

    Raises
    ------
    ValueError
        When nothing in `model` has it.
    """
    check_is_fitted(model)
    try:
        return part_of(model, attribute)
    except AttributeError as error:
        raise ValueError(
            f"{type(model).__name__} holds no trained network: {error}. Expected an "
            "LSTMForecaster, or a pipeline, search or AnchoredRegressor around one that follows it "
            "(shrinkage_ above 0)."
        ) from error
