"""Entry point: ``streamlit run streamlit_app.py``."""

from explorer.ui.frame import navigation

navigation().run()
