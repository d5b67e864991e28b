"""Query parameters and encodings that no operation takes are refused: a misspelt parameter is not ignored."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request

from service.errors import InvalidInput, WrongMedia


def check_query(request: Request, known: Collection[str]) -> None:
    """Refuse a parameter that the operation does not have, and one that is given twice.

    Raises:
        InvalidInput: naming what the operation takes, or the repeated parameter.
    """
    seen = set[str]()
    for name, _ in request.query_params.multi_items():
        if name not in known:
            takes = f"takes {', '.join(sorted(known))}" if known else "takes none"
            raise InvalidInput(f"the query has a parameter that is not known; this operation {takes}", field="query")
        if name in seen:
            raise InvalidInput("the parameter is given twice", field=name)
        seen.add(name)


def check_encoding(request: Request) -> None:
    """Refuse a compressed body: its text may be a thousand times as long.

    Raises:
        WrongMedia: the request has a `Content-Encoding`.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise WrongMedia("a body must not be compressed: send it without Content-Encoding", field="content-encoding")
