// Runs a Node handler: a small client of the Lambda Runtime API, for Node 18 and newer.
//
// It speaks HTTP over one plain socket that stays open. While a handler runs the socket does not count as
// work, so that an empty event loop can be noticed: that is when callback-style results are sent.
"use strict";

const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const util = require("node:util");
const { Writable } = require("node:stream");
const { pathToFileURL } = require("node:url");

const BASE = "/2018-06-01/runtime/";
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HTTP_STREAM = "application/vnd.awslambda.http-integration-response";

// ---- the Runtime API ----

class Api {
  constructor(address) {
    this.address = address;
    const colon = address.lastIndexOf(":");
    this.place = { host: address.slice(0, colon), port: Number(address.slice(colon + 1)), noDelay: true };
    this.socket = null;
    this.pieces = [];
    this.length = 0;
    this.head = null;
    this.waiting = null;
  }

  // Resolves to { status, headers (names in lower case), body }.
  call(method, call, body = "", headers = "") {
    return new Promise((resolve) => {
      this.waiting = resolve;
      const socket = this.connected();
      socket.ref();
      const bytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
      socket.cork();
      socket.write(
        `${method} ${BASE}${call} HTTP/1.1\r\nHost: ${this.address}\r\n${headers}Content-Length: ${bytes}\r\n\r\n`,
        "latin1");
      if (bytes > 0) socket.write(body);
      socket.uncork();
    });
  }

  // Begins a call whose body goes out by `piece` and `end`. Resolves as `call` does.
  begin(method, call, headers) {
    return new Promise((resolve) => {
      this.waiting = resolve;
      const socket = this.connected();
      socket.ref();
      socket.write(
        `${method} ${BASE}${call} HTTP/1.1\r\nHost: ${this.address}\r\n${headers}Transfer-Encoding: chunked\r\n\r\n`,
        "latin1");
    });
  }

  piece(bytes, done) {
    if (bytes.length === 0) return done();
    this.socket.cork();
    this.socket.write(`${bytes.length.toString(16)}\r\n`, "latin1");
    this.socket.write(bytes);
    this.socket.write("\r\n", "latin1", done);
    this.socket.uncork();
  }

  end(trailers) {
    this.socket.write(`0\r\n${trailers}\r\n`, "latin1");
  }

  connected() {
    if (this.socket === null) {
      this.socket = net.connect(this.place);
      this.socket.on("data", (piece) => this.take(piece));
      // The Runtime API is gone, and with it the reason to run.
      this.socket.on("error", () => process.reallyExit(0));
      this.socket.on("close", () => process.reallyExit(0));
    }
    return this.socket;
  }

  take(piece) {
    this.pieces.push(piece);
    this.length += piece.length;
    if (this.head === null) {
      const all = this.joined();
      const end = all.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.head = parseHead(all.toString("latin1", 0, end), end + 4);
    }
    if (this.length < this.head.start + this.head.length) return;
    const all = this.joined();
    const { status, headers, start, length } = this.head;
    const body = all.subarray(start, start + length);
    const rest = all.subarray(start + length);
    this.pieces = rest.length > 0 ? [rest] : [];
    this.length = rest.length;
    this.head = null;
    this.socket.unref();
    const { waiting } = this;
    this.waiting = null;
    if (waiting) waiting({ status, headers, body });
  }

  joined() {
    if (this.pieces.length !== 1) this.pieces = [Buffer.concat(this.pieces)];
    return this.pieces[0];
  }
}

function parseHead(text, start) {
  const lines = text.split("\r\n");
  const headers = {};
  for (let i = 1; i < lines.length; i++) {
    const colon = lines[i].indexOf(":");
    headers[lines[i].slice(0, colon).toLowerCase()] = lines[i].slice(colon + 1).trim();
  }
  return { status: Number(lines[0].split(" ", 2)[1]), headers, start, length: Number(headers["content-length"] || 0) };
}

// ---- the log ----

let requestId;

const JSON_LOGS = process.env.AWS_LAMBDA_LOG_FORMAT === "JSON";
const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const LEVEL = JSON_LOGS ? LEVELS.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL || "INFO") : 0;

