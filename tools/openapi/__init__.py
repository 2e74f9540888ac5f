"""The API's one document: OpenAPI 3.1, made of what the functions declare and what the CDK app says of routes."""
