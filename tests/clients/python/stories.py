"""Stories of the Lambda service, told with boto3: `stories.py STORY ENDPOINT [FOLDER]`.

Each one asserts what AWS would answer. FOLDER is the project folder of the dropwire at ENDPOINT.
"""
import base64
import io
import json
import pathlib
import sys
import time
import urllib.error
import urllib.request
import zipfile

import boto3
import botocore.config
import botocore.exceptions

ROLE = "arn:aws:iam::000000000000:role/r"
ACCOUNT = "000000000000"


def client(service="lambda", retries=0):
    config = botocore.config.Config(retries={"total_max_attempts": retries + 1}, read_timeout=60)
    return boto3.client(
        service, endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=config)


def zipped(**files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return made.getvalue()


ECHO = zipped(app__py="""
import os
count = 0
def handler(event, context):
    global count
    count += 1
    return {"event": event, "count": count, "arn": context.invoked_function_arn,
            "version": context.function_version, "env": os.environ.get("GREETING"),
            "context": context.client_context and context.client_context.custom, "id": context.aws_request_id}
""")


def create(lam, name, code=ECHO, **more):
    asked = {"FunctionName": name, "Runtime": "python3.12", "Role": ROLE, "Handler": "app.handler",
             "Code": {"ZipFile": code}, **more}
    made = lam.create_function(**asked)
    lam.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return made


def invoke(lam, name, event=None, **more):
    answer = lam.invoke(FunctionName=name, Payload=json.dumps(event if event is not None else {}), **more)
    return answer, json.loads(answer["Payload"].read() or "null")


def refused(call, code, text=None, status=None):
    try:
        call()
    except botocore.exceptions.ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, (said, code)
        message = said.get("Message") or error.response.get("Message") or error.response.get("message")
        assert text is None or text in message, (message, text)
        got = error.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status is None or got == status, (got, status)
        return error.response
    raise AssertionError(f"it should be refused with {code}")


def until(what, look, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come")


def life():
    lam = client()
    made = create(lam, "f", Timeout=5, MemorySize=256, Description="d", Environment={"Variables": {"GREETING": "hi"}},
                  Tags={"team": "a"}, KMSKeyArn="arn:aws:kms:us-east-1:000000000000:key/k")
    assert made["State"] == "Pending" and made["StateReasonCode"] == "Creating", made
    assert made["FunctionArn"] == f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
    assert made["EphemeralStorage"] == {"Size": 512} and made["Architectures"] == ["x86_64"]
    assert made["TracingConfig"] == {"Mode": "PassThrough"} and made["PackageType"] == "Zip"
    assert made["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    assert "LastUpdateStatus" not in made and made["Version"] == "$LATEST"
    got = lam.get_function(FunctionName="f")
    assert got["Configuration"]["State"] == "Active" and got["Configuration"]["LastUpdateStatus"] == "Successful"
    assert got["Tags"] == {"team": "a"} and got["Code"]["RepositoryType"] == "S3", got
    assert got["Configuration"]["RevisionId"] != made["RevisionId"]
    assert urllib.request.urlopen(got["Code"]["Location"]).read() == ECHO
    answer, said = invoke(lam, "f", {"a": 1}, LogType="Tail")
    assert answer["StatusCode"] == 200 and answer["ExecutedVersion"] == "$LATEST", answer
    assert said["event"] == {"a": 1} and said["env"] == "hi" and said["arn"] == made["FunctionArn"], said
    assert said["id"] == answer["ResponseMetadata"]["RequestId"]
    log = base64.b64decode(answer["LogResult"]).decode()
    assert f"START RequestId: {said['id']} Version: $LATEST\n" in log and "\tInit Duration: " in log, log
    lam.update_function_configuration(FunctionName="f", Environment={"Variables": {"GREETING": "ho"}})
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    assert invoke(lam, "f")[1]["env"] == "ho"
    lam.update_function_code(FunctionName="f", ZipFile=zipped(app__py="def handler(e, c): return 'new'"))
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    assert invoke(lam, "f")[1] == "new"
    assert "f" in [f["FunctionName"] for f in lam.list_functions()["Functions"]]
    lam.delete_function(FunctionName="f")
    refused(lambda: lam.get_function(FunctionName="f"), "ResourceNotFoundException",
            f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:f", 404)


def versions():
    lam = client()
    create(lam, "f", Environment={"Variables": {"GREETING": "one"}})
    first = lam.publish_version(FunctionName="f")
    assert first["Version"] == "1" and first["FunctionArn"].endswith(":f:1"), first
    assert lam.publish_version(FunctionName="f")["RevisionId"] == first["RevisionId"]
    lam.update_function_configuration(FunctionName="f", Environment={"Variables": {"GREETING": "two"}})
    lam.get_waiter("function_updated_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})
    second = lam.publish_version(FunctionName="f", Description="the second")
    assert second["Version"] == "2" and second["Description"] == "the second"
    alias = lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert alias["AliasArn"].endswith(":f:live")
    until("version 1 to be there", lambda: invoke(lam, "f:live")[1]["env"] == "one")
    answer, said = invoke(lam, "f", Qualifier="live")
    assert answer["ExecutedVersion"] == "1" and said["version"] == "1" and said["arn"].endswith(":f:live"), said
    answer, said = invoke(lam, "f", Qualifier="2")
    assert answer["ExecutedVersion"] == "2" and said["env"] == "two", said
    lam.update_alias(FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    seen = {invoke(lam, "f:live")[0]["ExecutedVersion"] for _ in range(60)}
    assert seen == {"1", "2"}, seen
    refused(lambda: invoke(lam, "f:live", Qualifier="2"), "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.")
    refused(lambda: lam.create_alias(FunctionName="f", Name="live", FunctionVersion="1"),
            "ResourceConflictException", "Alias already exists: ", 409)
    refused(lambda: lam.get_alias(FunctionName="f", Name="no"), "ResourceNotFoundException", "Cannot find alias arn: ")
    refused(lambda: invoke(lam, "f", Qualifier="42"), "ResourceNotFoundException", ":function:f:42")
    shown = lam.list_versions_by_function(FunctionName="f")["Versions"]
    assert [v["Version"] for v in shown] == ["$LATEST", "1", "2"] and shown[0]["FunctionArn"].endswith(":$LATEST")
    lam.delete_alias(FunctionName="f", Name="live")
    lam.delete_alias(FunctionName="f", Name="live")
    lam.delete_function(FunctionName="f", Qualifier="1")
    refused(lambda: lam.delete_function(FunctionName="f", Qualifier="$LATEST"), "InvalidParameterValueException",
            "$LATEST version cannot be deleted without deleting the function.")


def invoking():
    lam = client()
    create(lam, "f")
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    assert invoke(lam, "f", ClientContext=context)[1]["context"] == {"k": "v"}
    assert lam.invoke(FunctionName="f", InvocationType="DryRun")["StatusCode"] == 204
    answer = lam.invoke(FunctionName="f", InvocationType="Event", Payload="{}")
    assert answer["StatusCode"] == 202 and "ExecutedVersion" not in answer and answer["Payload"].read() == b""
    assert invoke(lam, f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f")[1]["event"] == {}
    assert invoke(lam, f"{ACCOUNT}:function:f")[1]["event"] == {}
    assert json.loads(lam.invoke(FunctionName="f")["Payload"].read())["event"] == {}
    refused(lambda: lam.invoke(FunctionName="f", Payload="xyz"), "InvalidRequestContentException",
            "Could not parse request body into json: Could not parse payload into json: Unexpected character", 400)
    refused(lambda: invoke(lam, "nobody"), "ResourceNotFoundException",
            f"Function not found: arn:aws:lambda:us-east-1:{ACCOUNT}:function:nobody:$LATEST", 404)
    refused(lambda: lam.invoke(FunctionName="f", Payload=b'"' + b"x" * (6 << 20) + b'"'),
            "RequestTooLargeException", None, 413)
    refused(lambda: lam.invoke(FunctionName="f", InvocationType="Event", Payload=b'"' + b"x" * (1 << 20) + b'"'),
            "RequestTooLargeException", None, 413)
    refused(lambda: lam.get_function(FunctionName="arn:aws:lambda:us-west-2:000000000000:function:f"),
            "ResourceNotFoundException", "Functions from 'us-west-2' are not reachable in this region ('us-east-1')")
    create(lam, "fails", zipped(app__py="def handler(e, c):\n    raise ValueError('no')"))
    answer, said = invoke(lam, "fails")
    assert answer["FunctionError"] == "Unhandled" and answer["StatusCode"] == 200
    assert list(said) == ["errorMessage", "errorType", "requestId", "stackTrace"] and said["errorType"] == "ValueError"
    create(lam, "slow", zipped(app__py="import time\ndef handler(e, c):\n    time.sleep(60)"), Timeout=1)
    answer, said = invoke(lam, "slow")
    id = answer["ResponseMetadata"]["RequestId"]
    assert said == {"errorType": "Sandbox.Timedout",
                    "errorMessage": f"RequestId: {id} Error: Task timed out after 1.00 seconds"}, said
    create(lam, "exits", zipped(app__py="import os\ndef handler(e, c):\n    os._exit(3)"))
    answer, said = invoke(lam, "exits", LogType="Tail")
    assert said["errorMessage"].endswith("Error: Runtime exited with error: exit status 3"), said
    assert "Status: error\tError Type: Runtime.ExitError" in base64.b64decode(answer["LogResult"]).decode()
    create(lam, "broken", zipped(app__py="import nothing_like_it\n"))
    answer, said = invoke(lam, "broken")
    assert said["errorType"] == "Runtime.ImportModuleError" and said["requestId"] == "", said
    create(lam, "nohandler", zipped(app__py="x = 1\n"))
    assert invoke(lam, "nohandler")[1]["errorType"] == "Runtime.HandlerNotFound"
    create(lam, "big", zipped(app__py="def handler(e, c):\n    return 'x' * (7 << 20)"))
    answer, said = invoke(lam, "big")
    assert said["errorType"] == "Function.ResponseSizeTooLarge" and answer["FunctionError"] == "Unhandled", said
    assert invoke(lam, "big")[1]["errorType"] == "Function.ResponseSizeTooLarge"
    create(lam, "hungry", zipped(app__py="def handler(e, c):\n    x = bytearray(400 << 20)\n    return len(x)"))
    answer, said = invoke(lam, "hungry", LogType="Tail")
    assert said["errorMessage"].endswith("Runtime exited with error: signal: killed"), said
    assert "Error Type: Runtime.OutOfMemory" in base64.b64decode(answer["LogResult"]).decode()


def concurrency():
    import concurrent.futures
    lam = client()
    create(lam, "f", zipped(app__py="""
import os, time
def handler(event, context):
    if 's' in event:
        open(os.environ['OUT'], 'w').close()
        time.sleep(event['s'])
    return 1
"""), Timeout=30, Environment={"Variables": {"OUT": str(FOLDER / "runs")}})
    assert "ReservedConcurrentExecutions" not in lam.get_function_concurrency(FunctionName="f")
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    until("the limit to be in force", lambda: lam.get_function(FunctionName="f")["Concurrency"]
          == {"ReservedConcurrentExecutions": 1})
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(invoke, lam, "f", {"s": 2})
        until("it to run", (FOLDER / "runs").exists)

        def throttled():
            try:
                invoke(lam, "f", {})
                return None
            except botocore.exceptions.ClientError as error:
                return error.response

        said = until("a throttle", throttled)
        assert said["Error"]["Code"] == "TooManyRequestsException" and said["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert said["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded" and said["Type"] == "User", said
        assert first.result()[1] == 1
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    until("nothing to run", throttled)
    refused(lambda: lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=950),
            "InvalidParameterValueException", "below its minimum value of [100].")
    lam.delete_function_concurrency(FunctionName="f")
    until("it to run again", lambda: throttled() is None)
    settings = lam.get_account_settings()
    assert settings["AccountLimit"]["ConcurrentExecutions"] == 1000 and settings["AccountUsage"]["FunctionCount"] >= 1


def policies():
    lam = client()
    create(lam, "f")
    refused(lambda: lam.get_policy(FunctionName="f"), "ResourceNotFoundException",
            "The resource you requested does not exist.")
    said = lam.add_permission(FunctionName="f", StatementId="s1", Action="lambda:InvokeFunction",
                              Principal="s3.amazonaws.com", SourceArn="arn:aws:s3:::b", SourceAccount=ACCOUNT)
    statement = json.loads(said["Statement"])
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"} and statement["Effect"] == "Allow"
    assert statement["Condition"]["ArnLike"] == {"AWS:SourceArn": "arn:aws:s3:::b"}
    refused(lambda: lam.add_permission(FunctionName="f", StatementId="s1", Action="lambda:InvokeFunction",
                                       Principal="s3.amazonaws.com"), "ResourceConflictException",
            "The statement id (s1) provided already exists.", 409)
    policy = json.loads(lam.get_policy(FunctionName="f")["Policy"])
    assert policy["Version"] == "2012-10-17" and policy["Id"] == "default" and len(policy["Statement"]) == 1
    lam.remove_permission(FunctionName="f", StatementId="s1")
    refused(lambda: lam.remove_permission(FunctionName="f", StatementId="s1"), "ResourceNotFoundException",
            "No policy is associated with the given resource.")
    arn = lam.get_function(FunctionName="f")["Configuration"]["FunctionArn"]
    lam.tag_resource(Resource=arn, Tags={"a": "1", "b": "2"})
    lam.untag_resource(Resource=arn, TagKeys=["a"])
    assert lam.list_tags(Resource=arn)["Tags"] == {"b": "2"}


def urls():
    lam = client()
    create(lam, "f", zipped(app__py="""
import json
def handler(event, context):
    return {"statusCode": 201, "headers": {"X-Mine": "1"}, "cookies": ["a=b"],
            "body": json.dumps([event["rawPath"], event["requestContext"]["http"]["method"], event.get("body")])}
"""))
    made = lam.create_function_url_config(FunctionName="f", AuthType="NONE", Cors={"AllowOrigins": ["https://shop"]})
    host = made["FunctionUrl"].split("/")[2]
    assert len(host.split(".")[0]) == 32, made
    until("the URL to be there", lambda: lam.get_function_url_config(FunctionName="f")["FunctionUrl"] == made["FunctionUrl"])

    def ask(path, **headers):
        request = urllib.request.Request(ENDPOINT + path, data=b"hi", headers={
            "Host": host, "Content-Type": "text/plain", **headers})
        return urllib.request.urlopen(request)

    answer = ask("/a%20b?x=1", Origin="https://shop")
    assert answer.status == 201 and answer.headers["X-Mine"] == "1" and answer.headers["Set-Cookie"] == "a=b"
    assert json.loads(answer.read()) == ["/a%20b", "POST", "hi"]
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop" and answer.headers["x-amzn-RequestId"]
    refused(lambda: lam.create_function_url_config(FunctionName="f", AuthType="NONE"), "ResourceConflictException",
            "Failed to create function url config for [functionArn = ", 409)
    lam.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    try:
        ask("/")
        raise AssertionError("it needs a signature now")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and "Forbidden. For troubleshooting" in error.read().decode()
    lam.delete_function_url_config(FunctionName="f")
    refused(lambda: lam.get_function_url_config(FunctionName="f"), "ResourceNotFoundException",
            "The resource you requested does not exist.")


def layers():
    lam = client()
    layer = lam.publish_layer_version(LayerName="words", Content={"ZipFile": zipped(**{"python/word.py": "WORD = 'of the layer'"})},
                                      CompatibleRuntimes=["python3.12"], Description="d")
    assert layer["Version"] == 1 and layer["LayerVersionArn"].endswith(":layer:words:1"), layer
    create(lam, "f", zipped(app__py="import word\ndef handler(e, c): return word.WORD"), Layers=[layer["LayerVersionArn"]])
    assert invoke(lam, "f")[1] == "of the layer"
    assert [l["LayerName"] for l in lam.list_layers()["Layers"]] == ["words"]
    assert lam.list_layer_versions(LayerName="words")["LayerVersions"][0]["Version"] == 1
    refused(lambda: create(lam, "g", Layers=[layer["LayerArn"] + ":9"]), "InvalidParameterValueException",
            "Layer version ")
    refused(lambda: create(lam, "g", Layers=[layer["LayerVersionArn"]] * 6), "InvalidParameterValueException",
            "Cannot reference more than 5 layers.")
    lam.delete_layer_version(LayerName="words", VersionNumber=1)
    assert lam.list_layers()["Layers"] == []
    assert invoke(lam, "f")[1] == "of the layer"


def streaming():
    lam = client()
    code = zipped(index__js="""
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.setContentType('text/plain');
  for (const word of ['one ', 'two ', 'three']) { stream.write(word); await new Promise(r => setTimeout(r, 150)); }
  stream.end();
});
exports.plain = async () => ({ a: 1 });
exports.fails = async () => { throw new Error('no'); };
""")
    for name in ["handler", "plain", "fails"]:
        create(lam, name, code, Runtime="nodejs20.x", Handler=f"index.{name}")
    begun = time.time()
    answer = lam.invoke_with_response_stream(FunctionName="handler", Payload="{}", LogType="Tail")
    pieces, times, complete = [], [], None
    for message in answer["EventStream"]:
        if "PayloadChunk" in message:
            pieces.append(message["PayloadChunk"]["Payload"])
            times.append(time.time() - begun)
        else:
            complete = message["InvokeComplete"]
    assert b"".join(pieces) == b"one two three" and len(pieces) >= 3, pieces
    assert times[-1] - times[0] > 0.2, times
    assert "ErrorCode" not in complete and b"REPORT" in base64.b64decode(complete["LogResult"]), complete
    plain = list(lam.invoke_with_response_stream(FunctionName="plain")["EventStream"])
    assert plain[0]["PayloadChunk"]["Payload"] == b'{"a":1}' and "InvokeComplete" in plain[1], plain
    failed = list(lam.invoke_with_response_stream(FunctionName="fails")["EventStream"])
    assert failed[-1]["InvokeComplete"]["ErrorCode"] == "Error", failed


def rust_streams():
    '''The wiring declares `streams`, a program made with the official Rust client.'''
    lam = client()
    begun, pieces, complete = time.time(), [], None
    for message in lam.invoke_with_response_stream(FunctionName="streams", Payload="{}")["EventStream"]:
        if "PayloadChunk" in message:
            pieces.append((time.time() - begun, message["PayloadChunk"]["Payload"]))
        else:
            complete = message["InvokeComplete"]
    # The client begins with status and headers, as function URLs want it.
    body = b"".join(piece for _, piece in pieces)
    assert body.endswith(b"\0" * 8 + b"one two three") and body.startswith(b'{"statusCode":200') and len(pieces) >= 3, pieces
    assert pieces[-1][0] - pieces[0][0] > 0.2 and "ErrorCode" not in complete, (pieces, complete)
    broken = list(lam.invoke_with_response_stream(FunctionName="streams", Payload='{"fail":true}')["EventStream"])
    # This client tells of its failure in the last piece itself, and so it arrives.
    said = b"".join(piece["PayloadChunk"]["Payload"] for piece in broken if "PayloadChunk" in piece)
    assert b"one Lambda-Runtime-Function-Error-Type: Runtime.StreamError" in said, broken
    assert "InvokeComplete" in broken[-1], broken
    whole = lam.invoke(FunctionName="streams", Payload="{}")["Payload"].read()
    assert whole.endswith(b"one two three"), whole


def advance(seconds):
    """Moves the clock of the simulated world; what falls due runs in its order."""
    running = json.loads((FOLDER / ".dropwire/running.json").read_text())
    body = json.dumps({"do": "advance", "millis": int(seconds * 1000)}).encode()
    request = urllib.request.Request(f"{ENDPOINT}/_dropwire/v1/clock", data=body, headers={
        "Content-Type": "application/json", "x-dropwire-token": running["token"]})
    return json.loads(urllib.request.urlopen(request).read())


def listed(path):
    return json.loads(urllib.request.urlopen(f"{ENDPOINT}/_dropwire/v1/{path}").read())


def aliased(lam, queue):
    """An alias that has just been made is invoked at once: the event is not lost, and its record tells the version."""
    create(lam, "g", zipped(app__py="""
def handler(event, context):
    raise Exception(context.invoked_function_arn)
"""))
    version = lam.publish_version(FunctionName="g")["Version"]
    lam.create_alias(FunctionName="g", Name="live", FunctionVersion=version)
    lam.invoke(FunctionName="g", Qualifier="live", InvocationType="Event", Payload="{}")
    lam.put_function_event_invoke_config(FunctionName="g", Qualifier="live", MaximumRetryAttempts=0,
                                         DestinationConfig={"OnFailure": {"Destination": queue}})
    until("the configuration", lambda: lam.get_function_event_invoke_config(FunctionName="g", Qualifier="live"))
    lam.invoke(FunctionName="g", Qualifier="live", InvocationType="Event", Payload='{"second": 1}')
    records = lambda: [letter["body"] for letter in listed("dead") if letter["body"].get("requestPayload") == {"second": 1}]
    record, = until("the record", records)
    assert record["responseContext"]["executedVersion"] == version, record
    assert record["requestContext"]["functionArn"].endswith(":g:live"), record
    assert record["responsePayload"]["errorMessage"].endswith(":function:g:live"), record


def asynchronous():
    """The wiring freezes the clock, and declares the queues `dead` and `failed`, the topic `news` and the bucket `kept`."""
    lam = client()
    out = FOLDER / "calls.txt"
    create(lam, "f", zipped(app__py="""
import json, os
def handler(event, context):
    with open(os.environ['OUT'], 'a') as out:
        out.write(context.aws_request_id + '\\n')
    if event.get('fail'):
        raise Exception('Test exception (this is intentional)')
    return {'did': event}
"""), Environment={"Variables": {"OUT": str(out)}},
           DeadLetterConfig={"TargetArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:dead"})
    queue, topic = f"arn:aws:sqs:us-east-1:{ACCOUNT}:failed", f"arn:aws:sns:us-east-1:{ACCOUNT}:news"
    put = lam.put_function_event_invoke_config(FunctionName="f", DestinationConfig={
        "OnFailure": {"Destination": queue}, "OnSuccess": {"Destination": topic}})
    assert put["FunctionArn"].endswith(":function:f:$LATEST"), put
    create(lam, "reader", zipped(app__py="""
import os
def handler(event, context):
    with open(os.environ['OUT'], 'w') as out:
        out.write(event['Records'][0]['Sns']['Message'])
"""), Environment={"Variables": {"OUT": str(FOLDER / "told.json")}})
    until("both configurations", lambda: lam.get_function_event_invoke_config(FunctionName="f")["DestinationConfig"]
          ["OnFailure"] == {"Destination": queue})
    answer = lam.invoke(FunctionName="f", InvocationType="Event", Payload='{"fail": 1}')
    id = answer["ResponseMetadata"]["RequestId"]
    until("the first try", lambda: out.exists() and out.read_text().count(id) == 1)
    advance(59)
    assert out.read_text().count(id) == 1
    advance(2)
    assert out.read_text().count(id) == 2
    advance(121)
    assert out.read_text() == f"{id}\n" * 3, out.read_text()
    letters = until("the letters", lambda: (lambda all: len(all) == 2 and all)(listed("dead")))
    by_queue = {letter["queue"]: letter for letter in letters}
    record = by_queue["failed"]["body"]
    assert list(record) == ["version", "timestamp", "requestContext", "requestPayload", "responseContext", "responsePayload"]
    context = record["requestContext"]
    assert context["condition"] == "RetriesExhausted" and context["approximateInvokeCount"] == 3, record
    assert context["requestId"] == id and context["functionArn"].endswith(":f:$LATEST"), record
    assert record["responsePayload"]["errorMessage"] == "Test exception (this is intentional)"
    assert by_queue["dead"]["body"] == {"fail": 1}, by_queue["dead"]
    aliased(lam, queue)
    lam.invoke(FunctionName="f", InvocationType="Event", Payload='{"n": 7}')
    lam.put_function_event_invoke_config(FunctionName="f", MaximumRetryAttempts=0, MaximumEventAgeInSeconds=60,
                                         DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::kept"}})
    until("the new configuration", lambda: lam.get_function_event_invoke_config(FunctionName="f")["MaximumRetryAttempts"] == 0)
    lam.invoke(FunctionName="f", InvocationType="Event", Payload='{"fail": 2}')
    kept = until("the object", lambda: [p for p in (FOLDER / "buckets/kept").rglob("*") if p.is_file()])
    assert len(kept) == 1 and "aws/lambda/async/f/" in str(kept[0]), kept
    record = json.loads(kept[0].read_text())
    assert record["requestContext"]["approximateInvokeCount"] == 1 and record["requestPayload"] == {"fail": 2}, record
    lam.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    until("nothing to run", lambda: lam.get_function(FunctionName="f")["Concurrency"])
    lam.invoke(FunctionName="f", InvocationType="Event", Payload='{"never": 1}')
    until("another object", lambda: len([p for p in (FOLDER / "buckets/kept").rglob("*") if p.is_file()]) == 2)
    newest = max((p for p in (FOLDER / "buckets/kept").rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime_ns)
    record = json.loads(newest.read_text())
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency", record
    assert record["requestContext"]["approximateInvokeCount"] == 0 and "responseContext" not in record, record
    refused(lambda: lam.put_function_event_invoke_config(FunctionName="f", DestinationConfig={
        "OnFailure": {"Destination": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"}}), "InvalidParameterValueException",
        "You can't specify the function as a destination for itself.")


def own_calls():
    """A function calls another one by its own SDK, without saying where."""
    lam = client()
    create(lam, "inner", zipped(app__py="def handler(e, c): return e['n'] + 1"))
    site = str(pathlib.Path(boto3.__file__).parents[1])
    create(lam, "outer", zipped(app__py=f"""
import sys, json
sys.path.append({site!r})
import boto3
def handler(event, context):
    said = boto3.client('lambda').invoke(FunctionName='inner', Payload=json.dumps(event))
    return json.loads(said['Payload'].read())
"""), Timeout=30, MemorySize=512)
    assert invoke(lam, "outer", {"n": 41})[1] == 42


EXTENSION = r"""#!/usr/bin/env python3
import http.client, json, os, sys
name, api = os.path.basename(sys.argv[0]), os.environ['AWS_LAMBDA_RUNTIME_API']
def note(text):
    with open(os.environ['NOTES'], 'a') as notes: notes.write(text + '\n')
def call(method, path, body=None, **headers):
    connection = http.client.HTTPConnection(api)
    connection.request(method, '/2020-01-01/extension/' + path, body, headers={k.replace('_', '-'): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer, json.loads(answer.read())
answer, about = call('POST', 'register', '{"events":["INVOKE","SHUTDOWN"]}', Lambda_Extension_Name=name)
me = answer.headers['Lambda-Extension-Identifier']
note(f"{name} of {about['functionName']} {about['functionVersion']}")
while True:
    event = call('GET', 'event/next', Lambda_Extension_Identifier=me)[1]
    note(' '.join([event['eventType'], event.get('requestId') or event['shutdownReason']]))
    if event['eventType'] == 'SHUTDOWN': break
    if os.environ.get('LEAVES'): sys.exit(7)
"""


def extensions():
    lam = client()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        program = zipfile.ZipInfo("extensions/watcher")
        program.external_attr = 0o100755 << 16
        archive.writestr(program, EXTENSION)
    layer = lam.publish_layer_version(LayerName="watch", Content={"ZipFile": made.getvalue()})
    code = zipped(app__py="""
import os, time
def handler(event, context):
    if event == 'hang': time.sleep(1000)
    if event == 'exit': os._exit(3)
    return context.aws_request_id
""")

    def function(name, **variables):
        notes = FOLDER / f"{name}.notes"
        create(lam, name, code, Layers=[layer["LayerVersionArn"]], Timeout=5,
               Environment={"Variables": {"NOTES": str(notes), **variables}})
        return lambda: notes.read_text().splitlines() if notes.exists() else []

    heard = function("f")
    first, second = invoke(lam, "f")[1], invoke(lam, "f")[1]
    # It asks for the next event beside the answer.
    until("both events", lambda: heard() == ["watcher of f $LATEST", f"INVOKE {first}", f"INVOKE {second}"])
    answer, failed = invoke(lam, "f", "exit")
    assert answer["FunctionError"] == "Unhandled" and failed["errorType"] == "Runtime.ExitError", failed
    until("the word of the failure", lambda: heard()[-1] == "SHUTDOWN failure")
    third = invoke(lam, "f")[1]
    until("its new process", lambda: heard()[-2:] == ["watcher of f $LATEST", f"INVOKE {third}"])
    answer, failed = invoke(lam, "f", "hang")
    assert failed["errorType"] == "Sandbox.Timedout" and "Task timed out after 5.00 seconds" in failed["errorMessage"], failed
    until("the word of the timeout", lambda: heard()[-1] == "SHUTDOWN timeout")
    fourth = invoke(lam, "f")[1]
    until("its next process", lambda: heard()[-1] == f"INVOKE {fourth}")
    states = lambda: {one["state"] for one in listed("functions/f")["versions"][0]["environments"]}
    until("its rest", lambda: states() <= {"idle", "frozen"})
    advance(601)
    until("the word of the end", lambda: heard()[-1] == "SHUTDOWN spindown")
    log = base64.b64decode(invoke(lam, "f", LogType="Tail")[0]["LogResult"]).decode()
    assert "Init Duration" in log and "EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE,SHUTDOWN]" in log, log

    function("g", LEAVES="1")
    answer, failed = invoke(lam, "g", "hang")
    assert answer["FunctionError"] == "Unhandled" and failed["errorType"] == "Extension.Crash", failed
    assert failed["errorMessage"].endswith("Error: exit status 7"), failed


def mappings():
    """The wiring declares the table `orders` with the key `id:S`, in the SQLite file shop.db."""
    import sqlite3
    lam = client()
    create(lam, "f", zipped(app__py="""
import os
def handler(event, context):
    with open(os.environ['OUT'], 'a') as out:
        for record in event['Records']:
            out.write(record['eventName'] + ' ' + record['dynamodb']['Keys']['id']['S'] + '\\n')
"""), Environment={"Variables": {"OUT": str(FOLDER / "out.txt")}})
    stream = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/orders"
    refused(lambda: lam.create_event_source_mapping(EventSourceArn="arn:aws:sqs:us-east-1:000000000000:nothing",
                                                    FunctionName="f"), "InvalidParameterValueException")
    refused(lambda: lam.create_event_source_mapping(EventSourceArn=stream, FunctionName="f"),
            "InvalidParameterValueException", "Value null at 'startingPosition'")
    made = lam.create_event_source_mapping(EventSourceArn=stream, FunctionName="f", StartingPosition="LATEST",
                                           BatchSize=10, FilterCriteria={"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]})
    assert made["State"] == "Creating" and made["BatchSize"] == 10 and made["MaximumRetryAttempts"] == -1, made
    until("the mapping", lambda: lam.get_event_source_mapping(UUID=made["UUID"])["State"] == "Enabled")
    refused(lambda: lam.create_event_source_mapping(EventSourceArn=stream, FunctionName="f", StartingPosition="LATEST"),
            "ResourceConflictException", "provided mapping already exists. Please update or delete the existing mapping with UUID", 409)

    def change(sql):
        with sqlite3.connect(FOLDER / "shop.db", timeout=20) as table:
            table.execute(sql)

    out = FOLDER / "out.txt"
    change("insert into orders (id, item) values ('o-1', '{}')")
    until("the first record", lambda: out.exists() and "INSERT o-1" in out.read_text())
    lam.update_event_source_mapping(UUID=made["UUID"], Enabled=False)
    until("it to be off", lambda: lam.get_event_source_mapping(UUID=made["UUID"])["State"] == "Disabled")
    change("insert into orders (id, item) values ('o-2', '{}')")
    change("""update orders set item = '{"a":1}' where id = 'o-2'""")
    lam.update_event_source_mapping(UUID=made["UUID"], Enabled=True)
    until("it to be on", lambda: lam.get_event_source_mapping(UUID=made["UUID"])["State"] == "Enabled")
    change("insert into orders (id, item) values ('o-3', '{}')")
    until("the third record", lambda: "INSERT o-3" in out.read_text())
    # What came while it was off is not lost.
    assert out.read_text() == "INSERT o-1\nINSERT o-2\nINSERT o-3\n", out.read_text()
    assert lam.delete_event_source_mapping(UUID=made["UUID"])["State"] == "Deleting"
    until("it to be gone", lambda: not lam.list_event_source_mappings(FunctionName="f")["EventSourceMappings"])
    refused(lambda: lam.get_event_source_mapping(UUID="00000000-0000-0000-0000-000000000000"),
            "ResourceNotFoundException", "The resource you requested does not exist.")


def refusals():
    lam = client()
    create(lam, "f")
    fresh = lambda **more: (lambda: create(lam, "g", **more))
    refused(lambda: create(lam, "f"), "ResourceConflictException", "Function already exist: f", 409)
    refused(fresh(Role="r1"), "ValidationException", "1 validation error detected: Value 'r1' at 'role' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+")
    refused(fresh(Runtime="cobol85"), "InvalidParameterValueException",
            "Value cobol85 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [")
    refused(fresh(Timeout=1200), "ValidationException",
            "Value '1200' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900")
    refused(fresh(code=b"this is no zip"), "InvalidParameterValueException",
            "Could not unzip uploaded file. Please check your file, then try to upload again.")
    refused(fresh(Environment={"Variables": {"AWS_REGION": "x"}}), "InvalidParameterValueException",
            "Reserved keys used in this request: AWS_REGION")
    refused(fresh(Environment={"Variables": {"A1": "x" * 5000}}), "InvalidParameterValueException", "exceeded the 4KB limit")
    refused(lambda: create(lam, "x" * 65), "InvalidParameterValueException",
            "at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64")
    refused(fresh(Code={"S3Bucket": "nowhere", "S3Key": "k"}), "InvalidParameterValueException",
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket.")
    refused(fresh(Tags={f"t{n}": "" for n in range(51)}), "InvalidParameterValueException",
            "Number of tags exceeds resource tag limit.")
    refused(lambda: lam.update_function_code(FunctionName="f", ZipFile=ECHO, RevisionId="x"),
            "PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id.", 412)
    evil = io.BytesIO()
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../../evil.txt", "x")
    refused(fresh(code=evil.getvalue()), "InvalidParameterValueException")
    assert not list(FOLDER.rglob("evil.txt"))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"\0" * (263 << 20))
    refused(fresh(code=bomb.getvalue()), "InvalidParameterValueException",
            "Unzipped size must be smaller than 262144000 bytes")
    refused(lambda: lam.put_function_event_invoke_config(FunctionName="f"), "InvalidParameterValueException",
            "You must specify at least one of error handling or destination setting.")
    refused(lambda: lam.get_function_event_invoke_config(FunctionName="f"), "ResourceNotFoundException",
            "doesn't have an EventInvokeConfig")


STORIES = [life, versions, invoking, concurrency, policies, urls, layers, streaming, rust_streams, asynchronous, own_calls, extensions, mappings, refusals]

if __name__ == "__main__":
    ENDPOINT = sys.argv[2]
    FOLDER = pathlib.Path(sys.argv[3])
    {story.__name__: story for story in STORIES}[sys.argv[1]]()
    print("told to the end")
