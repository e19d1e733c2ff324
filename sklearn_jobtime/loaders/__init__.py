"""Readers of run histories from where they are."""
