"""The model zoo: the candidates that a request may be routed to."""
