"""What the worst message costs in memory: never more than ten times the greatest size of a message."""

from __future__ import annotations

import tracemalloc

import pytest

from protocol import cbor
from protocol.ack import decode_ack
from protocol.batch import decode_batch
from protocol.cose_mac import parse
from protocol.cose_sign import parse as parse_sign
from protocol.enrolment import decode_enrolled, decode_request
from protocol.errors import RemoteProtocolError
from protocol.fare_table import decode_fare_table
from protocol.keyset import decode_key_set
from protocol.limits import MESSAGE_BYTES_MAX
from protocol.list_delta import decode_delta
from protocol.medium_list import decode_list
from protocol.rotation import decode_retirement, decode_rotation
from protocol.tap import decode_tap
from tests.protocol.worst_messages import make_worst

_WORST = make_worst()
_BYTES_MAX = 10 * MESSAGE_BYTES_MAX
_DECODERS = (
    cbor.decode,
    parse,
    parse_sign,
    decode_ack,
    decode_batch,
    decode_delta,
    decode_enrolled,
    decode_fare_table,
    decode_key_set,
    decode_list,
    decode_request,
    decode_retirement,
    decode_rotation,
    decode_tap,
)


@pytest.mark.parametrize("name", _WORST)
def test_no_decoder_takes_more_than_ten_times_the_size_of_a_message(name: str) -> None:
    # What the codec refuses, it refuses for all.
    for decoder in _DECODERS if name.startswith("accepted") else _DECODERS[:1]:
        tracemalloc.start()
        try:
            decoder(_WORST[name])
        except RemoteProtocolError:
            pass
        finally:
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak_bytes < _BYTES_MAX, decoder


def test_the_worst_are_what_they_are_called() -> None:
    assert {len(message) > MESSAGE_BYTES_MAX for message in _WORST.values()} == {False}
    for name in _WORST:
        if name.startswith("accepted"):
            assert cbor.encode(cbor.decode(_WORST[name])) == _WORST[name]
