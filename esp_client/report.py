"""Text for the serial console or a terminal."""

from esp_client.client import Client


def lines(client: Client, registered: bool) -> list:
    """Aligned lines with id, outcome, topics, config and broker."""
    if client.device is None:
        return ["No config yet: " + client.problem]
    result = []
    if not registered:
        result.append("Stored config in use: " + client.problem)
    topics, config = client.device["topics"], client.device["config"]
    rows = [("device", client.device["id"]), ("outcome", client.outcome or "-")]
    rows += [("topic " + name, topics[name]) for name in ("data", "config", "state", "status")]
    rows += [("listens to", name) for name in topics["listen"]]
    rows += [
        ("version", config["version"]),
        ("interval", str(config["intervalSeconds"]) + " s"),
        ("qos", config["qos"]),
    ]
    broker = client.state.get("broker")
    if broker:
        host = broker["host"] or client.settings.url.split("/")[2].split(":")[0]
        rows.append(("broker", host + ":" + str(broker["port"])))
    return result + ["%-13s %s" % (name, value) for name, value in rows]
