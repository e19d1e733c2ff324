"""What the fit of an estimator inside another gets beside X and y: lower bounds and weights.

With scikit-learn's metadata routing on, each estimator gets what it requested; with routing off,
what belongs to a parameter of its `fit`, or of the last step of a pipeline.
"""

from collections.abc import Mapping
from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    process_routing,
)
from sklearn.utils.validation import has_fit_parameter

from sklearn_jobtime._inside import is_search

__all__ = ["fit_parameters", "parameter_of", "passed", "predict_parameters", "router"]


def router(owner: Any, inner: Mapping[str, Any]) -> MetadataRouter:
    """Say to whom the metadata of `owner` go: to itself and to its inner estimators.

    Parameters
    ----------
    owner : estimator
    inner : mapping of str to estimator
        Those whose `fit` and `predict` it calls in its own.

    Returns
    -------
    MetadataRouter
    """
    found = MetadataRouter(owner=owner).add_self_request(owner)
    mapping = MethodMapping().add(caller="fit", callee="fit")
    mapping.add(caller="predict", callee="predict")
    return found.add(method_mapping=mapping, **inner)


def fit_parameters(
    owner: Any, inner: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Give each inner estimator what is meant for its `fit`.

    Parameters
    ----------
    owner : estimator
        Whose `fit` was called.
    inner : mapping of str to estimator
        By the names of its `get_metadata_routing`.
    given : mapping of str to object
        What came; None where it did not.

    Returns
    -------
    dict of str to dict
        Without `at_least` for an estimator that takes none: the runs are then not observed.

    Raises
    ------
    TypeError
        When there is something else that an estimator does not take.
    """
    given = {name: value for name, value in given.items() if value is not None}
    if not _routing_enabled():
        return {name: passed(one, given) for name, one in inner.items()}
    routed = process_routing(owner, "fit", **given)
    return {name: routed[name].fit for name in inner}


def predict_parameters(owner: Any, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Give the inner estimator of a name what is meant for its `predict`."""
    if not _routing_enabled():
        return dict(given)
    return process_routing(owner, "predict", **given)[name].predict


def passed(estimator: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Rename what came for the estimator in which a pipeline, or a search over one, ends.

    So it is with routing off, and for an estimator that its owner makes itself.
    """
    found = {}
    for name, value in given.items():
        if name not in ("at_least", "sample_weight"):
            found[name] = value  # such as trees__sample_weight for a step `trees`
            continue
        target = parameter_of(estimator, name)
        if target is not None:
            found[target] = value
        elif name != "at_least":
            raise TypeError(
                f"{name} came, but fit of {type(estimator).__name__} does not take it; leave it "
                "out, or take an estimator that does."
            )
    return found


def parameter_of(estimator: Any, name: str) -> str | None:
    """Give the name under which a fit takes a parameter for the regressor in which it ends.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> parameter_of(make_pipeline(Ridge()), "sample_weight"), parameter_of(Ridge(), "at_least")
    ('ridge__sample_weight', None)
    """
    if isinstance(estimator, FrozenEstimator):
        return name  # its fit reads nothing
    if isinstance(estimator, Pipeline):
        step, last = estimator.steps[-1]
        inside = parameter_of(last, name)
        return None if inside is None else f"{step}__{inside}"
    if is_search(estimator):
        return parameter_of(estimator.estimator, name)
    has_weights = name == "sample_weight" and getattr(estimator, "weighs_rows", False)
    return name if has_weights or has_fit_parameter(estimator, name) else None
