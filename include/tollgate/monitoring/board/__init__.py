"""The Model Board: one page a book that says whether its model is all right, and if not, since when and why.

The pictures are drawn and published when a night is reported on; the page is put together when somebody looks.
"""

from tollgate.monitoring.board.page import board_page
from tollgate.monitoring.board.publishing import publish_board

__all__ = ["board_page", "publish_board"]
