"""Everything that imports streamlit, and the only cache decorators."""
