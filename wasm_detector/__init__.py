"""Prelisten detector."""
