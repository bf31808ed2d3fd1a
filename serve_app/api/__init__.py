"""HTTP as clients see it: OpenAI's paths, errors, keys, limits, and the administration of the zoo."""
