"""How tests read a page: its text, its embedded numbers, the views of its series."""

import base64
import gzip
import json
import re
from html.parser import HTMLParser


class _Reader(HTMLParser):
    """Tags, attributes and text, as a browser would see them; scripts apart."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.scripts, self._inside = [], [], [], None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._inside = dict(attrs) if tag == "script" else {}
            self.scripts.append((self._inside, []))

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._inside = None

    def handle_data(self, data):
        (self.text if self._inside is None else self.scripts[-1][1]).append(data)


def read(html):
    """Read a page or a part of one."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader


def words(html):
    """Give the text of a page, blanks joined."""
    return re.sub(r"\s+", " ", " ".join(read(html).text))


def _script(html, **attributes):
    for attrs, data in read(html).scripts:
        if attributes.items() <= attrs.items():
            return "".join(data)
    raise AssertionError(attributes)


def embedded(html):
    """Give the numbers that a page embeds."""
    return json.loads(_script(html, id="data"))


def views(html):
    """Give the views of its series, in the order of the overview."""
    return json.loads(gzip.decompress(base64.b64decode(_script(html, id="views"))))
