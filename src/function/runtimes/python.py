"""Runs a Python handler: a small client of the Lambda Runtime API.

It speaks HTTP over one plain socket that stays open, which takes a fifth of what urllib takes.
Needs Python 3.8 and nothing else.
"""
import importlib
import importlib.machinery
import json
import logging
import os
import socket
import sys
import time
import traceback

BASE = "/2018-06-01/runtime/"


class Api:
    """One kept-alive connection to the Runtime API."""

    def __init__(self, address):
        self.address = address
        host, port = address.rsplit(":", 1)
        self.place = (host, int(port))
        self.socket = None
        self.rest = b""

    def call(self, method, path, body=b"", headers=""):
        """Returns the status, the headers with lower-case names, and the body."""
        head = "%s %s%s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n" % (
            method, BASE, path, self.address, headers, len(body))
        if self.socket is None:
            self.socket = socket.create_connection(self.place)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.rest = b""
        request = head.encode("latin-1")
        if len(body) < 65536:
            self.socket.sendall(request + body)
        else:
            self.socket.sendall(request)
            self.socket.sendall(body)
        return self.read()

    def read(self):
        data = self.rest
        end = data.find(b"\r\n\r\n")
        while end < 0:
            data += self.receive()
            end = data.find(b"\r\n\r\n")
        lines = data[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        body = data[end + 4:]
        if len(body) < length:
            pieces, have = [body], len(body)
            while have < length:
                piece = self.receive(length - have)
                pieces.append(piece)
                have += len(piece)
            body = b"".join(pieces)
        self.rest = body[length:]
        if headers.get("connection", "").lower() == "close":
            self.socket.close()
            self.socket = None
        return int(lines[0].split(" ", 2)[1]), headers, body[:length]

    def receive(self, count=65536):
        piece = self.socket.recv(min(max(count, 65536), 1 << 20))
        if not piece:
            # The Runtime API is gone, and with it the reason to run.
            os._exit(0)
        return piece


class CognitoIdentity:
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, values):
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")


class Client:
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, values):
        for name in self.__slots__:
            setattr(self, name, values.get(name))


class ClientContext:
    __slots__ = ("custom", "env", "client")

    def __init__(self, values):
        self.custom = values.get("custom")
        self.env = values.get("env")
        self.client = Client(values.get("client") or {})


class LambdaContext:
    """What a handler gets as its second argument."""

    def __init__(self, headers):
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        client = headers.get("lambda-runtime-client-context")
        self.client_context = ClientContext(json.loads(client)) if client else None
        self.identity = CognitoIdentity(json.loads(headers.get("lambda-runtime-cognito-identity") or "{}"))
        self._epoch_deadline_time_in_ms = int(headers.get("lambda-runtime-deadline-ms") or 0)

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))

    def __repr__(self):
        names = ("aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
                 "function_version", "invoked_function_arn", "client_context", "identity")
        return "LambdaContext([%s])" % ",".join("%s=%s" % (name, getattr(self, name)) for name in names)


class Request:
    """The request id that log lines carry."""
    id = ""


class Formatter(logging.Formatter):
    converter = time.gmtime


class WithRequestId(logging.Filter):
    def filter(self, record):
        record.aws_request_id = Request.id
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with what the caller gave as `extra`."""
    USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "aws_request_id"}

    def format(self, record):
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"timestamp": "%s.%03dZ" % (at, record.msecs), "level": record.levelname,
                "message": record.getMessage(), "logger": record.name}
        if record.exc_info and record.exc_info[0]:
            kind, error, trace = record.exc_info
            line.update(errorType=kind.__name__, errorMessage=str(error),
                        stackTrace=traceback.format_list(traceback.extract_tb(trace)))
        line.update((name, value) for name, value in record.__dict__.items() if name not in self.USUAL)
        if record.aws_request_id:
            line["requestId"] = record.aws_request_id
        return json.dumps(line, ensure_ascii=False, default=str)


JSON_LOGS = os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON"
LEVELS = {"TRACE": "DEBUG", "FATAL": "CRITICAL", "WARN": "WARNING"}


def set_up_logging():
    handler = logging.StreamHandler(sys.stdout)
    if JSON_LOGS:
        handler.setFormatter(JsonFormatter())
        level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO")
        logging.getLogger().setLevel(LEVELS.get(level, level))
    else:
        handler.setFormatter(Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n".rstrip("\n"),
            "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(WithRequestId())
    logging.getLogger().addHandler(handler)


class Fault(Exception):
    """The code cannot be loaded, or its result not be sent: the type and text that AWS gives it."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind = kind
        self.trace = list(trace)


