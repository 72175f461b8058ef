"""Alerts to people, made from `events`; none are sent yet."""
