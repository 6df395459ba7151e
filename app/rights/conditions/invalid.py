"""What a text that is no condition raises."""

from __future__ import annotations


class ConditionInvalid(ValueError):
    """A condition cannot be what it is written as. The message says what to write, in one line."""
