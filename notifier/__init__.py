"""Alerts to people, made from `events`."""
