"""A hook of mkdocs: links from docs/ to files outside it, which the site does not have, become their text."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, **_page: Any) -> str:
    """The page without links that lead out of docs/."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", markdown)
