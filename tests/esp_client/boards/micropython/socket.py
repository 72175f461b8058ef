"""A fake of MicroPython's socket with scripted responses of the server and a broker."""

SOCK_STREAM = 1
ID = "ec42179b76a53de03a9ace42975a4fc6"
BASE = "acme/paris/temperature/" + ID
BODY = (
    b'{"data":{"registerDevice":{"outcome":"CREATED","token":"rcd_AJOWkX21a3r5TxrLFGk__vy_",'
    b'"retryAfterSeconds":null,"device":{"id":"%s","topics":{"data":"%s","config":"%s/config",'
    b'"state":"%s/state","status":"%s/status","listen":[]},'
    b'"config":{"version":1,"intervalSeconds":60,"qos":1}},'
    b'"broker":{"host":null,"port":1883,"tls":false,"username":"%s"},"errors":[]},'
    b'"acknowledgeConfig":{"errors":[]}}}'
) % tuple(text.encode() for text in (ID, BASE, BASE, BASE, BASE, ID))


def getaddrinfo(host, port, family=0, kind=0):
    return [(2, SOCK_STREAM, 0, "", (host, port))]


HTTP = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
CONFIG = (
    b'{"v":2,"interval":30,"qos":1,"at":1764000000,'
    b'"listen":["acme/paris/temperature/+"],"set":{"offset":0.5}}'
)
PUBLISHED = bytes([0, len(BASE) + 7]) + BASE.encode() + b"/config" + b"\x00\x07" + CONFIG
MESSAGE = b"\x33" + bytes([len(PUBLISHED) & 127 | 128, len(PUBLISHED) >> 7]) + PUBLISHED
published = []  # payloads that the broker received


class socket:  # noqa: N801
    def __init__(self, *_):
        self.responses = []
        self.position = 0

    def settimeout(self, seconds):
        pass

    def setblocking(self, flag):
        pass

    def connect(self, address):
        self.port = address[1]

    def sendall(self, data):
        if self.port == 8000:
            self.responses.append(HTTP)
            return
        start = 3 if data[1] > 127 else 2
        kind, number = data[0] & 0xF0, data[start : start + 2]
        if kind == 0x10:
            self.responses.append(b"\x20\x02\x00\x00")
        elif kind == 0x30:
            size = 2 + int.from_bytes(number, "big")
            published.append(data[start + size + 2 :])
            self.responses.append(b"\x40\x02" + data[start + size : start + size + 2])
        elif kind == 0x80:
            topics = data.count(b"acme/")
            self.responses.append(b"\x90" + bytes([2 + topics]) + number + b"\x01" * topics)
            if data.endswith(b"/config\x01"):
                self.responses.append(MESSAGE)

    def recv(self, size):
        # The rest is not copied: the test measures only the memory of the client.
        if not self.responses:
            raise OSError(11)
        data = self.responses[0][self.position : self.position + size]
        self.position += len(data)
        if self.position == len(self.responses[0]):
            self.responses.pop(0)
            self.position = 0
        return data

    def close(self):
        pass
