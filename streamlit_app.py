"""Entry point: ``streamlit run streamlit_app.py``. The server imports this file; for a visitor it runs as a page."""

from streamlit.starlette import App

if __name__ == "__main__":
    from explorer.ui.shared.frame import navigation

    navigation().run()
else:
    from explorer.ui.server import settings

    app = App(__file__, **settings())
