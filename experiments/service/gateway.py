"""A gateway as many are written: it passes each request on to the model, and the answer back as it comes.

Its client is httpx with its own defaults: 5 s to connect, and 5 s from one read to the next.
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

MODEL = httpx.Client()


class Gateway(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with MODEL.stream("POST", f"http://model:8000{self.path}", content=body) as answer:
            self.send_response(answer.status_code)
            self.send_header("content-type", answer.headers["content-type"])
            self.end_headers()
            for piece in answer.iter_raw():
                self.wfile.write(piece)


def serve():
    ThreadingHTTPServer(("", 8080), Gateway).serve_forever()


if __name__ == "__main__":
    serve()
