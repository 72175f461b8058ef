"""Limits of values from the network or from files."""

MAX_TOPIC = 255


def is_int(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_filter(text: str) -> bool:
    """True if a broker accepts it in a SUBSCRIBE (MQTT 3.1.1, section 4.7). After an invalid filter
    it closes the connection.
    """
    if not is_text(text):
        return False
    levels = text.split("/")
    wildcards = [level for level in levels if "+" in level or "#" in level]
    return "#" not in levels[:-1] and all(level in ("+", "#") for level in wildcards)


def is_name(text: str) -> bool:
    return is_text(text) and "+" not in text and "#" not in text


def is_text(text: str) -> bool:
    """True without control characters, which brokers refuse, and without UTF-16 surrogates."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TOPIC:
        return False
    return all(" " <= c < "\x7f" or "\x9f" < c < "\ud800" or c > "\udfff" for c in text)
