"""ETags of what has a revision, and what If-Match says about them. Pure."""

import re

from services.api import problems

_CHARACTERS_MAX = 1000
_TAG = r'(?:W/)?"(\d{1,10})"'
_LIST = re.compile(rf"\s*{_TAG}\s*(?:,\s*{_TAG}\s*)*")
_ONE = re.compile(_TAG)


def make(revision: int) -> str:
    return f'"{revision}"'


def require_match(if_match: str | None, *, revision: int) -> None:
    """Raise stale-version when If-Match names other revisions; nothing is checked without it.

    A weak tag counts like a strong one: a proxy that compresses makes it weak, and a revision is
    exact either way.
    """
    if if_match is None or if_match.strip() == "*":
        return
    if len(if_match) > _CHARACTERS_MAX or _LIST.fullmatch(if_match) is None:
        raise problems.header("If-Match", f"must be an ETag of this resource, e.g. {make(7)}, or *")
    if revision not in map(int, _ONE.findall(if_match)):
        raise problems.Problem(
            "stale-version",
            f"the present revision is {revision}: read it again and put your change on top",
            errors=[
                problems.Fault(header="If-Match", detail=f"the present ETag is {make(revision)}")
            ],
            revision=revision,
        )
