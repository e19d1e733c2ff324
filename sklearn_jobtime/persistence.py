"""Fitted models in files that are whole or not there, and that are checked before they load."""

import hashlib
import json
import os
import pickle
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import joblib
from sklearn.base import BaseEstimator

from sklearn_jobtime import _plain_state
from sklearn_jobtime._atomic import locked, replacing
from sklearn_jobtime.exceptions import ModelFileError

__all__ = ["load_model", "save_model"]


# What a stored model depends on.
PACKAGES = ("sklearn-jobtime", "scikit-learn", "torch", "skorch", "numpy", "pandas")
# Larger models are compressed, most of them is history; smaller ones load faster as they are. Of
# joblib's methods, zlib and gzip never come to an end where a line follows.
LARGE = 4_000_000
COMPRESSION = ("xz", 1)
# The model is followed by one line that unpickling never reaches: MARK and then JSON. In a .skops
# file, a zip archive, it is the comment of the archive, which stands at its end too.
MARK = b"\n#sklearn_jobtime "
LONGEST_NOTE = 4096


def save_model(model: BaseEstimator, path: str | Path) -> None:
    """Store a fitted model; the file is whole or, if writing fails, as it was before.

    The name says the format. ``model.skops`` is a file that runs no code: numbers, text and
    arrays, and the names of types that stand on a list. It is written by skops (extra
    ``[skops]``) and holds models of this package, with scikit-learn's pipelines, encoders,
    scalers, linear models and histogram gradient boosting in them. Any other name, usually
    ``model.joblib``, is a pickle of any estimator, which plain ``joblib.load`` reads too and which
    can run code when it is loaded.

    While another process updates the same file (``jobtime update``), this waits for it. Behind the
    model stands a line with the versions of the packages that it needs and a check sum, which
    :func:`load_model` reads first.

    Parameters
    ----------
    model : estimator
        Anything with `predict`, fitted or not.
    path : str or Path
        The file, ``model.joblib`` or ``model.skops``; it is replaced when it exists.

    Raises
    ------
    ModelFileError
        When `model` cannot predict; for ``.skops`` also when it holds a type that is not on the
        list (the message names all), or skops is not installed.
    OSError
        When the file cannot be written, or another process holds it for more than a minute.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn_jobtime.baselines import RollingRule
    >>> from sklearn_jobtime.persistence import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.joblib")
    ...     save_model(RollingRule("mean"), path)
    ...     load_model(path)
    RollingRule(statistic='mean')
    """
    _check_model(model, path)
    with locked(path), replacing(path) as new:
        if is_skops(path):
            try:
                _plain_state.write(model, new, _note("0" * 64))
            except ModelFileError as error:
                raise ModelFileError(f"{path}: {error}") from error
            size, _ = _read_note(new)
        else:
            new.write_bytes(pickle.dumps(model, protocol=5))
            if new.stat().st_size > LARGE:
                joblib.dump(model, new, compress=COMPRESSION)
            size = new.stat().st_size
        with new.open("r+b") as file:
            file.seek(size)
            file.write(_note(_digest(new, size)))


def load_model(path: str | Path) -> Any:
    """Load a model that :func:`save_model` or ``joblib.dump`` stored.

    A ``.skops`` file runs no code, whoever has written it: before anything is made of it, every
    type that it names is looked up on a list, and every size is checked.

    .. warning:: A file of any other name is read as a pickle, and loading one runs the code in it.
       Load only those that you or someone you trust has written.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    estimator

    Raises
    ------
    ModelFileError
        When the file is missing, cut off, damaged, or holds no model; when a ``.skops`` file
        names types that are not on the list (the message names all of them). Where versions of
        packages differ from those it was stored with and it does not load, the message says so.

    Examples
    --------
    >>> from sklearn_jobtime.persistence import load_model
    >>> load_model("no_such_model.joblib")
    Traceback (most recent call last):
    ...
    sklearn_jobtime.exceptions.ModelFileError: no_such_model.joblib: cannot be opened (No such ...
    """
    path = Path(path)
    try:
        size, note = _read_note(path)
        if note and _digest(path, size) != note.get("sha256"):
            raise ModelFileError(
                f"{path}: is damaged, its content does not match its check sum; copy or store the "
                "model again."
            )
        model = _plain_state.read(path) if is_skops(path) else _unpickled(path)
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be opened ({error.strerror or error}); check the path, or make a "
            "model with `jobtime fit`."
        ) from error
    except ModelFileError:
        raise
    except Exception as error:  # a damaged file raises whatever its bytes happen to spell
        raise ModelFileError(_why_unreadable(path, note, error)) from error
    _check_model(model, path)
    return model


class _Unpickler(pickle.Unpickler):
    """Python's own, ten times as fast as joblib's, for files that have no need of that."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("joblib.numpy_pickle"):  # arrays that stand beside the pickle
            raise _NeedsJoblibError
        return super().find_class(module, name)


class _NeedsJoblibError(Exception):
    pass


def _unpickled(path: Path) -> Any:
    with path.open("rb") as file:
        if file.read(1) == pickle.PROTO:  # joblib's own files may be compressed
            file.seek(0)
            with suppress(_NeedsJoblibError):
                return _Unpickler(file).load()
    return joblib.load(path)


def is_skops(path: str | Path) -> bool:
    """Whether a file of this name is one that runs no code."""
    return Path(path).suffix.lower() == ".skops"


def _check_model(model: Any, path: str | Path) -> None:
    if isinstance(model, type) or not hasattr(model, "predict"):
        raise ModelFileError(
            f"{path}: {type(model).__name__} is no model; expected an estimator with `predict`, "
            "such as the pipeline of make_forecast_pipeline."
        )


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):  # torch is not needed to forecast
            found[name] = version(name)
    return found


def _note(digest: str) -> bytes:
    return MARK + json.dumps({"sha256": digest, "versions": _versions()}).encode()


def _digest(path: Path, size: int) -> str:
    """SHA-256 of the first `size` bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size and (chunk := file.read(min(size, 2**20))):
            digest.update(chunk)
            size -= len(chunk)
    return digest.hexdigest()


def _read_note(path: Path) -> tuple[int, dict]:
    """Size of the model in the file, and the note behind it; no note in a plain joblib file."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LONGEST_NOTE))
        tail = file.read()
    at = tail.rfind(MARK)
    if at < 0:
        return size, {}
    try:
        return size - len(tail) + at, json.loads(tail[at + len(MARK) :])
    except ValueError:
        return size, {}


def _why_unreadable(path: Path, note: dict, error: Exception) -> str:
    changed = [
        f"{name} {stored} (here {here})"
        for name, here in _versions().items()
        if (stored := note.get("versions", {}).get(name, here)) != here
    ]
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if changed:
        return (
            f"{path}: does not load here ({what}). It was stored with {', '.join(changed)}; "
            "install those versions, or fit the model again."
        )
    if note:
        return f"{path}: does not load here ({what}); fit the model again."
    return (
        f"{path}: is no whole model file ({what}); expected one written by `jobtime fit`, "
        "save_model or joblib.dump. Copy it again, or fit the model again."
    )
