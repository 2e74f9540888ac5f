"""The API as its clients use it: HTTPS with JSON, here or on AWS.

`http` opens every connection and reads every response, and has the client for commands, which wait for each.
`orders_client` is for many requests at once.
"""
