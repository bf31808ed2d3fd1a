"""From a request to a ranking of candidates: what is scored, who may answer, in what order."""