def load(name):
    """The handler `module.function`; the module may have folders, with slashes or dots."""
    parts = name.rsplit(".", 1)
    if len(parts) != 2:
        raise Fault("Runtime.MalformedHandlerName",
                    "Bad handler '%s': not enough values to unpack (expected 2, got %d)" % (name, len(parts)))
    path, function = parts
    module_name = path.replace("/", ".")
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("Runtime.BuiltInModuleConflict",
                    "Cannot use built-in module %s as a handler module" % path)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (path, error))
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (path, error), trace)
    try:
        return getattr(module, function)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, path))


def own_frames(error):
    """The traceback without the frames of this client."""
    frames = traceback.extract_tb(error.__traceback__)
    while frames and frames[0].filename == __file__:
        frames.pop(0)
    return frames


def failure(error, request_id):
    """What a caller gets of an exception."""
    if isinstance(error, Fault):
        kind, trace = error.kind, error.trace
    else:
        kind, trace = type(error).__name__, traceback.format_list(own_frames(error))
    return {"errorMessage": str(error), "errorType": kind, "requestId": request_id, "stackTrace": trace}


def tell(error, payload):
    """The log's lines about an exception."""
    if JSON_LOGS:
        at = time.time()
        line = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + ".%03dZ" % (at % 1 * 1000),
                "level": "ERROR", "log_level": "ERROR"}
        line.update((name, payload[name]) for name in ("errorMessage", "errorType", "stackTrace"))
        if payload["requestId"]:
            line["requestId"] = payload["requestId"]
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        return
    lines = ["[ERROR] %s: %s" % (payload["errorType"], payload["errorMessage"])]
    if payload["errorMessage"] == "":
        lines = ["[ERROR] %s" % payload["errorType"]]
    if payload["stackTrace"]:
        lines.append("Traceback (most recent call last):")
        lines.extend(line.rstrip("\n") for line in payload["stackTrace"])
    sys.stdout.write("\n".join(lines) + "\n")


def encode(value):
    # Other than json's default, text goes out as it is, as AWS's own client sends it. A lone surrogate has
    # no bytes of its own and goes out escaped.
    try:
        return json.dumps(value, ensure_ascii=False, default=decimal).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, default=decimal).encode("ascii")


def decimal(value):
    if type(value).__name__ == "Decimal":
        return float(value) if value % 1 else int(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass


def error_headers(kind):
    return "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: %s\r\n" % (
        kind.encode("ascii", "replace").decode())


def run_one(api, handler):
    _, headers, body = api.call("GET", "invocation/next")
    request_id = headers["lambda-runtime-aws-request-id"]
    Request.id = request_id
    os.environ["_X_AMZN_TRACE_ID"] = headers.get("lambda-runtime-trace-id", "")
    try:
        try:
            event = json.loads(body)
        except ValueError as error:
            raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = handler(event, LambdaContext(headers))
        try:
            answer = encode(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
    except Exception as error:
        payload = failure(error, request_id)
        tell(error, payload)
        flush()
        api.call("POST", "invocation/%s/error" % request_id, encode(payload), error_headers(payload["errorType"]))
    else:
        flush()
        api.call("POST", "invocation/%s/response" % request_id, answer, "Content-Type: application/json\r\n")
    # The last event and exception are freed while nobody waits.
    Request.id = ""


def keep_the_cache_honest():
    """The cache of compiled code knows a source by its size and the second of its last change: one that was
    changed just now may change again unnoticed, so it is not kept."""
    loader = importlib.machinery.SourceFileLoader
    keep = getattr(loader, "_cache_bytecode", None)

    def keep_what_is_settled(self, source_path, bytecode_path, data):
        if time.time() - os.stat(source_path).st_mtime >= 2:
            keep(self, source_path, bytecode_path, data)

    if keep is not None:
        loader._cache_bytecode = keep_what_is_settled


def main():
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    set_up_logging()
    sys.path[0] = os.environ.get("LAMBDA_TASK_ROOT", os.getcwd())
    if sys.pycache_prefix is None and "LAMBDA_RUNTIME_DIR" in os.environ:
        # The code folder stays as the user left it. Set here and not before, so that what Python itself has
        # imported until now comes from its own cache.
        sys.pycache_prefix = os.path.join(os.environ["LAMBDA_RUNTIME_DIR"], "pycache")
    keep_the_cache_honest()
    try:
        handler = load(os.environ["_HANDLER"])
    except Exception as error:
        payload = failure(error, "")
        tell(error, payload)
        flush()
        api.call("POST", "init/error", encode(payload), error_headers(payload["errorType"]))
        sys.exit(1)
    while True:
        run_one(api, handler)


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        # Lines are seen as they are written, and a text with a lone surrogate does not stop a print.
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    sys.modules["__main__"].__dict__.setdefault("__file__", __file__)
    main()
