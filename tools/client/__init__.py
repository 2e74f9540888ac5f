"""The API as its clients use it: HTTPS with JSON, here or on AWS.

`http` opens every connection and reads every response. `orders_client` and `catalogue_client` are for many requests at
once, `api_client` and `webhook_client` for commands, which wait for each.
"""
