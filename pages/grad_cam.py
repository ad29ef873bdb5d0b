"""What each regime looks at when it scores a film for a label, and whether a radiologist would."""

from explorer.ui.grad_cam import agreement, marking
from explorer.ui.grad_cam import controls as saliency
from explorer.ui.grad_cam import pictures as saliency_views
from explorer.ui.grad_cam import sanity as proof
from explorer.ui.shared.frame import page

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
