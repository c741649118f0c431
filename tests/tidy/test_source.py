"""The code's own properties: what a reader would otherwise have to trust."""

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
# Files and functions past the compass of the house, each with its reason.
OUTLIERS: dict[str, str] = {
    "cli/commands/replays.py:replay": "two thirds are the help of its sixteen options",
}


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function of the product."""

    place: str
    lines: int


def _tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def _source_files() -> list[Path]:
    return [path for path in _tracked("*.py") if "tests" not in path.relative_to(ROOT).parts]


def _functions() -> list[Function]:
    found: list[Function] = []
    for path in _source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                place = f"{path.relative_to(ROOT)}:{node.name}"
                found.append(Function(place=place, lines=lines))
    return found


def test_long_files_and_functions_have_a_written_reason() -> None:
    lengths = {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n")
        for path in _source_files()
    }
    functions = _functions()
    sizes = sorted(function.lines for function in functions)
    sys.stdout.write(
        f"{len(lengths)} files, median {statistics.median(lengths.values()):.0f} lines; "
        f"{len(sizes)} functions, median {statistics.median(sizes):.0f}, "
        f"p95 {sizes[int(len(sizes) * 0.95)]}, longest {sizes[-1]}\n"
    )

    outliers = {name for name, lines in lengths.items() if lines > FILE_LINES_MAX}
    outliers |= {function.place for function in functions if function.lines > FUNCTION_LINES_MAX}

    assert outliers == set(OUTLIERS)


def test_every_module_says_what_lives_in_it() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in _source_files()
        if path.read_text(encoding="utf-8").strip()
        and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]

    assert silent == []


def test_a_todo_names_its_issue() -> None:
    nameless = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _source_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if nameless.search(line)
    ]

    assert found == []


def test_tests_wait_for_conditions_instead_of_sleeping() -> None:
    fixtures = ROOT / "tests" / "fixtures"
    # The one place that waits for tests, and a receiver whose slowness is what it plays.
    allowed = {fixtures / "deadlines.py", fixtures / "sink.py"}
    sleeping = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _tracked("tests/*.py")
        if path not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and "sleep" in ast.unparse(node.func)
    ]

    assert sleeping == []


def test_test_names_are_claims() -> None:
    vague = re.compile(r"def (test_(?:it_)?(?:works|basic|simple|ok|misc|\d+|[a-z]+))\(")
    found = [
        f"{path.relative_to(ROOT)}:{name}"
        for path in _tracked("tests/*.py")
        for name in vague.findall(path.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_no_module_shadows_the_standard_library() -> None:
    taken = {"logging", "json", "types", "signal", "queue", "select", "socket", "time", "email"}
    shadows = [str(path) for path in _source_files() if path.stem in taken]

    assert shadows == []


def test_sql_is_written_in_queries_only() -> None:
    statement = re.compile(
        r"\s*(select\s.+\sfrom|insert into|update\s.+\sset|delete from|with\s.+\sas\s*\()\s",
        re.IGNORECASE | re.DOTALL,
    )
    rooms = ("queries", "shared", "cli", "benchmarks")
    strays = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _source_files()
        if not any(room in str(path.relative_to(ROOT)) for room in rooms)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and statement.match(node.value)
    ]

    assert strays == []


def test_queries_never_commit() -> None:
    committing = [
        str(path.relative_to(ROOT))
        for path in _source_files()
        if "queries" in str(path) and re.search(r"\.commit\(\)", path.read_text(encoding="utf-8"))
    ]

    assert committing == []
