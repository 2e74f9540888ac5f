"""The local cloud: Postgres and an AWS emulator on this machine, the real CDK deploy on top, and the `orders` CLI."""
