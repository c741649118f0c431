"""What is wrong with a body, gathered: a client hears all of it at once."""

from collections.abc import Collection, Iterable

from services.api import guards, problems

FAULTS_MAX = 100
_NAME_CHARACTERS_MAX = 200


class Findings:
    """The base of readers, which say what each member must be."""

    def __init__(self) -> None:
        self.faults: list[problems.Fault] = []

    def wrong(self, pointer: str, detail: str) -> None:
        self.faults.append(problems.Fault(pointer=pointer, detail=detail))

    def refuse_unknown(
        self, given: Iterable[str], known: Collection[str], pointer: str = ""
    ) -> None:
        for name in given:
            if name not in known:
                self.wrong(
                    f"{pointer}/{guards.escape(name[:_NAME_CHARACTERS_MAX])}",
                    f"is not known here; known: {', '.join(known)}",
                )

    def raise_if_wrong(self, nothing: str) -> None:
        """nothing: what was left undone, e.g. `nothing was stored`."""
        if self.faults:
            raise problems.Problem(
                "invalid-request", f"{nothing}: see errors", errors=self.faults[:FAULTS_MAX]
            )
