"""`make chaos`: faults injected while orders are placed, and the promises checked afterwards.

Two things are kept apart. A *plan* (`plan`) says which orders are placed and which faults strike, and is nothing but
its seed. The *nemesis* (`nemesis`, Jepsen's word) carries the faults out on a running local cloud, from outside the
product: it stands between the functions and Postgres (`database_faults`, behind `tools.postgres_proxy`), between the
relay and SQS (`sqs_proxy`), and sends signals to processes. When it has stopped, `tools.audit` reads what is on record,
and `verdicts` adds what only this run knows.
"""
