"""What each regime looks at when it scores a film for a label."""

from explorer.ui import saliency
from explorer.ui.frame import page

with page("Grad-CAM") as view:
    question = saliency.ask(view)
    saliency.describe(view, question)
    saliency.side_by_side(view, question)
