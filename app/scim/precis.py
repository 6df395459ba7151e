"""How userNames compare: by the PRECIS profile UsernameCaseMapped (RFC 8265 §3.3), as RFC 7644 §7.8 asks.

Two names that look alike but are written with other code points, letter case or width are one name, in
filters and in uniqueness alike. All other strings compare as the library does by default.
"""

from __future__ import annotations

from typing import Any, Final
from unicodedata import category, normalize

from precis_i18n import get_profile
from scim2_models import default_comparison_key

USER_NAME: Final = "urn:ietf:params:scim:schemas:core:2.0:User:userName"

LONGEST_USER_NAME: Final = 1_024
"""How many characters a userName may have: to prepare one takes ten microseconds for each."""

_PROFILE: Final = get_profile("UsernameCaseMapped")
_ROUNDS: Final = 4


def strict_comparison_key(binding: Any, value: str) -> str:
    """Return the string that comparisons use in place of a value; a userName must fit the profile.

    :param binding: the :class:`~scim2_models.AttributeBinding` of the attribute.
    :raises ValueError: when the profile refuses a userName, or it is too long. The message does not
        repeat it.
    """
    if binding.urn != USER_NAME:
        return default_comparison_key(binding, value)
    _refuse_long(value)
    return _prepared(value)


def tolerant_comparison_key(binding: Any, value: str) -> str:
    """Return the string that comparisons use in place of a value; a userName need not fit the profile.

    Identity providers send names with spaces and other characters that the profile refuses. Such a name
    compares by its lower case in Normalization Form KC, without invisible format characters. One that the
    profile accepts has the same key here as in :func:`strict_comparison_key`, so connections of either kind
    see the same users.

    :param binding: the :class:`~scim2_models.AttributeBinding` of the attribute.
    :raises ValueError: when a userName is blank or too long.
    """
    return user_name_key(value) if binding.urn == USER_NAME else default_comparison_key(binding, value)


def user_name_key(value: str) -> str:
    """Return what a userName compares by, whatever connection wrote it.

    :raises ValueError: when it is blank, or has no stable form.
    """
    _refuse_long(value)
    # A folded name may fit the profile where the name itself did not: a key must be its own key.
    for _ in range(_ROUNDS):
        try:
            return _prepared(value)
        except ValueError:
            folded = _folded(value)
        if not folded.strip():
            raise ValueError("a userName must not be blank")
        if folded == value:
            return value
        value = folded
    raise ValueError("the userName has no stable form to compare it by")


def _refuse_long(value: str) -> None:
    if len(value) > LONGEST_USER_NAME:
        raise ValueError(f"a userName has at most {LONGEST_USER_NAME} characters")


def _folded(value: str) -> str:
    visible = "".join(character for character in value if category(character) != "Cf")
    return normalize("NFKC", normalize("NFKC", visible).lower())


def _prepared(value: str) -> str:
    try:
        return str(_PROFILE.enforce(value))
    except UnicodeEncodeError as error:
        raise ValueError(
            f"a userName must fit the profile UsernameCaseMapped of RFC 8265 ({error.reason})"
        ) from None
