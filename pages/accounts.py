"""The Accounts page: every linked organization, worst first."""

import streamlit as st

st.title("Accounts")
