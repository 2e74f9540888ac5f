"""`make chaos`: faults injected while orders are placed, and the promises checked afterwards.

Two things are kept apart. A *plan* (`plan`) says which orders are placed and which faults strike, and is nothing but
its seed. The *nemesis* (`nemesis`) carries the faults out on a running local cloud, from outside the product: it stands
between the functions and Postgres (`wire`), between the relay and SQS (`sqs_proxy`), and sends signals to processes.
When it has stopped, a *checker* (`checker`) reads what is left behind.

It is a package of its own, like `bench`, because it drives the local cloud from outside: nothing imports it.
"""