// A line of a JSON log: one value stands as it is, more of them as text.
function jsonLine(level, words) {
  const line = { timestamp: new Date().toISOString(), level, requestId };
  const plain = words.length === 1 && words[0] !== null && typeof words[0] === "object" && !util.types.isNativeError(words[0]);
  line.message = plain ? words[0] : util.format(...words);
  const error = words.find((word) => util.types.isNativeError(word));
  if (error) Object.assign(line, { errorType: error.name, errorMessage: error.message, stackTrace: stackOf(error) });
  return safeJson(line);
}

function setUpConsole() {
  const say = (level) => (...words) => {
    if (LEVELS.indexOf(level) < LEVEL) return;
    const text = JSON_LOGS ? jsonLine(level, words)
      : `${new Date().toISOString()}\t${requestId}\t${level}\t${util.format(...words)}`;
    process.stdout.write(`${text}\n`);
  };
  console.log = console.info = say("INFO");
  console.warn = say("WARN");
  console.error = say("ERROR");
  console.debug = say("DEBUG");
  console.trace = say("TRACE");
  console.fatal = say("FATAL");
}

function stackOf(error) {
  return typeof error.stack === "string" ? error.stack.split("\n") : [];
}

// What a caller gets of an error.
function failure(error) {
  if (!util.types.isNativeError(error) && !(error && error.message !== undefined && error.stack !== undefined)) {
    const said = typeof error === "string" ? error : error === undefined ? "undefined" : safeJson(error);
    return { errorType: typeof error, errorMessage: said, trace: [] };
  }
  return { errorType: String(error.name), errorMessage: String(error.message), trace: stackOf(error) };
}

function safeJson(value) {
  try {
    return String(JSON.stringify(value));
  } catch {
    return String(value);
  }
}

// The log's line about an error.
function tell(title, error, payload) {
  const { trace, ...said } = payload;
  const own = error !== null && typeof error === "object" ? { ...error } : {};
  delete own.name;
  if (JSON_LOGS) {
    const { errorType, errorMessage } = payload;
    console.error({ ...own, errorType, errorMessage, stackTrace: trace });
    return;
  }
  console.error(`${title} \t${safeJson({ ...said, ...own, stack: trace })}`);
}

function typeHeaders(type) {
  const kind = type.replace(/[^\x20-\x7e]/g, "?");
  return `Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: ${kind}\r\n`;
}

// ---- the code ----

// The code cannot be loaded: the type and text that AWS gives it.
class Fault extends Error {
  constructor(name, message, stack) {
    super(message);
    this.name = name;
    this.stack = stack ? `${name}: ${stack}` : `${name}: ${message}\n${this.stack.split("\n").slice(1).join("\n")}`;
  }
}

function findFile(root, name) {
  for (const ending of ["", ".js", ".mjs", ".cjs"]) {
    const file = path.resolve(root, name + ending);
    if (fs.existsSync(file) && fs.statSync(file).isFile()) return file;
  }
  const folder = path.resolve(root, name);
  for (const index of ["index.js", "index.mjs", "index.cjs"]) {
    if (fs.existsSync(path.join(folder, index))) return path.join(folder, index);
  }
  throw new Fault("Runtime.ImportModuleError", `Error: Cannot find module '${name}'`);
}

function isModule(file) {
  if (!file.endsWith(".js")) return file.endsWith(".mjs");
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const manifest = path.join(folder, "package.json");
    if (fs.existsSync(manifest)) {
      try {
        return JSON.parse(fs.readFileSync(manifest, "utf8")).type === "module";
      } catch {
        return false;
      }
    }
    if (folder === path.dirname(folder)) return false;
  }
}

