"""One package per Lambda function (or family of them): parse, one call, respond."""
