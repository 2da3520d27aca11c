"""Stories of functions in a debugger, told as an IDE would: `debugger_stories.py STORY ENDPOINT [FOLDER]`.

The dropwire at ENDPOINT runs without timeouts, and its function `f` may take one second by its own word.
"""
import base64
import json
import os
import re
import socket
import struct
import sys
import threading

import boto3
import botocore.config

# Longer than the function's timeout: it is the debugger that waits, in the middle of an event.
LONG_MS = 2500


def client():
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=60)
    return boto3.client("lambda", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test",
                        aws_secret_access_key="test", config=config)


class Invocation(threading.Thread):
    """An invocation of `f` beside everything else; `ended` says what came of it."""

    def __init__(self, n):
        super().__init__(daemon=True)
        self.n, self.answer = n, None
        self.start()

    def run(self):
        answer = client().invoke(FunctionName="f", Payload=json.dumps({"n": self.n}), LogType="Tail")
        log = base64.b64decode(answer["LogResult"]).decode()
        self.answer = answer.get("FunctionError"), json.loads(answer["Payload"].read()), log

    def ended(self):
        self.join(60)
        assert self.answer, "it did not end"
        return self.answer


def billed(log):
    return int(re.search(r"Billed Duration: (\d+) ms", log)[1])


class Wire:
    """A connection that messages with numbers come and go by."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream, self.number, self.kept = self.socket.makefile("rb"), 0, []

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)

    def until(self, what, wanted):
        """The first message that is wanted, come already or yet to come."""
        for message in self.kept:
            if wanted(message):
                self.kept.remove(message)
                return message
        while True:
            message = self.receive()
            if wanted(message):
                return message
            self.kept.append(message)


class Inspector(Wire):
    """The protocol of Node's inspector: JSON in frames of a WebSocket."""

    def __init__(self, port, path):
        super().__init__(port)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        assert b" 101 " in self.stream.readline()
        while self.stream.readline().strip():
            pass

    def receive(self):
        _, length = self.stream.read(2)
        if length >= 126:
            length = int.from_bytes(self.stream.read(2 if length == 126 else 8), "big")
        return json.loads(self.stream.read(length))

    def ask(self, method, **params):
        self.number += 1
        text = json.dumps({"id": self.number, "method": method, "params": params}).encode()
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        self.socket.sendall(b"\x81" + struct.pack(">BH", 0x80 | 126, len(text)) + mask + masked)
        answer = self.until(method, lambda message: message.get("id") == self.number)
        assert "error" not in answer, answer
        return answer["result"]

    def event(self, name):
        return self.until(name, lambda message: message.get("method") == name)["params"]


def inspector_of(log):
    port, path = re.search(r"Debugger listening on ws://127\.0\.0\.1:(\d+)(/\S+)", log).groups()
    return int(port), Inspector(int(port), path)


def rewrite(name, was, becomes):
    """Changes the code, as an editor does, and returns what the first event comes to that gets the new code."""
    path = os.path.join(FOLDER, name)
    text = open(path).read()
    with open(path, "w") as file:
        file.write(text.replace(was, becomes))
    for _ in range(200):
        error, said, log = Invocation(1).ended()
        # The adapter of debugpy is nobody's child, and may let go of its port a moment after its debugger has left.
        if error is None and said != {"doubled": 2}:
            return said, log
        assert error is None or "Address already in use" in said["errorMessage"], (said, log)
    raise AssertionError(f"the changed code never ran: {log}")


def node():
    error, said, log = Invocation(1).ended()
    assert (error, said) == (None, {"doubled": 2}), (said, log)
    port, inspector = inspector_of(log)
    # Between events too it answers: it is not frozen.
    assert inspector.ask("Runtime.evaluate", expression="6 * 7")["result"]["value"] == 42
    inspector.ask("Debugger.enable")
    inspector.ask("Debugger.setBreakpointByUrl", urlRegex=r".*index\.js$", lineNumber=2)
    invocation = Invocation(21)
    frame = inspector.event("Debugger.paused")["callFrames"][0]["callFrameId"]
    look = lambda text: inspector.ask("Debugger.evaluateOnCallFrame", callFrameId=frame, expression=text)["result"]["value"]
    assert look("event.n * 2 + doubled") == 84
    look(f"for (const end = Date.now() + {LONG_MS}; Date.now() < end;) {{}} 1")
    assert invocation.answer is None, invocation.answer
    look("event.n = 4; doubled = 8")
    inspector.ask("Debugger.resume")
    error, said, log = invocation.ended()
    assert (error, said) == (None, {"doubled": 8}), (said, log)
    assert billed(log) >= LONG_MS and "Init Duration" not in log, log
    said, log = rewrite("index.js", "* 2", "* 3")
    assert said == {"doubled": 3}, said
    again, inspector = inspector_of(log)
    assert again == port, "a debugger finds it where it was"
    assert inspector.ask("Runtime.evaluate", expression="6 * 7")["result"]["value"] == 42


class Adapter(Wire):
    """The protocol of debugpy: JSON with its length before it."""

    def receive(self):
        length = 0
        while line := self.stream.readline().strip():
            length = int(line.split(b":")[1])
        return json.loads(self.stream.read(length))

    def send(self, command, **arguments):
        self.number += 1
        text = json.dumps({"seq": self.number, "type": "request", "command": command, "arguments": arguments}).encode()
        self.socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        return self.number

    def answer(self, number):
        answer = self.until(number, lambda message: message.get("request_seq") == number)
        assert answer["success"], answer
        return answer.get("body")

    def ask(self, command, **arguments):
        return self.answer(self.send(command, **arguments))

    def event(self, name):
        return self.until(name, lambda message: message.get("event") == name).get("body")


def python():
    error, said, log = Invocation(1).ended()
    assert (error, said) == (None, {"doubled": 2}), (said, log)
    port = int(re.search(r"debugpy waits at (\d+)", log)[1])
    adapter = Adapter(port)
    adapter.ask("initialize", adapterID="story", clientID="story")
    attached = adapter.send("attach", justMyCode=True)
    adapter.event("initialized")
    path = os.path.join(FOLDER, "app.py")
    line = 1 + open(path).read().splitlines().index("    return {'doubled': doubled}")
    adapter.ask("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}])
    adapter.ask("configurationDone")
    adapter.answer(attached)
    invocation = Invocation(21)
    thread = adapter.event("stopped")["threadId"]
    frame = adapter.ask("stackTrace", threadId=thread)["stackFrames"][0]["id"]
    look = lambda text: adapter.ask("evaluate", frameId=frame, expression=text, context="repl")["result"]
    assert look("event['n'] * 2 + doubled") == "84"
    look(f"__import__('time').sleep({LONG_MS / 1000})")
    assert invocation.answer is None, invocation.answer
    look("doubled = 8")
    adapter.ask("continue", threadId=thread)
    error, said, log = invocation.ended()
    assert (error, said) == (None, {"doubled": 8}), (said, log)
    assert billed(log) >= LONG_MS and "Init Duration" not in log, log
    # An IDE leaves when it hears that the process has ended.
    leaves = threading.Thread(target=lambda: (adapter.event("terminated"), adapter.close()), daemon=True)
    leaves.start()
    said, log = rewrite("app.py", "* 2", "* 3")
    assert said == {"doubled": 3} and f"debugpy waits at {port}" in log, (said, log)


STORIES = [node, python]

if __name__ == "__main__":
    ENDPOINT = sys.argv[2]
    FOLDER = sys.argv[3]
    {story.__name__: story for story in STORIES}[sys.argv[1]]()
    print("told to the end")
