"""The names under which options of the network and its training are tuned.

They stand apart from what they name, which is torch's: to check a parameter loads no torch.
"""

__all__ = ["INITIAL_WEIGHTS", "LOSSES", "OPTIMIZERS"]


# The class of each in torch.optim.
OPTIMIZERS = {
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "NAdam",
    "adamax": "Adamax",
    "adagrad": "Adagrad",
    "adadelta": "Adadelta",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}

# The class of each in torch.nn; the last one is our own, and needs the quantile.
LOSSES = {"mse": "MSELoss", "mae": "L1Loss", "huber": "HuberLoss", "pinball": None}

INITIAL_WEIGHTS = (
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "normal",
    "uniform",
)
