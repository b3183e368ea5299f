"""Offline verification of purge receipts and diagnostic reports, from the contract's text alone (v2.md, "Purge").

Shares no code with the Rust verifier, so the two check one another.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

# Strongest first. A class that is not listed is weaker than all that are.
GUARANTEES = [
    "verified_physical_purge",
    "verified_namespace_invalidation",
    "provider_confirmed_deletion",
    "expiry_bound",
    "handle_revocation",
]


class ReceiptError(Exception):
    """The document is not what its signer signed, or claims more than it may."""


def canonical(value: Any) -> str:
    """RFC 8785 (JCS), for the JSON that Python's ``json`` reads."""
    if isinstance(value, dict):
        # JCS orders members by their UTF-16 code units.
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(item)}" for name, item in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, float):
        return canonical_float(value)
    return json.dumps(value, ensure_ascii=False)


def canonical_float(value: float) -> str:
    """A float as ECMAScript prints it, in the range where that needs no exponent."""
    if value == int(value) and abs(value) < 2**53:
        return str(int(value))
    text = repr(value)
    if "e" in text:
        raise ReceiptError(f"{text} is outside the range of numbers that reports use")
    return text


def strength(guarantee: str) -> int:
    """The larger, the weaker."""
    return GUARANTEES.index(guarantee) if guarantee in GUARANTEES else len(GUARANTEES)


def verify_signed(document: dict[str, Any], key_set: dict[str, Any]) -> None:
    """Steps 1 to 4: digest, and signature over the digest's bytes."""
    try:
        check_signed(document, key_set)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ReceiptError("not a signed document") from error


def check_signed(document: dict[str, Any], key_set: dict[str, Any]) -> None:
    unsigned = {name: value for name, value in document.items() if name not in ("digest", "signature")}
    digest = hashlib.sha256(canonical(unsigned).encode()).digest()
    if document["digest"] != f"sha256:{digest.hex()}":
        raise ReceiptError("the digest does not belong to this content")
    signature = document["signature"]
    if signature["algorithm"] != "ed25519":
        raise ReceiptError(f"unknown algorithm {signature['algorithm']}")
    keys = [key for key in key_set["keys"] if key["kid"] == signature["key_id"]]
    if len(keys) != 1:
        raise ReceiptError(f"{len(keys)} keys are called {signature['key_id']}")
    key = keys[0]
    if (key["kty"], key["crv"]) != ("OKP", "Ed25519"):
        raise ReceiptError("not an Ed25519 key")
    try:
        Ed25519PublicKey.from_public_bytes(unpadded(key["x"])).verify(unpadded(signature["value"]), digest)
    except InvalidSignature as error:
        raise ReceiptError("the signature is not by this key") from error


def verify_receipt(receipt: dict[str, Any], key_set: dict[str, Any]) -> None:
    """All five steps for a purge receipt."""
    verify_signed(receipt, key_set)
    weakest = max((processor["guarantee"] for processor in receipt["processors"]), key=strength)
    if receipt["guarantee"] != weakest:
        raise ReceiptError(f"claims {receipt['guarantee']}, but its weakest processor gives {weakest}")


def unpadded(text: str) -> bytes:
    """base64url without padding, in the one way that these bytes are written."""
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # Python's decoder ignores foreign characters, padding and the bits that are left over at the end.
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != text:
        raise ReceiptError("not base64url without padding")
    return data
