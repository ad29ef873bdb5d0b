"""Which encoder, which way: the regimes of every run of this set in the store, on the same films."""

from explorer.ui import board, parameters
from explorer.ui.shared.frame import page

with page("Board", parameters.BOARD) as view:
    choice = board.choose_board(view)
    board.answer(view, choice)
    board.figure(view, choice)
    board.table(view, choice)
    board.differences(view, choice)
    board.other_runs(view, choice)
