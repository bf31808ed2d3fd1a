"""The tables that pass between the applications: their schemas, and atomic reading and writing."""
