"""Takes the place of MicroPython's socket, and plays one answer of the server."""

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


class socket:  # noqa: N801
    def __init__(self, *_):
        self.answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY

    def settimeout(self, seconds):
        pass

    def connect(self, address):
        pass

    def sendall(self, data):
        pass

    def recv(self, size):
        data, self.answer = self.answer[:size], self.answer[size:]
        return data

    def close(self):
        pass
