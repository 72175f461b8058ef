"""The MQTT broker inside the server process: amqtt, with authentication, rights and limits."""

from mqtt.embedded.embedded_broker import EmbeddedBroker
from mqtt.embedded.limits import BrokerLimits
from mqtt.embedded.server_socket import PortTaken, listen

__all__ = ["BrokerLimits", "EmbeddedBroker", "PortTaken", "listen"]
