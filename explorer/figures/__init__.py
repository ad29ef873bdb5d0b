"""Frames and arrays to Plotly figures. Pure: no store, no Streamlit."""
