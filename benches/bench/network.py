"""A way to the database through a network of its own, whose cable can be pulled: a namespace with a link to this one, and in it a forwarder
to the database's socket (ip-netns(8)). Started as a program, it is that forwarder."""

import os
import socket
import subprocess
import sys
import threading


class Network:
    here, there, port = "10.78.0.1", "10.78.0.2", 5432

    def __init__(self, folder, target, processes):
        self.name = f"tine-bench-{os.getpid()}"
        self.ip("netns", "add", self.name)
        link = f"tine{os.getpid()}"
        self.ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self.ip("address", "add", f"{self.here}/24", "dev", link)
        self.ip("link", "set", link, "up")
        self.ip("-n", self.name, "address", "add", f"{self.there}/24", "dev", "eth0")
        self.join()
        command = ["ip", "netns", "exec", self.name, sys.executable, "-m", "bench.network", target]
        folder_above = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
        processes.start(command, os.path.join(folder, "forwarder.log"), cwd=folder_above)
        processes.until("the forwarder", self.answers)

    def ip(self, *arguments):
        subprocess.run(["ip", *arguments], check=True, stdin=subprocess.DEVNULL)

    def answers(self):
        with socket.socket() as probe:
            return probe.connect_ex((self.there, self.port)) == 0

    def cut(self):
        self.ip("-n", self.name, "link", "set", "eth0", "down")

    def join(self):
        self.ip("-n", self.name, "link", "set", "eth0", "up")

    def remove(self):
        # The link goes with its other end.
        self.ip("netns", "delete", self.name)


def copy(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def forward(path):
    with socket.create_server((Network.there, Network.port), backlog=64) as listener:
        while True:
            client = listener.accept()[0]
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            server = socket.socket(socket.AF_UNIX)
            server.connect(path)
            for ends in ((client, server), (server, client)):
                threading.Thread(target=copy, args=ends, daemon=True).start()


if __name__ == "__main__":
    forward(sys.argv[1])
