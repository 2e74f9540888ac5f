"""E-mail addresses that mail can be sent to."""

import re
from typing import Final

MAX_ADDRESS: Final = 254
"""Of an e-mail address, as RFC 5321 (section 4.5.3.1.3) has it without the angle brackets."""

_SHORTEST_TOP_LEVEL: Final = 2

# A cold start that meets these only is spared the import of the validator, which would change nothing in them.
_COMMON_ADDRESS: Final = re.compile(
    r"(?=.{6,64}\Z)[a-zA-Z0-9_+-]+(?:\.[a-zA-Z0-9_+-]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+(?:com|net|org)"
)


def deliverable_address(address: str) -> str:
    """The e-mail address in the form in which SES takes it: its domain in ASCII (IDNA 2008) and small letters.

    Raises:
        ValueError: no mail can be sent to it; the message says why. SES takes no letters outside ASCII before the @,
            and the internet has neither hosts without a dot nor those of RFC 6761.
    """
    if _COMMON_ADDRESS.fullmatch(address):
        return address
    if len(address) > MAX_ADDRESS:
        raise ValueError(f"It has more than {MAX_ADDRESS} characters.")
    from email_validator import validate_email

    found = validate_email(address, allow_smtputf8=False, check_deliverability=False, strict=True)
    assert found.ascii_email is not None  # as SMTPUTF8 is not allowed
    # RFC 3696, section 2; the root has none of one letter either.
    if len(found.ascii_domain.rpartition(".")[2]) < _SHORTEST_TOP_LEVEL:
        raise ValueError("There is no top-level domain of one letter.")
    return found.ascii_email
