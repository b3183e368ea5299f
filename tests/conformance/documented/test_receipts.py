"""The verifier of this suite against the contract's signed samples, so that its yes and its no mean something."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import pytest

from receipts import ReceiptError, canonical, strength, verify_receipt, verify_signed
from samples import sample

KEYS = sample("receipt_keys")


@pytest.mark.parametrize("name", ["receipt_verified_namespace_invalidation", "receipt_expiry_bound"])
def test_documented_receipts_verify(name: str) -> None:
    verify_receipt(sample(name), KEYS)


def test_the_documented_report_verifies() -> None:
    verify_signed(sample("diagnostic_report"), KEYS)


@pytest.mark.parametrize(
    "path, value",
    [
        (["namespace_generation"], 8),
        (["completed_at"], "2026-06-15T16:21:52Z"),
        (["scope", "artifact_ids"], []),
        (["guarantee"], "verified_physical_purge"),
        (["processors", 3, "guarantee"], "verified_physical_purge"),
        (["unknown_member"], 1),
        (["digest"], "sha256:" + "0" * 64),
    ],
)
def test_a_changed_receipt_does_not_verify(path: list[str | int], value: object) -> None:
    receipt = copy.deepcopy(sample("receipt_verified_namespace_invalidation"))
    target = receipt
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    with pytest.raises(ReceiptError, match="digest"):
        verify_receipt(receipt, KEYS)


def changed_by_one_byte(text: bytes) -> Iterator[bytes]:
    """Every text that differs in one bit."""
    for position, byte in enumerate(text):
        for bit in range(8):
            yield text[:position] + bytes([byte ^ 1 << bit]) + text[position + 1 :]


@pytest.mark.parametrize("name", ["receipt_verified_namespace_invalidation", "receipt_expiry_bound"])
def test_no_receipt_with_one_byte_changed_verifies(name: str) -> None:
    text = json.dumps(sample(name), separators=(",", ":")).encode()
    refused = 0
    for changed in changed_by_one_byte(text):
        try:
            receipt = json.loads(changed)
        except ValueError:
            continue
        with pytest.raises(ReceiptError):
            verify_receipt(receipt, KEYS)
        refused += 1
    assert refused > len(text), "most changes are still JSON"


@pytest.mark.parametrize("member", ["kid", "kty", "crv", "x"])
def test_no_key_with_one_byte_changed_verifies(member: str) -> None:
    receipt = sample("receipt_expiry_bound")
    for changed in changed_by_one_byte(KEYS["keys"][0][member].encode()):
        keys = copy.deepcopy(KEYS)
        keys["keys"][0][member] = changed.decode("latin-1")
        with pytest.raises(ReceiptError):
            verify_receipt(receipt, keys)


def test_the_signature_of_another_document_does_not_verify() -> None:
    receipt = sample("receipt_verified_namespace_invalidation")
    receipt["signature"] = sample("receipt_expiry_bound")["signature"]
    with pytest.raises(ReceiptError, match="signature"):
        verify_receipt(receipt, KEYS)


def test_a_key_that_is_not_listed_does_not_verify() -> None:
    with pytest.raises(ReceiptError, match="0 keys"):
        verify_receipt(sample("receipt_expiry_bound"), {"keys": []})


def test_an_unknown_guarantee_is_the_weakest() -> None:
    assert strength("carved_in_stone") > strength("handle_revocation") > strength("verified_physical_purge")


def test_canonical_json_follows_rfc_8785() -> None:
    # The member order of RFC 8785, section 3.2.3: by UTF-16 code units, not by code points.
    members = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert canonical(members) == '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\U0001f600":5,"\ufb33":3}'
    assert (
        canonical([1.0, 0.5, -0.0, 0.0001, True, None, '\u000f\n/"']) == '[1,0.5,0,0.0001,true,null,"\\u000f\\n/\\""]'
    )
