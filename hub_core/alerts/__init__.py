"""Telling people: channels, what each is told, and how a message gets there."""
