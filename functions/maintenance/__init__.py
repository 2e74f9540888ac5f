"""Started every minute: puts right what a crash, an outage or time has left behind."""
