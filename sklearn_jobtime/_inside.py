"""Fitted estimators inside others: what a search chose, what a pipeline or a wrapper holds."""

from typing import Any

__all__ = ["chosen", "fitted_part", "is_search"]


# Where searches and meta-estimators keep what they fitted.
INSIDE = ("best_estimator_", "regressor_", "estimator_")


def chosen(model: Any) -> Any:
    """Return the fitted model that a search chose; any other model as it is."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    return model


def is_search(model: Any) -> bool:
    """Tell whether a model is a search of scikit-learn, whose import takes as long as a model."""
    return any(
        base.__module__ == "sklearn.model_selection._search" and base.__name__ == "BaseSearchCV"
        for base in type(model).__mro__
    )


def fitted_part(model: Any, attribute: str) -> Any:
    """Return the outermost estimator inside a fitted model that has an attribute.

    It looks through searches, meta-estimators, pipelines (at their last step) and classes of
    somebody's own that keep one fitted estimator.

    Raises
    ------
    AttributeError
        When nothing in the model has it; the message names where the search ended.
    """
    part = model
    while not hasattr(part, attribute):
        inside = [part.steps[-1][1]] if hasattr(part, "steps") else []
        inside += [getattr(part, name) for name in INSIDE if getattr(part, name, None) is not None]
        own = [one for name, one in getattr(part, "__dict__", {}).items() if name.endswith("_")]
        inside += [one for one in own if hasattr(one, "predict")][: 0 if inside else 1]
        if not inside:
            raise AttributeError(f"{type(part).__name__} has no attribute {attribute!r}")
        part = inside[0]
    return part
