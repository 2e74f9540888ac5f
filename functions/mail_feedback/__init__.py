"""Mails that came back and mails that were complained of: their addresses get no mail any more."""
