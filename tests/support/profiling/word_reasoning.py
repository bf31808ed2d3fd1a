"""A reasoning parser of the operator's own, for the tiny model: ``w53`` ends its reasoning."""

from vllm.reasoning import ReasoningParserManager
from vllm.reasoning.basic_parsers import BaseThinkingReasoningParser


@ReasoningParserManager.register_module("words")
class WordReasoningParser(BaseThinkingReasoningParser):
    """Reads everything up to the end word as reasoning."""

    start_token = "<pad>"  # never part of an answer's text
    end_token = "w53"
