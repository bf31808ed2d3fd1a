"""The serving application: one OpenAI-compatible endpoint over the candidates of a zoo.

Ray Serve runs one application per candidate, each on its own vLLM engine, and one application
named ``router``: a thin HTTP ingress and a batched scorer. Only a candidate's own processes
load vLLM, only the scorer's load torch.
"""
