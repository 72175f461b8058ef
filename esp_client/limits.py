"""What a value from outside may be."""

LONGEST_TOPIC = 255


def whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_filter(text: str) -> bool:
    """Whether a broker takes it in a SUBSCRIBE (MQTT 3.1.1, section 4.7); a wrong one ends the
    connection.
    """
    if not is_text(text):
        return False
    levels = text.split("/")
    wildcards = [level for level in levels if "+" in level or "#" in level]
    return "#" not in levels[:-1] and all(level in ("+", "#") for level in wildcards)


def is_name(text: str) -> bool:
    return is_text(text) and "+" not in text and "#" not in text


def is_text(text: str) -> bool:
    """Without control characters, which brokers refuse, and without halves of UTF-16 pairs."""
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TOPIC:
        return False
    return all(" " <= c < "\x7f" or "\x9f" < c < "\ud800" or c > "\udfff" for c in text)
