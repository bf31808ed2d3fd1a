"""The demo's vision candidate: a LLaVA of half a million weights that answers about pictures."""
