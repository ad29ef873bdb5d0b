"""What each regime looks at when it scores a film for a label, and whether a radiologist would."""

from explorer.ui import agreement, marking, proof, saliency, saliency_views
from explorer.ui.frame import page

with page("Grad-CAM") as view:
    match saliency.shown():
        case "agreement":
            agreement.show(view)
        case "proof":
            proof.show(view)
        case "mark":
            marking.show(view)
        case shown:
            question = saliency.ask(view, shown)
            saliency.describe(view, question)
            saliency_views.show(view, question)
