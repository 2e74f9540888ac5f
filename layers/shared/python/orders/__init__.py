"""The package every function shares: the domain at its centre, storage and AWS at its edges."""
