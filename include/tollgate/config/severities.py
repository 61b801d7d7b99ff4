"""How grave what people are told may be, the mildest first."""

from __future__ import annotations

from typing import Literal, get_args

Severity = Literal["info", "warning", "page"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
