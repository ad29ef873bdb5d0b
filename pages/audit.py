"""What is wrong with the set itself, before anyone believes a figure."""

from explorer.ui.audit import page as audit
from explorer.ui.shared.frame import page

with page("Audit") as view:
    section = audit.choose_section()
    audit.show(view, section)
