"""Checks of names.

Each check returns Kubernetes' messages about an invalid name, and none for a valid one.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

NameCheck = Callable[[str], Sequence[str]]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_1035 = "[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_CONFIG_KEY = "[-._a-zA-Z0-9]+"

_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_ENV = "a valid environment variable name must consist only of printable ASCII characters other than '='"


def _rule(pattern: str, longest: int, message: str, *examples: str) -> NameCheck:
    regex = re.compile(pattern)
    named = " or ".join(f"'{example}', " for example in examples)
    message = f"{message} ({f'e.g. {named}' if named else ''}regex used for validation is '{pattern}')"

    @lru_cache(maxsize=4096)
    def check(text: str) -> tuple[str, ...]:
        problems = (too_long(longest),) if len(text) > longest else ()
        return problems if regex.fullmatch(text) else (*problems, message)

    return check


def too_long(longest: int) -> str:
    """Return the message about a name that is too long."""
    return f"must be no more than {longest} characters"


label = _rule(
    _LABEL, 63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character", "my-name", "123-abc",
)  # fmt: skip
subdomain = _rule(
    _SUBDOMAIN, 253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character", "example.com",
)  # fmt: skip
label_1035 = _rule(
    _LABEL_1035, 63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character", "my-name", "abc-123",
)  # fmt: skip
label_value = _rule(
    _LABEL_VALUE, 63,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character", "MyValue", "my_value", "12345",
)  # fmt: skip
config_key = _rule(
    _CONFIG_KEY, 253,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    "key.name", "KEY_NAME", "key-name",
)  # fmt: skip


def path_segment(text: str) -> list[str]:
    """Check a name that only has to be a valid path segment, such as that of a role."""
    if text in {".", ".."}:
        return [f"may not be '{text}'"]
    return [f"may not contain '{char}'" for char in "/%" if char in text]


@lru_cache(maxsize=4096)
def qualified(text: str) -> Sequence[str]:
    """Check the key of a label or annotation, or the name of a finalizer."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        hint = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_QUALIFIED_MESSAGE}{hint}"]
    problems = []
    if slash:
        problems += [
            f"prefix part {message}" for message in (subdomain(prefix) if prefix else ["must be non-empty"])
        ]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {too_long(63)}")
    if not re.fullmatch(_QUALIFIED, name):
        problems.append(f"name part {_QUALIFIED_MESSAGE}")
    return problems


def port(text: str) -> list[str]:
    """Check the name of a port."""
    problems = [too_long(15)] if len(text) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", text):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text[:1] == "-" or text[-1:] == "-":
        problems.append("must not begin or end with a hyphen")
    return problems


def environment_variable(text: str) -> list[str]:
    """Check the name of an environment variable."""
    return [] if all(" " <= char <= "~" and char != "=" for char in text) else [_ENV]
