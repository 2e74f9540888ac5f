"""What SES tells of mails that it took, in the form in which SNS passes it on."""

import json
from typing import Any

FEEDBACK_ID = "0102018c4d6d4b52-4f6e8a3a-0000-4e0c-9d3c-7a2f9f1f9a11-000000"


def bounce(message_id: str, *addresses: str, bounce_type: str = "Permanent") -> str:
    """The mail came back."""
    recipients = [
        {
            "emailAddress": address,
            "action": "failed",
            "status": "5.1.1",
            "diagnosticCode": f"smtp; 550 {address}",
        }
        for address in addresses
    ]
    told = {"bounceType": bounce_type, "bounceSubType": "General", "bouncedRecipients": recipients}
    return _event("Bounce", message_id, addresses, {"bounce": {**told, "feedbackId": FEEDBACK_ID}})


def complaint(message_id: str, *addresses: str) -> str:
    """The recipient calls the mail unwanted."""
    recipients = [{"emailAddress": address} for address in addresses]
    told = {"complainedRecipients": recipients, "complaintFeedbackType": "abuse", "feedbackId": FEEDBACK_ID}
    return _event("Complaint", message_id, addresses, {"complaint": told})


def _event(kind: str, message_id: str, addresses: tuple[str, ...], told: dict[str, Any]) -> str:
    mail = {
        "timestamp": "2026-01-01T00:00:00.000Z",
        "source": "orders@example.com",
        "messageId": message_id,
        "destination": list(addresses),
        "headers": [{"name": "To", "value": ", ".join(addresses)}],
        "tags": {"ses:configuration-set": ["orders-test-mails"]},
    }
    return json.dumps({"eventType": kind, "mail": mail, **told})
