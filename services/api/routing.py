"""The table of commands by path. Reads are Litestar's; what writes is found here, in one lookup."""

from collections.abc import Iterable

from services.api import calls


class Routes:
    """Finds the command of a path: `/a`, `/a/b` or `/a/{id}/b`."""

    def __init__(self, commands: Iterable[calls.Command]) -> None:
        self._fixed: dict[str, dict[str, calls.Command]] = {}
        self._with_id: dict[tuple[str, str], dict[str, calls.Command]] = {}
        for command in commands:
            parts = command.path.split("/")
            if "{" in command.path:
                assert len(parts) == 4  # noqa: PLR2004 the one shape that find() knows
                self._with_id.setdefault((parts[1], parts[3]), {})[command.method] = command
            else:
                self._fixed.setdefault(command.path, {})[command.method] = command

    def find(self, path: str) -> tuple[dict[str, calls.Command], str]:
        """The commands of a path by method, and the id in it."""
        by_method = self._fixed.get(path)
        if by_method is not None:
            return by_method, ""
        parts = path.split("/")
        if len(parts) == 4:  # noqa: PLR2004 as above
            return self._with_id.get((parts[1], parts[3]), {}), parts[2]
        return {}, ""
