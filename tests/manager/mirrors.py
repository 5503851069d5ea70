"""Registries in front of a real one: they note who asked for what, and can misbehave."""
import http.server
import ssl
import threading
import urllib.error
import urllib.request


class Mirror:
    """@upstream: "127.0.0.1:port" of a real registry. @prefix: below which the API lies instead of "/v2".
    @corrupt: large blobs come with a wrong byte. @hang: an Event that large blobs wait for. @tls: an ssl.SSLContext."""

    def __init__(self, upstream, prefix="/v2", corrupt=False, hang=None, tls=None, status=None):
        self.upstream, self.prefix, self.corrupt, self.hang, self.status = upstream, prefix, corrupt, hang, status
        self.requests = []  # (path with its query, headers)
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                mirror.requests.append((self.path, dict(self.headers)))
                try:
                    mirror.answer(self)
                except OSError:  # the client has gone
                    self.close_connection = True

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.scheme = "https" if tls else "http"
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.url = f"{self.scheme}://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def paths(self):
        return [path for path, _ in self.requests]

    def answer(self, handler):
        if self.status:
            return self.send(handler, self.status, b"{}", {})
        rest = handler.path.split("?")[0].removeprefix(self.prefix)
        request = urllib.request.Request(f"http://{self.upstream}/v2{rest}")
        for name in ("Accept", "Range"):
            if handler.headers.get(name):
                request.add_header(name, handler.headers[name])
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:
                body, status, headers = reply.read(), reply.status, reply.headers
        except urllib.error.HTTPError as error:
            body, status, headers = error.read(), error.code, error.headers
        large = "/blobs/" in rest and len(body) > 20000
        if large and self.corrupt:
            body = body[:1000] + bytes([body[1000] ^ 1]) + body[1001:]
        kept = {name: headers[name] for name in ("Content-Type", "Docker-Content-Digest", "Content-Range")
                if headers.get(name)}
        if large and self.hang:
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:5000])
            handler.wfile.flush()
            self.hang.wait(120)
            handler.close_connection = True
            return None
        return self.send(handler, status, body, kept)

    def send(self, handler, status, body, headers):
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def close(self):
        if self.hang:
            self.hang.set()
        self.server.shutdown()
        self.server.server_close()


def server_tls(certificate, key, clients=None):
    """@clients: authorities whose certificates clients must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    return context
