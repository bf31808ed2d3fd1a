import json

import pytest

from serve_app.candidates.rewriting import Rewriter, UpstreamError
from serve_app.contracts.answers import CandidateFailure

CHUNK = {"id": "c", "model": "upstream", "choices": [{"index": 0, "delta": {"content": "x"}}]}
DOCUMENT = {"model": "upstream", "choices": [{"index": 0, "message": {"content": "x"}}]}
EMBEDDINGS = {"model": "upstream", "data": [{"index": 0, "embedding": [0.5]}]}
USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def encode(document):
    return json.dumps(document).encode()


def chunk(*choices, **fields):
    choices = [{"index": index, "finish_reason": reason} for index, reason in choices]
    return encode({"choices": choices, **fields})


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [
        ("chat", DOCUMENT),
        ("completions", {"choices": [{"text": "x"}]}),  # adds a model where there is none
        ("embeddings", EMBEDDINGS),
        ("embeddings", {"data": [{"embedding": "AAAA"}]}),  # base64
    ],
)
def test_the_document_names_the_candidate(endpoint, document):
    answer = Rewriter('a "b"', endpoint).document(encode(document))
    assert json.loads(answer) == {**document, "model": 'a "b"'}


def test_other_fields_are_not_changed():
    odd = b'{"choices":[{"x":1.50e+1,"y":123456789012345678901234567890}],"z" : [ 1 , "\\u00e9"]}'
    answer = Rewriter("m", "chat").document(odd)
    assert b"1.50e+1" in answer
    assert b"123456789012345678901234567890" in answer
    assert b'"\\u00e9"' in answer


def test_every_chunk_names_the_candidate():
    rewriter = Rewriter("m", "chat")
    for _ in range(2):
        assert json.loads(rewriter.chunk(encode(CHUNK))) == {**CHUNK, "model": "m"}


@pytest.mark.parametrize(
    "content",
    [
        b"upstream connect error",
        b"<html></html>",
        b"",
        b"[]",
        b"7",
        b'{"choices": [{"index": 0}',
        b'{"choices": "none"}',
        b'{"choices": ["none"]}',
        b'{"choices": [{"index": "0"}]}',
        b'{"choices": [{"finish_reason": 7}]}',
        b'{"choices": null}',
        b'{"data": []}',
        b'{"choices": [{"text": "\xff"}]}',
        b'{"choices": [{"text": "\xc3"}]}',
        b'{"choices": [{"x": NaN}]}',
        b'{"choices": [' + b"[" * 100_000,
        b'{"error": "none", "choices": ' + b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("read", ["document", "chunk"])
def test_a_document_that_is_not_an_answer_is_malformed(content, read):
    with pytest.raises(CandidateFailure) as failure:
        getattr(Rewriter("m", "chat"), read)(content)
    assert failure.value.kind == "garbage"


@pytest.mark.parametrize(
    ("endpoint", "document"),
    [("chat", {"choices": []}), ("embeddings", DOCUMENT), ("embeddings", {"data": [{}]})],
)
def test_a_document_must_hold_the_requested_kind_of_answer(endpoint, document):
    with pytest.raises(CandidateFailure, match="garbage"):
        Rewriter("m", endpoint).document(encode(document))


def test_a_first_chunk_may_have_no_choice_in_its_list_and_a_last_one_no_list():
    rewriter = Rewriter("m", "chat")
    rewriter.chunk(chunk())
    rewriter.chunk(chunk((0, "stop")))
    rewriter.chunk(encode({"usage": USAGE}))
    assert rewriter.facts.completion_tokens == 4


@pytest.mark.parametrize("read", ["document", "chunk"])
@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"error": {"message": "m", "code": 429}}, 429),
        ({"error": {"message": "m", "code": "context_length_exceeded"}}, 500),
        ({"error": {"message": "m", "code": 200}}, 500),
        ({"error": "overloaded"}, 500),
        ({"object": "error", "message": "m", "code": 400}, 400),
        ({**DOCUMENT, "error": {"message": "m"}}, 500),
    ],
)
def test_an_error_is_distinguished_from_an_answer(read, document, status):
    with pytest.raises(UpstreamError) as error:
        getattr(Rewriter("m", "chat"), read)(encode(document))
    assert error.value.status == status
    assert json.loads(error.value.content) == document


@pytest.mark.parametrize("fields", [{"error": None}, {"note": "error"}, {"note": {"error": 1}}])
def test_the_word_error_alone_is_not_an_error(fields):
    Rewriter("m", "chat").document(encode({**DOCUMENT, **fields}))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (USAGE, (3, 4)),
        ({"prompt_tokens": 3, "total_tokens": 3}, (3, None)),
        (None, (None, None)),
        ([1], (None, None)),
        ({"prompt_tokens": "many"}, (None, None)),
        ({"prompt_tokens": 2**31 - 1, "completion_tokens": 0}, (2**31 - 1, 0)),
        ({"prompt_tokens": 2**31}, (None, None)),  # more than any log can hold
        ({"completion_tokens": -1}, (None, None)),
        ({"completion_tokens": 2**70}, (None, None)),
    ],
)
def test_usage_is_read_while_it_is_relayed(usage, tokens):
    rewriter = Rewriter("m", "chat")
    document = {**DOCUMENT, "usage": usage}
    assert json.loads(rewriter.document(encode(document)))["usage"] == usage
    assert (rewriter.facts.prompt_tokens, rewriter.facts.completion_tokens) == tokens


def test_the_last_usage_counts_and_none_after_it_changes_nothing():
    rewriter = Rewriter("m", "chat")
    for usage in ({"prompt_tokens": 3, "completion_tokens": 1}, USAGE, None):
        rewriter.chunk(chunk((0, None), usage=usage))
    assert rewriter.facts.completion_tokens == 4


@pytest.mark.parametrize(
    ("chunks", "is_finished"),
    [
        ([], False),
        ([[]], False),
        ([[(0, None)]], False),
        ([[(0, "")]], False),
        ([[(0, None)], [(0, "stop")]], True),
        ([[(0, "stop")], []], True),
        ([[(0, None), (1, None)], [(1, "length")]], False),
        ([[(0, None), (1, None)], [(1, "length")], [(0, "stop")]], True),
    ],
)
def test_a_stream_is_finished_when_every_choice_has_its_reason(chunks, is_finished):
    rewriter = Rewriter("m", "chat")
    for choices in chunks:
        rewriter.chunk(chunk(*choices))
    assert rewriter.is_finished is is_finished
