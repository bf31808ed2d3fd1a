"""The deployment that holds the router; the only part of the application that loads torch."""
