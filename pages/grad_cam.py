"""What each regime looks at when it scores a film for a label, and whether a radiologist would."""

from explorer.ui import parameters
from explorer.ui.grad_cam import agreement, controls, marking, pictures, sanity, strip
from explorer.ui.shared.frame import page

with page("Grad-CAM", parameters.GRAD_CAM) as view:
    match controls.choose_view(view):
        case "agreement":
            agreement.agreement_view(view)
        case "sanity":
            sanity.sanity_view(view)
        case "mark":
            marking.marking_view(view)
        case name:
            question = controls.choose_question(view, name)
            controls.film_summary(view, question)
            pictures.pictures_view(view, question)
            strip.strip(view, question)
