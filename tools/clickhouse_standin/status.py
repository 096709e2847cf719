"""The HTTP status that ClickHouse gives to each of its error numbers."""

from __future__ import annotations

from http import HTTPStatus

_STATUS = {
    HTTPStatus.BAD_REQUEST: (6, 26, 27, 33, 36, 38, 41, 43, 53, 62, 69, 70, 72, 117, 130, 131, 306, 427, 456, 457),
    HTTPStatus.UNAUTHORIZED: (194,),
    HTTPStatus.FORBIDDEN: (192, 193, 497, 516),
    HTTPStatus.NOT_FOUND: (46, 47, 50, 56, 60, 63, 81, 115),
    HTTPStatus.REQUEST_TIMEOUT: (159,),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (229,),
    HTTPStatus.NOT_IMPLEMENTED: (48,),
    HTTPStatus.SERVICE_UNAVAILABLE: (209, 439),
}
_STATUS_OF_CODE = {code: status for status, codes in _STATUS.items() for code in codes}


def status_of(code: int) -> HTTPStatus:
    """Give 500 where ClickHouse names no other."""
    return _STATUS_OF_CODE.get(code, HTTPStatus.INTERNAL_SERVER_ERROR)
