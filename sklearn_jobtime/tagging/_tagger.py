"""The LSTM as a scikit-learn classifier of the events of sequences."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import Tags, check_array, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm import training
from sklearn_jobtime.lstm.batches import INPUT_BOUND
from sklearn_jobtime.lstm.network import ACTIVATIONS
from sklearn_jobtime.lstm.weights import INITIAL_WEIGHTS
from sklearn_jobtime.tagging import _events as seq
from sklearn_jobtime.tagging._network import SequenceDataset, TaggingNetwork, TagLoss, count_right

__all__ = ["LSTMTagger"]


class LSTMTagger(ClassifierMixin, training.StoredOnCPU):
    """Tag every event of a sequence, or the sequence as a whole, with an LSTM.

    A run is a sequence of events: a step starts, it ends well, the next one waits. What an event
    means depends on those around it: whether a step is slow, where a phase begins, which warning
    came before the failure. The tagger reads the events in order and gives each one a tag. It
    behaves like any scikit-learn classifier: it can be cloned, searched over and stored with
    joblib.

    Sequences may have unequal lengths. They come as a list, each a list or array of events or a
    DataFrame with one row an event, or as one padded array. What an event is follows from its
    type: names, integers and booleans are *categories*, each with an embedding of its own;
    floats are *numbers*, standardised and read as they are. An event may have several features of
    both kinds. Padding is neither read nor tagged, and counts in no loss and no accuracy.

    Parameters
    ----------
    hidden_size : int, default=32
        Units of an LSTM layer and direction. Logs of runs are short and regular; few do.
    n_layers : int, default=1
        LSTM layers, one on top of the other.
    bidirectional : bool, default=True
        Read the sequence also from its end, so that a tag knows what came after: right for a log
        that is complete. With False a tag depends on the events up to its own only: needed where
        the run is still going on.
    embedding_dim : int, default=16
        Width of the vector that is learned for each category.
    unknown_share : float, default=0.02
        Share of the categories replaced by ``<unknown>`` in training. An event never seen in
        `fit` is read as that, and so has a meaning: "some other step". 0 leaves it untrained.
    spatial_dropout : float, default=0.1
        Share of the embeddings' channels hidden from a sequence in training, each at all of its
        events. The usual first guard against learning sequences by heart.
    dropout : float, default=0.0
        Share of values set to zero in training, between the layers and before the output.
    recurrent_dropout : float, default=0.0
        The same for the connections from event to event, with one mask a sequence. Training is
        then some five times slower, as the fused kernel can not do it.
    activation : {"tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", \
            "selu", "gelu", "linear"}, default="tanh"
        Of the cells. "tanh" is some five times faster than each of the others.
    dense_units : int, sequence of int or None, default=None
        Widths of dense layers at each event between the LSTM and the output. None adds none.
    dense_activation : str, default="relu"
        Of these layers, by the same names.
    weight_init, recurrent_init : str, default="torch"
        How the weights from the inputs and of the dense layers, and those from event to event,
        are drawn, by the names of :class:`LSTMForecaster`.
    forget_bias : float or None, default=None
        Where the biases of the forget gates start; 1 lets cells remember from the first epoch on.
    class_weight : dict, "balanced" or None, default=None
        Weights of the tags in the loss, by tag. "balanced" gives a rare tag as much as a frequent
        one, at the cost of probabilities that are too high for it.
    categorical_features : "from_dtype" or list of int or str, default="from_dtype"
        Features of an event that are categories, by position or name of the column. By type is
        right but for codes stored as floats, such as a float array of codes padded with NaN.
    padding_value : scalar or None, default=None
        Stands for "no event" in a padded array, beside NaN and None, which always do. For integer
        codes padded with 0 it is 0.
    padding_tag : scalar or None, default=None
        Stands for "no tag" in `y`, beside NaN and None, and is the answer at padding. An
        event without a tag is read but takes no part in the loss.
    optimizer : {"adam", "adamw", "nadam", "adamax", "adagrad", "adadelta", "rmsprop", "sgd"} \
            or torch optimizer class, default="adam"
        "sgd" needs a higher `lr` and some `momentum`, "adadelta" an `lr` near 1.
    lr : float, default=0.01
        Learning rate. As high as training stays stable for networks this small: fewer epochs.
    momentum : float, default=0.0
        For the optimizers that have it ("sgd" and "rmsprop"); the others ignore it.
    weight_decay : float, default=0.0
        Shrinks the weights; for the optimizers that have it (all named ones do).
    batch_size : int, default=32
        Sequences in a step of training.
    max_epochs : int, default=100
        Passes over the training sequences, at most; early stopping usually ends sooner.
    early_stopping : bool, default=True
        Keep the last sequences for validation, stop when their loss no longer falls, and restore
        the weights that did best. With False all `max_epochs` are run on all sequences.
    patience : int, default=15
        Epochs without a better validation loss before training stops.
    validation_fraction : float, default=0.2
        Share of the sequences kept for validation: the *last* ones, as the next runs are what
        the tags are for. When this is less than two, all are trained on.
    gradient_clip : float or None, default=1.0
        Largest norm of a step's gradient. None does not clip.
    device : str, default="cuda"
        Where to compute: "cuda", "cuda:1", "mps", "cpu", or "auto" for what there is. Where the
        machine has no such device the CPU is used, and the logger ``sklearn_jobtime`` says so
        once; a model trained on a GPU also loads on a machine without one.
    n_threads : int or None, default=1
        CPU threads of torch during `fit` and `predict`; the earlier number is restored. None
        leaves torch's setting alone.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the batches and dropout. No global random state
        is read or changed.
    verbose : int, default=0
        1 shows a progress bar with the losses and accuracies of the newest epoch.
    callbacks : list of skorch callbacks or None, default=None
        Told of each batch and epoch; used as given, not copied.

    Attributes
    ----------
    classes_ : ndarray of shape (n_tags,)
        The tags, sorted.
    net_ : skorch.NeuralNetRegressor
        The trained network with its optimizer; it puts out logits.
    encoder_ : EventEncoder
        What was learned of the events: `categories`, by the position of the feature, and `scaler`.
    one_tag_ : bool
        Whether `y` had one tag a sequence.
    history_ : DataFrame
        One row an epoch: `epoch`, `train_loss` and `valid_loss`, `train_accuracy` and
        `valid_accuracy` (share of the tagged events that got their tag), `seconds`. NaN where
        nothing was validated.
    kept_epoch_ : int
        The epoch whose weights are in use.
    n_features_in_ : int
        Columns of a 2-D array; else features of an event.
    n_steps_in_ : int or None
        Events of each sequence, or steps of the array; None where the lengths differed. An array
        given to `predict` has as many; a list may hold any lengths.
    ndim_in_ : int
        Dimensions of the array in `fit`; 1 for a list of sequences.
    feature_names_in_ : ndarray of str
        Column names, where `X` was a DataFrame with string names.
    device_ : torch.device
        The device in use.
    seed_ : int
        The seed drawn from `random_state`.

    Raises
    ------
    ValueError
        When X or y has a form that is none of those above; the message names the sequence.
    NoHistoryError
        When no event has a tag.
    DeviceError
        When `device` numbers a GPU that the machine does not have.

    See Also
    --------
    LSTMForecaster : Forecasts numbers from windows of past runs.

    Notes
    -----
    With the same `random_state` the same machine gives the same tags, bit for bit on the CPU.

    Where a few features made by hand say what the steps before mean, a logistic regression of them
    does as well and fits faster: so it was for steps of real runs that fail or are slow
    (``benchmarks/tagging.py``). Try it beside.

    scikit-learn's splitters for classes know one label a row. In a search over sequences of tags
    give ``cv=KFold(...)`` or ``TimeSeriesSplit(...)``; the search then uses :meth:`score`.

    References
    ----------
    .. [1] A. Graves and J. Schmidhuber, "Framewise phoneme classification with bidirectional LSTM
       and other neural network architectures", Neural Networks 18 (2005).
    .. [2] Y. Gal and Z. Ghahramani, "A theoretically grounded application of dropout in recurrent
       neural networks", NeurIPS 2016.

    Examples
    --------
    A retry is an error that a later success mends; the tag of an error needs the future:

    >>> from sklearn_jobtime import LSTMTagger
    >>> logs = [["start", "error", "ok"], ["start", "error"], ["start", "ok", "error", "ok"]] * 10
    >>> tags = [["fine", "retry", "fine"], ["fine", "lost"], ["fine", "fine", "retry", "fine"]] * 10
    >>> tagger = LSTMTagger(max_epochs=30, device="cpu", random_state=0).fit(logs, tags)
    >>> for found in tagger.predict([["start", "error"], ["start", "error", "ok"]]):
    ...     print(found)
    ['fine' 'lost']
    ['fine' 'retry' 'fine']

    A step that was never seen is read as an unknown one:

    >>> tagger.predict([["start", "timeout"]])[0].shape
    (2,)

    One tag a sequence:

    >>> ended = ["mended", "failed", "mended"] * 10
    >>> tagger.fit(logs, ended).predict([["start", "error"]])
    array(['failed'], dtype='<U6')

    Tags and events have to agree:

    >>> tagger.fit([["start", "ok"]], [["fine"]])
    Traceback (most recent call last):
        ...
    ValueError: sequence 0 has 2 events but tags of the shape (1,); expected one tag an event...
    """

    ndim_in_: int
    n_steps_in_: int | None

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "embedding_dim": [Interval(Integral, 1, None, closed="left")],
        "unknown_share": [Interval(Real, 0, 1, closed="left")],
        "spatial_dropout": [Interval(Real, 0, 1, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "dense_units": [Interval(Integral, 0, None, closed="left"), "array-like", None],
        "dense_activation": [StrOptions(set(ACTIVATIONS))],
        "weight_init": [StrOptions({"torch", *INITIAL_WEIGHTS})],
        "recurrent_init": [StrOptions({"torch", *INITIAL_WEIGHTS})],
        "forget_bias": [Interval(Real, None, None, closed="neither"), None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "categorical_features": [StrOptions({"from_dtype"}), list, tuple],
        "padding_value": [str, Real, None],
        "padding_tag": [str, Real, None],
        "optimizer": [StrOptions(set(training.OPTIMIZERS)), HasMethods("step")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "device": [str],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "callbacks": [list, tuple, None],
    }

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        bidirectional: bool = True,
        embedding_dim: int = 16,
        unknown_share: float = 0.02,
        spatial_dropout: float = 0.1,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        activation: str = "tanh",
        dense_units: int | Sequence[int] | None = None,
        dense_activation: str = "relu",
        weight_init: str = "torch",
        recurrent_init: str = "torch",
        forget_bias: float | None = None,
        class_weight: dict[Any, float] | str | None = None,
        categorical_features: str | Sequence[int | str] = "from_dtype",
        padding_value: str | float | None = None,
        padding_tag: str | float | None = None,
        optimizer: str | type[torch.optim.Optimizer] = "adam",
        lr: float = 0.01,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        batch_size: int = 32,
        max_epochs: int = 100,
        early_stopping: bool = True,
        patience: int = 15,
        validation_fraction: float = 0.2,
        gradient_clip: float | None = 1.0,
        device: str = "cuda",
        n_threads: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        callbacks: Sequence[Any] | None = None,
    ) -> None:
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.embedding_dim = embedding_dim
        self.unknown_share = unknown_share
        self.spatial_dropout = spatial_dropout
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.activation = activation
        self.dense_units = dense_units
        self.dense_activation = dense_activation
        self.weight_init = weight_init
        self.recurrent_init = recurrent_init
        self.forget_bias = forget_bias
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.padding_value = padding_value
        self.padding_tag = padding_tag
        self.optimizer = optimizer
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.early_stopping = early_stopping
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.gradient_clip = gradient_clip
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose
        self.callbacks = callbacks

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> "LSTMTagger":
        """Learn the categories, the scaling and the tags, and train the network.

        Parameters
        ----------
        X : list of sequences, or array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Sequences of events, in time order where there is one. In an array, NaN, None and
            `padding_value` before the first and behind the last event of a sequence are padding.
            Elsewhere, as in a list, an event that is not known counts as one never seen, and a
            number that is not known as the mean.
        y : list of sequences or array-like of shape (n, n_steps), or array-like of shape (n,)
            The tag of each event, in the nesting of X; or one tag a sequence.

        Returns
        -------
        self
        """
        if y is None:
            raise ValueError(
                "requires y to be passed, but the target y is None; pass the tag of each event, "
                "or one tag a sequence."
            )
        sequences = self._read(X, reset=True)
        check_consistent_length(sequences.lengths, y)
        self.one_tag_ = not seq.is_nested(y) and not self._is_table_of_tags(y, sequences)
        if self.one_tag_:
            labels = column_or_1d(
                check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True
            )
            tagged = np.ones(len(labels), dtype=bool)
        else:
            flat, missing = seq.flat_tags(y, sequences, self.padding_tag)
            tagged = ~missing
            if not tagged.any():
                raise NoHistoryError(
                    f"no event of the {len(flat)} in y has a tag, so there is nothing to learn "
                    "from; NaN, None and padding_tag stand for no tag."
                )
            labels = _plain(flat[tagged])
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        tags = np.full(len(tagged), seq.NO_TAG, dtype=np.int64)
        tags[tagged] = codes
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
        with training.limited_threads(self.n_threads):
            self._initialize(sequences, weights / weights[codes].mean())
            self._train(sequences, tags)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Give each event, or each sequence, its most probable tag.

        Parameters
        ----------
        X : list of sequences, or array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Sequences of events as in `fit`. Lists may have any lengths.

        Returns
        -------
        ndarray
            With a tag an event: for a list, an array of objects, one array of tags a sequence;
            for an array, ``(n, n_steps)`` with `padding_tag` where there is no event. With one
            tag a sequence, ``(n,)``.
        """
        check_is_fitted(self)
        sequences = self._read(X, reset=False)
        tags = self.classes_[self._probabilities(sequences).argmax(axis=1)]
        return tags if self.one_tag_ else sequences.nested(tags, self.padding_tag)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Return the probability of each tag, in the order of `classes_`.

        Parameters
        ----------
        X : list of sequences, or array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Sequences of events as in `fit`.

        Returns
        -------
        ndarray
            As of `predict`, with one more axis of length ``n_tags``; NaN where there is no event.
        """
        check_is_fitted(self)
        sequences = self._read(X, reset=False)
        found = self._probabilities(sequences)
        return found if self.one_tag_ else sequences.nested(found, np.nan)

    def score(self, X: Any, y: Any) -> float:
        """Return the share of the events, or sequences, that got their tag.

        Parameters
        ----------
        X : list of sequences, or array-like of shape (n, n_steps) or (n, n_steps, n_features)
            Sequences of events as in `fit`.
        y : list of sequences or array-like of shape (n, n_steps), or array-like of shape (n,)
            Their tags; events without one are not counted.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        sequences = self._read(X, reset=False)
        check_consistent_length(sequences.lengths, y)
        found = self.classes_[self._probabilities(sequences).argmax(axis=1)]
        if self.one_tag_:
            return float(np.mean(found == column_or_1d(y)))
        tags, missing = seq.flat_tags(y, sequences, self.padding_tag)
        return float(np.mean((found == tags)[~missing]))

    def _read(self, X: Any, reset: bool) -> seq.Sequences:
        if seq.is_nested(X):
            sequences = seq.read_nested(X)
            if reset:
                self.ndim_in_, self.n_features_in_ = 1, sequences.events.shape[1]
                if hasattr(self, "feature_names_in_"):
                    del self.feature_names_in_
        else:
            sequences = seq.read_arrays(self._array(X, reset), self.padding_value)
        if reset:
            widths = np.unique(
                sequences.lengths if sequences.real is None else sequences.real.shape[1]
            )
            self.n_steps_in_ = int(widths[0]) if len(widths) == 1 else None
        return sequences

    def _array(self, X: Any, reset: bool) -> NDArray[Any]:
        X = X if hasattr(X, "ndim") else np.asarray(X)
        ndim, known = X.ndim, reset or self.ndim_in_ == 1
        if ndim > 3 or (ndim > 1 and not known and ndim != self.ndim_in_):
            expected = "2-D or 3-D" if known else f"{self.ndim_in_}-D as in fit"
            raise ValueError(
                f"X has {ndim} dimensions, shape {np.shape(X)}; expected {expected}, or a list "
                "of sequences."
            )
        options = {"dtype": None, "ensure_2d": ndim != 3, "allow_nd": ndim == 3}
        if reset or ndim == 2 == self.ndim_in_:
            X = validate_data(self, X, reset=reset, ensure_all_finite=False, **options)
        else:
            X = check_array(X, ensure_all_finite=False, **options)
        if reset:
            self.ndim_in_, self.n_features_in_ = ndim, X.shape[-1]
        elif self.n_steps_in_ not in (None, X.shape[1]):
            raise ValueError(
                f"X has {X.shape[1]} steps, but LSTMTagger is expecting {self.n_steps_in_} as in "
                "fit; give sequences of other lengths as a list."
            )
        return X

    def _is_table_of_tags(self, y: Any, sequences: seq.Sequences) -> bool:
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
        if sequences.real is not None:
            return shape == sequences.real.shape
        return len(shape) == 2 and shape[1] > 1

    def _initialize(self, sequences: seq.Sequences, weights: Floats) -> None:
        self.encoder_ = seq.EventEncoder.fit(
            sequences.events, self.categorical_features, INPUT_BOUND
        )
        self.device_ = training.resolve_device(self.device)
        self.seed_ = training.draw_seed(self.random_state)
        with training.seeded(self.seed_, self.device_):
            self.net_ = training.build_net(
                module=TaggingNetwork,
                network={
                    "n_codes": self.encoder_.n_codes,
                    "n_numbers": self.encoder_.n_numbers,
                    "n_tags": len(self.classes_),
                    "one_tag": self.one_tag_,
                    "embedding_dim": self.embedding_dim,
                    "unknown_share": self.unknown_share,
                    "spatial_dropout": self.spatial_dropout,
                    "hidden_size": self.hidden_size,
                    "n_layers": self.n_layers,
                    "dropout": self.dropout,
                    "recurrent_dropout": self.recurrent_dropout,
                    "bidirectional": self.bidirectional,
                    "activation": self.activation,
                    "dense_units": () if self.dense_units is None else self.dense_units,
                    "dense_activation": self.dense_activation,
                    "weight_init": self.weight_init,
                    "recurrent_init": self.recurrent_init,
                    "forget_bias": self.forget_bias,
                },
                loss=TagLoss(torch.as_tensor(weights, dtype=torch.float32)),
                count=count_right,
                optimizer=self.optimizer,
                lr=self.lr,
                momentum=self.momentum,
                weight_decay=self.weight_decay,
                batch_size=self.batch_size,
                gradient_clip=self.gradient_clip,
                patience=self.patience if self.early_stopping else None,
                device=self.device_,
                callbacks=self.callbacks or (),
                verbose=self.verbose,
            )

    def _train(self, sequences: seq.Sequences, tags: NDArray[np.int64]) -> None:
        codes, numbers = self.encoder_.encode(sequences.events)
        tagged = tags != seq.NO_TAG
        if not self.one_tag_:
            owner = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
            tagged = np.bincount(owner[tagged], minlength=len(sequences.lengths)) > 0
        dataset = SequenceDataset(
            codes, numbers, sequences.lengths, tags, np.flatnonzero(tagged), self.one_tag_
        )
        validation = self.validation_fraction if self.early_stopping else 0.0
        with training.seeded(self.seed_ + 1, self.device_):
            training.train(
                self.net_, dataset, epochs=self.max_epochs, validation_fraction=validation
            )
        self.kept_epoch_ = training.kept_epoch(self.net_)
        self.history_ = pd.DataFrame(self.net_.history.to_list()).reindex(columns=training.HISTORY)
        self._prepare()

    def _probabilities(self, sequences: seq.Sequences) -> Floats:
        """Return ``(n_events, n_tags)``, or ``(n, n_tags)`` with one tag a sequence."""
        codes, numbers = self.encoder_.encode(sequences.events)
        n = len(sequences.lengths)
        # Nobody looks at these tags; an event has one, as a sequence has.
        tags = np.empty(n if self.one_tag_ else len(codes), dtype=np.int64)
        dtype = training.predict_dtype(self.device_)
        dataset = SequenceDataset(
            codes, numbers, sequences.lengths, tags, np.arange(n), self.one_tag_, dtype
        )
        found, begin = [], 0
        with training.limited_threads(self.n_threads):
            for logits in training.evaluate_batches(self._network, self.device_, dataset):
                lengths = torch.from_numpy(sequences.lengths[begin : begin + len(logits)])
                begin += len(logits)
                real = ... if self.one_tag_ else torch.arange(logits.shape[1]) < lengths[:, None]
                found.append(torch.softmax(logits[real].double(), dim=-1))
        return torch.cat(found).numpy()


def _plain(labels: NDArray[np.object_]) -> NDArray[Any]:
    """Give tags read as objects the type that all of them have."""
    plain = np.asarray(labels.tolist())
    if plain.dtype.kind in "US" and not all(isinstance(label, (str, bytes)) for label in labels):
        kinds = sorted({type(label).__name__ for label in labels})
        raise TypeError(
            f"the tags of y are {' and '.join(kinds)}; expected all of one type, such as str."
        )
    return plain
