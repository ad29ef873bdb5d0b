"""Many columns at once, but never so many that memory runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS = 2**22


def chunks(rows: NDArray[Any], size: int) -> list[NDArray[Any]]:
    """``rows`` in order, so many at once that ``size`` numbers for each make some 16 MB of float32."""
    step = max(1, _NUMBERS // max(size, 1))
    return [rows[i : i + step] for i in range(0, len(rows), step)]
