"""What is wrong with an object, in the words of the API server. Values only; nobody looks for it here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where: `spec.worker.replicas`, `Invalid value: -1: ...`."""

    path: str
    message: str

    def __str__(self) -> str:
        """As the API server prints it."""
        return f"{self.path}: {self.message}"


class InvalidObject(ValueError):
    """An object that the API server would refuse, with everything that is wrong with it."""

    def __init__(self, kind: str, name: str, problems: tuple[Problem, ...]) -> None:
        """Of one object, by kind and name; `problems` is not empty."""
        super().__init__(kind, name, problems)
        self.kind = kind
        self.name = name
        self.problems = problems

    def __str__(self) -> str:
        """Kind, name and every problem with its path."""
        return f'{self.kind} "{self.name}" is invalid: ' + "; ".join(map(str, self.problems))
