"""The web side without Streamlit: the gate before every answer, our own routes, where the server listens."""
