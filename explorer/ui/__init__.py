"""The interface's building blocks. Everything that imports Streamlit is here, and the only cache decorators."""
