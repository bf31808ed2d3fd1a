"""HTTP as clients see it: paths, errors, keys, limits, and the administration of the zoo."""
