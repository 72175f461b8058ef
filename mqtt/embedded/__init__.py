"""The broker inside the server's process: amqtt's, let in and held to what a client may do."""

from mqtt.embedded.embedded_broker import EmbeddedBroker
from mqtt.embedded.limits import BrokerLimits
from mqtt.embedded.server_socket import PortTaken, listen

__all__ = ["BrokerLimits", "EmbeddedBroker", "PortTaken", "listen"]
