"""The tables that the applications exchange: schemas, and atomic reading and writing."""
