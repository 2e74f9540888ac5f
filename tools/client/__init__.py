"""The API as its clients use it, over HTTP."""
