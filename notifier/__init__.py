"""Alerts to people about events."""
