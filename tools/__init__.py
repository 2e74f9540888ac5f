"""What drives, watches and checks the system from outside: the local cloud, the command line, audit, chaos, bench."""
