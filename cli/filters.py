"""What commands on many things share: filters as name=value, moments, and the question before."""

import re
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from rich.prompt import Confirm

from cli import output

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGE = re.compile(r"(\d{1,5})([mhdw])")
# A comma ends a value only where another name follows: values may have commas.
_NEXT = re.compile(r",(?=[a-z_]+=)")


def parse(texts: Sequence[str], known: Collection[str]) -> dict[str, str]:
    """`type=payment.*,status=failed` as a dict; what ends in _after or _before is a moment."""
    found: dict[str, str] = {}
    for part in (part for text in texts for part in _NEXT.split(text)):
        name, equals, value = part.partition("=")
        if not equals or not value or name not in known:
            message = f"--filter takes name=value with one of {', '.join(known)}, not {part}"
            raise output.Failure(message, output.Exit.USAGE)
        if name in found:
            raise output.Failure(f"--filter names {name} twice", output.Exit.USAGE)
        is_moment = name.endswith(("_after", "_before"))
        found[name] = moment(value, f"--filter {name}=") if is_moment else value
    return found


def moment(text: str, option: str) -> str:
    """An age such as 7d, or a date or time; UTC without an offset."""
    age = _AGE.fullmatch(text)
    if age is not None:
        found = datetime.now(UTC) - timedelta(**{UNITS[age[2]]: int(age[1])})
        return found.isoformat()
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{option} takes 7d (m, h, d, w) or a date such as 2026-11-22, not {text}"
        raise output.Failure(message, output.Exit.USAGE) from error
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).isoformat()


def require_answer(*, yes: bool, dry_run: bool, json: bool) -> None:
    """JSON goes to programs, which cannot be asked."""
    if json and not (yes or dry_run):
        raise output.Failure("--json needs --yes or --dry-run", output.Exit.USAGE)


def ask(question: str, *, yes: bool) -> None:
    """Go on only when somebody says so."""
    if yes:
        return
    if not sys.stdin.isatty():
        message = f"{question} Say --yes to do it without a question"
        raise output.Failure(message, output.Exit.USAGE)
    if not Confirm.ask(output.safe(question), console=output.console, default=False):
        raise output.Failure("nothing was changed")
