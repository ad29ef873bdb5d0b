"""Entry point: ``streamlit run streamlit_app.py``."""

from explorer.ui.shared.frame import navigation

navigation().run()
