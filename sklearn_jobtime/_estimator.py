"""What every regressor of run tables does alike."""

from typing import TYPE_CHECKING, Any

from sklearn.base import RegressorMixin

from sklearn_jobtime.metrics import observed_r2

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

__all__ = ["ObservedScoreMixin"]


class ObservedScoreMixin(RegressorMixin):
    """A regressor that is scored on the observed targets; those of failed runs are NaN."""

    predict: Any

    def score(self, X: "pd.DataFrame | ArrayLike", y: "ArrayLike") -> float:
        """Coefficient of determination over the observed targets.

        Parameters
        ----------
        X : DataFrame or array of shape (n_runs, ...)
            As for `predict`.
        y : DataFrame or array of shape (n_runs,) or (n_runs, n_outputs)
            Seconds; NaN where not observed.

        Returns
        -------
        float
            1 is perfect, 0 as good as the mean; averaged over the outputs.
        """
        return float(observed_r2(y, self.predict(X)))
