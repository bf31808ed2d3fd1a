"""From a request to a ranking of candidates: which text is scored, who may answer, in what order."""
