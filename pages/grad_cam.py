"""What each regime looks at when it scores a film for a label."""

from explorer.ui import saliency, saliency_views
from explorer.ui.frame import page

with page("Grad-CAM") as view:
    question = saliency.ask(view)
    saliency.describe(view, question)
    saliency_views.show(view, question)
