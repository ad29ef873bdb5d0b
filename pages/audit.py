"""What is wrong with the set itself, before anyone believes a figure."""

from explorer.ui import parameters
from explorer.ui.audit.page import choose_section, show_section
from explorer.ui.shared.frame import page

with page("Audit", parameters.AUDIT) as view:
    section = choose_section(view)
    show_section(view, section)
