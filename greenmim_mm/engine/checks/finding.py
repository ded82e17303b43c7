"""What a check found, and what becomes of it."""

from dataclasses import dataclass
from typing import Iterable, Literal

from ..processes import process_number


class CheckError(ValueError):
    """Something the user can mend: its message is shown alone, without a traceback."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    Args:
        level (str): ``'error'`` ends the run before anything heavy is built; ``'warning'`` is
            said, and the run goes on.
        message (str): What is wrong, with names and values, and how to mend it.
    """

    level: Literal['error', 'warning']
    message: str


def say(message: str) -> None:
    """Print once, not once per process."""
    if process_number() == 0:
        print(f'[greenmim_mm] {message}', flush=True)


def enforce(findings: Iterable[Finding]) -> None:
    """Say every warning, once; then raise one error with the messages of all errors.

    Raises:
        CheckError: If there is a finding of level ``'error'``.
    """
    findings = list(findings)
    for finding in findings:
        if finding.level == 'warning':
            say(f'warning: {finding.message}')
    errors = [finding.message for finding in findings if finding.level == 'error']
    if errors:
        raise CheckError('\n'.join(errors))
