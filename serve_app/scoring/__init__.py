"""The scorer deployment; the only part of the application that loads torch."""
