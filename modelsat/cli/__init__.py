"""The console script ``modelsat``: commands of the library, and those that applications add."""
