"""skip_chunks passes over whole, plain chunks, and leaves everything else to the reading line by line."""

from __future__ import annotations

import pytest

from easpcap.http.framing import skip_chunks
from tests.http.talk import chunked


def test_whole_chunks_are_passed_to_the_end_of_the_body():
    data = chunked(b"abc", b"d" * 300)
    assert skip_chunks(b"head" + data + b"next", 4) == (4 + len(data), 303, True)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b"5",
        b"5\r\nhell",
        b"5\r\nhello",
        b"5\r\nhello\r",
        b"5;x\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"5\nhello\n",
        b"5\r\nhello, world\r\n",
        b"\r\n",
        b"0\r\nEtag: x\r\n\r\n",
        b"0" * 16 + b"\r\n\r\n",
        b"f" * 15 + b"\r\n",
    ],
)
def test_what_is_not_whole_or_not_plain_is_left(rest):
    before = b"3\r\nabc\r\n"
    assert skip_chunks(before + rest, 0) == (len(before), 3, False)
