"""What developers and operators run; nothing of it is deployed.

`cli` is `bin/orders`. `cloud` is the local cloud, `client` the API's client, `audit` checks the promises. `demo`,
`chaos` and `bench` are `make demo`, `make chaos` and `make bench`; `openapi` is `make openapi`, `setup` `make setup`.
Beside them is what several of them and the tests put around a function: `http_event` calls it, `sqs_server` is its SQS,
and `postgres_proxy`, with `round_trips` on top, stands between it and Postgres.
"""
