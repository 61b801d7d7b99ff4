"""The Model Board: one page a book that says whether its model is all right, and if not, since when and why.

The pictures are drawn and published when a night is reported on; the page is put together when somebody looks.
"""

from typing import TYPE_CHECKING

from tollgate.lazily import found_in
from tollgate.monitoring.board.page import board_page

if TYPE_CHECKING:
    from tollgate.monitoring.board.publishing import publish_board

__getattr__ = found_in(__name__, "publishing")

__all__ = ["board_page", "publish_board"]
