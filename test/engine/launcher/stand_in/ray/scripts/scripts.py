"""`ray start --block`: the head counts who holds a connection, a member holds one."""

from __future__ import annotations

import argparse
import socket
import socketserver
import sys
import threading


class Head(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    members = 1
    lock = threading.Lock()


class Caller(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        head, said = self.server, self.rfile.readline()
        assert isinstance(head, Head)
        if said == b"count\n":
            self.wfile.write(b"%d\n" % head.members)
        elif said == b"join\n":
            with head.lock:
                head.members += 1
            self.wfile.write(b"joined\n")
            self.rfile.read()
            with head.lock:
                head.members -= 1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("start")
    for name in ("head", "block", "disable-usage-stats"):
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("port", "address", "include-dashboard"):
        parser.add_argument(f"--{name}")
    asked = parser.parse_args()
    assert asked.block
    if asked.head:
        Head(("127.0.0.1", int(asked.port)), Caller).serve_forever()
    host, _, port = asked.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as head:
        head.settimeout(None)
        head.sendall(b"join\n")
        head.makefile("rb").read()
    return 1


if __name__ == "__main__":
    sys.exit(main())
