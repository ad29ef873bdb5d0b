"""What a page says, computed from a store: frames and sentences. No Streamlit."""
