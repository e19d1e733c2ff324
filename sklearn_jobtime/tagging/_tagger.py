"""The LSTM as a scikit-learn classifier of the events of sequences."""

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import Tags, check_consistent_length, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sklearn_jobtime._estimator import pop_weights
from sklearn_jobtime._typing import Floats
from sklearn_jobtime.exceptions import NoHistoryError
from sklearn_jobtime.lstm.network_estimator import (
    NETWORK_CONSTRAINTS,
    TRAINING_CONSTRAINTS,
    NetworkEstimator,
    load_training,
)
from sklearn_jobtime.lstm.window_inputs import INPUT_BOUND
from sklearn_jobtime.tagging._events import NO_TAG, EventEncoder, Sequences, flat_tags
from sklearn_jobtime.tagging._forward import TaggingPass
from sklearn_jobtime.tagging._options import TaggerOptions
from sklearn_jobtime.tagging._reading import has_one_tag_a_sequence, read_sequences, read_tags

if TYPE_CHECKING:
    import torch

__all__ = ["LSTMTagger"]


class LSTMTagger(ClassifierMixin, NetworkEstimator):
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
        Units of an LSTM layer and direction. Logs of runs are short and regular; a few units are
        enough.
    n_layers : int, default=1
        LSTM layers, one on top of the other.
    bidirectional : bool, default=True
        Also read the sequence from its end, so that a tag depends on later events too: right for
        a log that is complete. With False a tag depends on the events up to its own only: needed
        while the run is still going on.
    dropout : float, default=0.0
        Share of values set to zero in training, between the layers and before the output.
    activation : {"tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", \
            "selu", "gelu", "linear"}, default="tanh"
        Activation function of the cells. "tanh" is several times faster than all others.
    network_options : TaggerOptions or None, default=None
        Width of the embeddings, the unknown event, dense layers, further dropout, initial weights:
        see :class:`~sklearn_jobtime.tagging.TaggerOptions`. A grid names them
        ``network_options__embedding_dim`` and so on.
    class_weight : dict, "balanced" or None, default=None
        Weights of the tags in the loss, by tag. "balanced" gives a rare tag as much as a frequent
        one, at the cost of probabilities that are too high for it.
    categorical_features : "from_dtype" or list of int or str, default="from_dtype"
        Features of an event that are categories, by position or name of the column. "from_dtype"
        is right unless codes are stored as floats, as in a float array of codes padded with NaN.
    padding_value : scalar or None, default=None
        The value that means "no event" in a padded array, beside NaN and None, which always do:
        0 for integer codes padded with 0.
    padding_tag : scalar or None, default=None
        The value that means "no tag" in `y`, beside NaN and None, and that `predict` returns at
        padding. An event without a tag is read but is not part of the loss.
    optimizer : {"adam", "adamw", "nadam", "adamax", "adagrad", "adadelta", "rmsprop", "sgd"} \
            or torch optimizer class, default="adam"
        "sgd" needs a higher `lr` and some `momentum`, "adadelta" an `lr` near 1.
    lr : float, default=0.01
        Learning rate. For networks this small it can be high, which saves epochs.
    momentum : float, default=0.0
        For the optimizers that have it ("sgd" and "rmsprop"); with others it is an error.
    weight_decay : float, default=0.0
        How strongly the weights are shrunk; for the optimizers that have it (all named ones do).
    batch_size : int, default=32
        Sequences in a step of training.
    max_epochs : int, default=100
        Passes over the training sequences, at most; early stopping usually needs fewer.
    early_stopping : bool, default=True
        Keep the last sequences for validation, stop when their loss no longer falls, and restore
        the weights that did best. With False all `max_epochs` are run on all sequences.
    patience : int, default=15
        Epochs without a better validation loss before training stops.
    validation_fraction : float, default=0.2
        Share of the sequences kept for validation: the *last* ones, as the next runs are what
        the tags are for. When this is less than two, all are trained on.
    gradient_clip : float or None, default=1.0
        Largest norm of the gradient of a training step. None sets no bound.
    device : str, default="cuda"
        Where to compute: "cuda", "cuda:1", "mps", "cpu", or "auto" for the best one there is. On
        a machine without that device the CPU is used, and the logger ``sklearn_jobtime`` says so
        once; a model trained on a GPU also loads on a machine without one.
    n_threads : int or None, default=1
        CPU threads of torch during `fit`; the earlier number is restored. None leaves torch's
        setting alone. Forecasts are NumPy's, whose threads are a setting of the whole process.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the order of the batches and dropout. No global random state
        is read or changed.
    verbose : int, default=0
        1 shows a progress bar with the losses and accuracies of the newest epoch.
    callbacks : list of skorch callbacks or None, default=None
        Called at each batch and epoch; not copied, so that what they collect can be read.

    Attributes
    ----------
    classes_ : ndarray of shape (n_tags,)
        The tags, sorted.
    net_ : skorch.NeuralNetRegressor
        The trained network with its optimizer; it puts out logits.
    weights_ : dict of str to ndarray
        The trained weights, by their names in ``net_.module_``.
    encoder_ : EventEncoder
        What was learned of the events: `categories`, by the position of the feature, and the `mean`
        and `scale` of the numbers.
    one_tag_ : bool
        Whether `y` had one tag a sequence.
    training_history_ : DataFrame
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
    device_ : str
        The device that trained it; of a loaded model with `net_`, the one that this is on.
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

    Where a few features made by hand hold what matters of the earlier events, a logistic regression
    on them can do as well and fits faster. Compare both, as ``benchmarks/tagging.py`` does.

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

    _options_class = TaggerOptions
    weighs_rows = True
    __metadata_request__fit: ClassVar = {"sample_weight": None}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **NETWORK_CONSTRAINTS,
        **TRAINING_CONSTRAINTS,
        "network_options": [TaggerOptions, None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "categorical_features": [StrOptions({"from_dtype"}), list, tuple],
        "padding_value": [str, Real, None],
        "padding_tag": [str, Real, None],
    }

    def __init__(
        self,
        hidden_size: int = 32,
        *,
        n_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        activation: str = "tanh",
        network_options: TaggerOptions | None = None,
        class_weight: dict[Any, float] | str | None = None,
        categorical_features: str | Sequence[int | str] = "from_dtype",
        padding_value: str | float | None = None,
        padding_tag: str | float | None = None,
        optimizer: "str | type[torch.optim.Optimizer]" = "adam",
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
        self.hidden_size, self.n_layers, self.bidirectional = hidden_size, n_layers, bidirectional
        self.dropout = dropout
        self.activation = activation
        self.network_options = network_options
        self.class_weight = class_weight
        self.categorical_features = categorical_features
        self.padding_value, self.padding_tag = padding_value, padding_tag
        self.optimizer, self.lr = optimizer, lr
        self.momentum, self.weight_decay = momentum, weight_decay
        self.batch_size, self.max_epochs = batch_size, max_epochs
        self.early_stopping, self.patience = early_stopping, patience
        self.validation_fraction = validation_fraction
        self.gradient_clip = gradient_clip
        self.device, self.n_threads = device, n_threads
        self.random_state = random_state
        self.verbose, self.callbacks = verbose, callbacks

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, **fit_params: Any) -> Self:
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
        **fit_params : dict
            `sample_weight`, of shape (n,): how much each sequence counts in the loss of training
            and validation. One of weight 0 counts as one without a tag.

        Returns
        -------
        self
        """
        if y is None:
            raise ValueError(
                "requires y to be passed, but the target y is None; pass the tag of each event, "
                "or one tag a sequence."
            )
        sequences = read_sequences(self, X, reset=True)
        sample_weight = pop_weights(fit_params, sequences.lengths)
        if fit_params:
            raise TypeError(f"fit came with {', '.join(fit_params)}, which it does not take.")
        self.one_tag_ = has_one_tag_a_sequence(y, sequences)
        labels, tagged = read_tags(y, sequences, self.one_tag_, self.padding_tag)
        labels, tagged = self._that_count(labels, tagged, sequences, sample_weight)
        check_classification_targets(labels)
        self.classes_, codes = np.unique(labels, return_inverse=True)
        tags = np.full(len(tagged), NO_TAG, dtype=np.int64)
        tags[tagged] = codes
        weights = compute_class_weight(self.class_weight, classes=self.classes_, y=labels)
        load_training()
        from sklearn_jobtime.lstm.threads import limited_threads

        with limited_threads(self.n_threads):
            self._initialize(sequences, weights / weights[codes].mean())
            self._train(sequences, tags, sample_weight)
        return self

    def _that_count(
        self,
        labels: NDArray[Any],
        tagged: NDArray[np.bool_],
        sequences: Sequences,
        weights: Floats | None,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Leave out the tags of sequences of weight 0."""
        if weights is None:
            return labels, tagged
        counts = weights > 0
        if not self.one_tag_:
            counts = np.repeat(counts, sequences.lengths)
        if not (tagged & counts).any():
            raise NoHistoryError(
                "no sequence with a weight above 0 has a tag, so there is nothing to learn from."
            )
        return labels[counts[tagged]], tagged & counts

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
        sequences = read_sequences(self, X, reset=False)
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
        sequences = read_sequences(self, X, reset=False)
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
        sequences = read_sequences(self, X, reset=False)
        check_consistent_length(sequences.lengths, y)
        found = self.classes_[self._probabilities(sequences).argmax(axis=1)]
        if self.one_tag_:
            return float(np.mean(found == column_or_1d(y)))
        tags, missing = flat_tags(y, sequences, self.padding_tag)
        return float(np.mean((found == tags)[~missing]))

    def _initialize(self, sequences: Sequences, weights: Floats) -> None:
        self.encoder_ = EventEncoder.fit(sequences.events, self.categorical_features, INPUT_BOUND)
        self._choose_device_and_seed()
        self._check_effects()
        network = {
            "n_codes": self.encoder_.n_codes,
            "n_numbers": self.encoder_.n_numbers,
            "n_tags": len(self.classes_),
            "one_tag": self.one_tag_,
            **self._network_options(),
        }
        self._begin(network)
        self._made_with["tag_weights"] = weights
        self._net = self._new_net()

    def _new_net(self) -> Any:
        import torch

        from sklearn_jobtime.tagging._network import TaggingNetwork, TagLoss, count_right

        made = self._made_with
        return load_training().build_net(
            TaggingNetwork,
            made["network"],
            loss=TagLoss(torch.as_tensor(made["tag_weights"], dtype=torch.float32)),
            count=count_right,
            options=self._training_options(),
        )

    def _forward_pass(self) -> TaggingPass:
        return TaggingPass(self.weights_, **self._made_with["network"])

    def _train(
        self, sequences: Sequences, tags: NDArray[np.int64], sample_weight: Floats | None
    ) -> None:
        import torch

        from sklearn_jobtime.tagging._network import SequenceDataset

        codes, numbers = self.encoder_.encode(sequences.events)
        tagged = tags != NO_TAG
        if not self.one_tag_:
            owner = np.repeat(np.arange(len(sequences.lengths)), sequences.lengths)
            tagged = np.bincount(owner[tagged], minlength=len(sequences.lengths)) > 0
        rows = np.flatnonzero(tagged)
        dataset = SequenceDataset(codes, numbers, sequences.lengths, tags, rows, self.one_tag_)
        if sample_weight is not None and (sample_weight[rows] != sample_weight[rows[0]]).any():
            relative = sample_weight / sample_weight[rows].mean()
            dataset.weights = torch.as_tensor(relative, dtype=torch.float32)
        self._train_net(dataset, self.max_epochs, self._validation_share)
        self._keep_net()

    def _network_inputs(self, X: Any) -> dict[str, Any]:
        """Return what the module of `net_` reads of one of the sequences."""
        from sklearn_jobtime.tagging._network import SequenceDataset

        sequences = read_sequences(self, X, reset=False)
        codes, numbers = self.encoder_.encode(sequences.events)
        dataset = SequenceDataset(
            codes, numbers, sequences.lengths, sequences.lengths, np.arange(1), one_tag=True
        )
        return dataset[np.arange(1)][0]

    def _probabilities(self, sequences: Sequences) -> Floats:
        """Return ``(n_events, n_tags)``, or ``(n, n_tags)`` with one tag a sequence."""
        codes, numbers = self.encoder_.encode(sequences.events)
        return softmax(self._forward(codes, numbers, sequences.lengths), axis=-1)
