"""What is wrong with the set itself, before anyone believes a figure."""

from explorer.ui import audit
from explorer.ui.frame import page

with page("Audit") as view:
    section = audit.choose_section()
    audit.show(view, section)
