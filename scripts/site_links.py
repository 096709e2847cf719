"""A hook of mkdocs: links from docs/ to files outside it, which the site does not have, become their text.

Pictures that are shown by day and by night stand in HTML, whose addresses mkdocs leaves alone: each page of the site is
a folder of its own, so that they lie one above it.
"""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, page: Any, **_more: Any) -> str:
    """The page without links that lead out of docs/, and with its pictures."""
    if not page.is_homepage:
        markdown = re.sub(r'\b(src|srcset)="images/', r'\1="../images/', markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", markdown)