async function loadFile(file) {
  try {
    if (isModule(file)) return await import(pathToFileURL(file).href);
    try {
      return require(file);
    } catch (error) {
      if (error && error.code === "ERR_REQUIRE_ESM") return await import(pathToFileURL(file).href);
      throw error;
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw new Fault("Runtime.UserCodeSyntaxError", String(error), error.stack);
    if (error && (error.code === "MODULE_NOT_FOUND" || error.code === "ERR_MODULE_NOT_FOUND")) {
      throw new Fault("Runtime.ImportModuleError", String(error), error.stack);
    }
    throw error;
  }
}

async function load(root, name) {
  if (name.includes("..")) {
    throw new Fault("Runtime.MalformedHandlerName", `'${name}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(name);
  const dot = base.indexOf(".");
  if (dot < 0) throw new Fault("Runtime.MalformedHandlerName", "Bad handler");
  const moduleName = name.slice(0, name.length - base.length) + base.slice(0, dot);
  const module = await loadFile(findFile(root, moduleName));
  let found = module;
  for (const part of base.slice(dot + 1).split(".")) found = found?.[part] ?? (found === module ? module.default?.[part] : undefined);
  if (found === undefined || found === null) {
    throw new Fault("Runtime.HandlerNotFound", `${name} is undefined or not exported`);
  }
  if (typeof found !== "function") throw new Fault("Runtime.HandlerNotFound", `${name} is not a function`);
  return found;
}

// ---- the trace ----

// A variable whose value changes with each event. The C library keeps for ever whatever a variable was set to, so this
// one is kept here: for whoever reads process.env, and for child processes, which get their variables from there.
const TRACE = "_X_AMZN_TRACE_ID";
let traceId;

function keepTraceApart() {
  const is = (name) => name === TRACE && traceId !== undefined;
  process.env = new Proxy(process.env, {
    get: (env, name) => (is(name) ? traceId : env[name]),
    has: (env, name) => is(name) || name in env,
    ownKeys: (env) => (traceId === undefined ? Reflect.ownKeys(env) : [...new Set([...Reflect.ownKeys(env), TRACE])]),
    getOwnPropertyDescriptor: (env, name) => (is(name)
      ? { value: traceId, writable: true, enumerable: true, configurable: true }
      : Reflect.getOwnPropertyDescriptor(env, name)),
    set: (env, name, value) => {
      if (name === TRACE) traceId = String(value);
      else env[name] = value;
      return true;
    },
    deleteProperty: (env, name) => {
      if (name === TRACE) traceId = undefined;
      return delete env[name];
    },
  });
}

// ---- one event ----

// Called when the event loop is empty.
let whenIdle = null;
process.on("beforeExit", () => {
  const then = whenIdle;
  whenIdle = null;
  // Something must be on the loop for it to go on.
  if (then) setImmediate(then);
});

// What is the same in all of them.
const FIXED = (({ env }) => ({
  functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
  functionName: env.AWS_LAMBDA_FUNCTION_NAME,
  memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
  logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
}))(process);

function contextOf(headers, settle) {
  const deadline = Number(headers["lambda-runtime-deadline-ms"]);
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    ...FIXED,
    clientContext: parsed("lambda-runtime-client-context"),
    identity: parsed("lambda-runtime-cognito-identity"),
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
  };
  // The ways to end of Node 0.10 to 8.10 functions: they do not wait for the event loop, done does.
  context.succeed = (result) => settle.now(null, result);
  context.fail = (error) => settle.now(error === undefined || error === null ? new Error("handled") : error);
  context.done = (error, result) => settle.callback(error, result);
  return context;
}

// Runs the handler until it has settled: { error } or { result }.
function run(handler, event, headers) {
  return new Promise((resolve) => {
    let settled = false;
    const finish = (outcome) => {
      if (settled) return;
      settled = true;
      whenIdle = null;
      resolve(outcome);
    };
    const outcomeOf = (error, result) => (error === undefined || error === null ? { result } : { error });
    let called = false;
    const settle = {
      now: (error, result) => finish(outcomeOf(error, result)),
      callback: (error, result) => {
        if (called || settled) return;
        called = true;
        const outcome = outcomeOf(error, result);
        if (outcome.error === undefined && context.callbackWaitsForEmptyEventLoop) whenIdle = () => finish(outcome);
        else finish(outcome);
      },
    };
    const context = contextOf(headers, settle);
    // A handler that neither returns a promise nor calls back has the result null when nothing is left to do.
    whenIdle = () => finish({ result: null });
    try {
      const returned = handler(event, context, settle.callback);
      if (returned && typeof returned.then === "function") {
        returned.then((result) => settle.now(null, result), (error) => finish({ error }));
      }
    } catch (error) {
      finish({ error });
    }
  });
}

// The response of a streaming handler: its first bytes begin it, and each piece goes out as it comes.
class ResponseStream extends Writable {
  constructor(api, id, options) {
    super(options);
    this.api = api;
    this.id = id;
    this.contentType = "application/octet-stream";
    this.response = null;
  }
  setContentType(type) { this.contentType = type; }
  begin() {
    if (this.response) return;
    const type = `Content-Type: ${this.contentType}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n`;
    this.response = this.api.begin("POST", `invocation/${this.id}/response`,
      `${type}Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n`);
  }
  _write(piece, encoding, done) {
    this.begin();
    this.api.piece(Buffer.isBuffer(piece) ? piece : Buffer.from(piece, encoding), done);
  }
  // Ends the response; with trailers that say so if the handler has failed in the middle.
  async close(error) {
    this.begin();
    let trailers = "";
    if (error !== undefined) {
      const payload = failure(error);
      tell("Invoke Error", error, payload);
      const body = Buffer.from(JSON.stringify(payload)).toString("base64");
      const kind = payload.errorType.replace(/[^\x20-\x7e]/g, "?");
      trailers = `Lambda-Runtime-Function-Error-Type: ${kind}\r\nLambda-Runtime-Function-Error-Body: ${body}\r\n`;
    }
    this.api.end(trailers);
    await this.response;
  }
}

async function runStreaming(api, handler, event, headers) {
  const settle = { now() {}, callback() {} };
  const size = handler.highWaterMark ? { highWaterMark: handler.highWaterMark } : {};
  const stream = new ResponseStream(api, headers["lambda-runtime-aws-request-id"], size);
  const finished = new Promise((resolve, reject) => stream.on("finish", resolve).on("error", reject));
  finished.catch(() => {});
  try {
    await handler(event, stream, contextOf(headers, settle));
    await finished;
  } catch (error) {
    // Before the first byte it is a failure like any other.
    if (!stream.response) throw error;
    return stream.close(error === undefined ? new Error("unknown") : error);
  }
  return stream.close();
}

globalThis.awslambda = {
  streamifyResponse(handler, options) {
    handler[STREAMING] = true;
    if (options?.highWaterMark) handler.highWaterMark = options.highWaterMark;
    return handler;
  },
  HttpResponseStream: {
    from(stream, prelude) {
      stream.setContentType(HTTP_STREAM);
      stream.write(JSON.stringify(prelude));
      stream.write(Buffer.alloc(8));
      return stream;
    },
  },
};

function encode(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? "null";
  } catch {
    throw new Error("Unable to stringify response body");
  }
}

async function runOne(api, handler) {
  const { headers, body } = await api.call("GET", "invocation/next");
  requestId = headers["lambda-runtime-aws-request-id"];
  traceId = headers["lambda-runtime-trace-id"];
  const id = requestId;
  let outcome, answer;
  try {
    const event = JSON.parse(body.toString("utf8"));
    if (handler[STREAMING]) return await runStreaming(api, handler, event, headers);
    outcome = await run(handler, event, headers);
    if (outcome.error === undefined && !("error" in outcome)) answer = encode(outcome.result);
  } catch (error) {
    outcome = { error };
  }
  if (answer !== undefined) {
    await api.call("POST", `invocation/${id}/response`, answer, "Content-Type: application/json\r\n");
  } else {
    const payload = failure(outcome.error);
    tell("Invoke Error", outcome.error, payload);
    await api.call("POST", `invocation/${id}/error`, JSON.stringify(payload), typeHeaders(payload.errorType));
  }
}

async function main() {
  const api = new Api(process.env.AWS_LAMBDA_RUNTIME_API);
  setUpConsole();
  keepTraceApart();
  let serving = false;
  // What nobody caught ends the process, after the caller was told.
  const fatal = async (title, error, code) => {
    const payload = failure(error);
    if (title === "Unhandled Promise Rejection") {
      payload.errorMessage = payload.trace.length > 0 ? `${payload.errorType}: ${payload.errorMessage}` : payload.errorMessage;
      payload.errorType = "Runtime.UnhandledPromiseRejection";
      payload.trace = [`${payload.errorType}: ${payload.errorMessage}`, ...payload.trace.slice(1)];
    }
    tell(title, error, payload);
    const call = serving ? `invocation/${requestId}/error` : "init/error";
    await api.call("POST", call, JSON.stringify(payload), typeHeaders(payload.errorType));
    process.exit(code);
  };
  process.on("uncaughtException", (error) => fatal("Uncaught Exception", error, 129));
  process.on("unhandledRejection", (error) => fatal("Unhandled Promise Rejection", error, 128));
  let handler;
  try {
    handler = await load(process.env.LAMBDA_TASK_ROOT || process.cwd(), process.env._HANDLER);
  } catch (error) {
    const payload = failure(error);
    tell("Uncaught Exception", error, payload);
    await api.call("POST", "init/error", JSON.stringify(payload), typeHeaders(payload.errorType));
    process.exit(1);
  }
  serving = true;
  for (;;) await runOne(api, handler);
}

main();
