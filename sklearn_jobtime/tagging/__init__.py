"""A tag for every event of a log, from a recurrent network."""

from sklearn_jobtime.tagging._events import EventEncoder
from sklearn_jobtime.tagging._options import TaggerOptions
from sklearn_jobtime.tagging._tagger import LSTMTagger

__all__ = ["EventEncoder", "LSTMTagger", "TaggerOptions"]
