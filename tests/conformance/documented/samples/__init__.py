"""Samples of the contract, verbatim."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def sample(name: str) -> Any:
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())
