#!/usr/bin/env python3
"""A filtering proxy before the Docker socket that passes 101 upgrades and half closes.

Settings, all from the environment:
  ALLOW   one regular expression a line, each matched against the whole of "METHOD /path", where the path
          has lost its version (/v1.41) and its query; `#` begins a comment. Default: ping and version.
  LISTEN  port, default 2375.   SOCKET  default /var/run/docker.sock.

Every request is one line on stdout: METHOD /path STATUS. What is not allowed is answered with 403.
One request a connection: the engine is asked to close, so clients do not reuse.
"""
import os
import re
import signal
import socket
import socketserver
import sys
import threading

PIECE = 1 << 17
HEAD_MAX = 1 << 16
DRAIN_SECONDS = 5
DEFAULT_ALLOW = "(GET|HEAD) /_ping\nGET /version"


def rules(text):
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [re.compile(line) for line in lines if line]


ALLOW = rules(os.environ.get("ALLOW") or DEFAULT_ALLOW)
SOCKET = os.environ.get("SOCKET", "/var/run/docker.sock")


def say(method, path, status):
    sys.stdout.write(f"{method} {path} {status}\n")


def read_head(connection):
    """The request or answer up to its empty line, and what came after it; None at an early end."""
    got = b""
    while b"\r\n\r\n" not in got:
        if len(got) > HEAD_MAX:
            return None
        piece = connection.recv(PIECE)
        if not piece:
            return None
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), rest


def wanted(request_line):
    """("POST", "/exec/…/start") of a request line, or None for what is no plain request."""
    words = request_line.decode("latin-1").split(" ")
    if len(words) != 3:
        return None
    path = re.sub(r"^/v[0-9]+\.[0-9]+(?=/)", "", words[1].split("?")[0])
    # An escaped or doubled path could mean something else to the engine than to a rule.
    if not path.startswith("/") or any(odd in path for odd in ("%", "..", "//")):
        return None
    return words[0], path


def pump(source, target):
    """Copies until the end of source, then tells the target that nothing more comes."""
    try:
        while piece := source.recv(PIECE):
            target.sendall(piece)
    except OSError:
        return False
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    return True


def drain(connection):
    """Closing with unread bytes would reset the connection and take the answer away from the client."""
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(DRAIN_SECONDS)
        while connection.recv(PIECE):
            pass
    except OSError:
        pass


class Conversation(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            self.converse()
        except (ConnectionError, TimeoutError):
            pass

    def converse(self):
        read = read_head(self.request)
        if read is None:
            return
        lines, body = read
        what = wanted(lines[0])
        if what is None or not any(rule.fullmatch(" ".join(what)) for rule in ALLOW):
            method, path = what or ("?", lines[0].decode("latin-1").replace(" ", "_"))
            self.refuse(method, path, 403, "Forbidden")
            return
        engine = socket.socket(socket.AF_UNIX)
        try:
            engine.connect(SOCKET)
        except OSError:
            self.refuse(*what, 502, "Bad Gateway")
            return
        with engine:
            self.pass_on(engine, lines, body, what)

    def pass_on(self, engine, lines, body, what):
        if not any(line.lower().startswith(b"upgrade:") for line in lines):
            lines = [line for line in lines if not line.lower().startswith(b"connection:")] + [b"Connection: close"]
        engine.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        up = threading.Thread(target=pump, args=(self.request, engine), daemon=True)
        up.start()
        answer = read_head(engine)
        if answer is None:
            say(*what, "000")
            return
        head, rest = answer
        say(*what, head[0].decode("latin-1").split(" ")[1])
        self.request.sendall(b"\r\n".join(head) + b"\r\n\r\n" + rest)
        if pump(engine, self.request):
            # The client may still be sending to a program that has ended.
            up.join(DRAIN_SECONDS)
            drain(self.request)

    def refuse(self, method, path, status, reason):
        say(method, path, status)
        text = f'{{"message":"{reason} by the test bed\'s proxy"}}\n'.encode()
        self.request.sendall(
            f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + (b"" if method == "HEAD" else text)
        )
        drain(self.request)


class Proxy(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Proxy(("0.0.0.0", int(os.environ.get("LISTEN", "2375"))), Conversation).serve_forever()
