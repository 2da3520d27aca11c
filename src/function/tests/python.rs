//! Python handlers: results, failures and logs as AWS has them.

use super::*;

fn python(code: &str) -> Bench {
    Bench::handler("python3.12", "app.handler", ("app.py", code))
}

#[tokio::test]
async fn a_handler_gets_its_event_and_context() {
    if !installed("python3") {
        return;
    }
    let bench = python(
        "import os, logging\n\
         logging.getLogger().setLevel('INFO')\n\
         print('loaded')\n\
         def handler(event, context):\n\
         \x20   print('héllo'); logging.info('there')\n\
         \x20   return [event, context.function_name, context.function_version, context.invoked_function_arn,\n\
         \x20           context.memory_limit_in_mb, context.aws_request_id, context.get_remaining_time_in_millis() > 1000,\n\
         \x20           os.environ['LAMBDA_TASK_ROOT'] == os.getcwd(), os.environ['_X_AMZN_TRACE_ID'][:7],\n\
         \x20           context.log_group_name, 'CARGO' in os.environ]\n",
    );
    let reply = bench.reply(r#"{"a":"ü€😀"}"#).await;
    let expected = serde_json::json!([
        {"a": "ü€😀"}, "f", "$LATEST", "arn:aws:lambda:us-east-1:000000000000:function:f", "128", ID, true, true,
        "Root=1-", "/aws/lambda/f", false
    ]);
    assert_eq!(json(&reply.payload), expected);
    let log: Vec<&str> = reply.report.log.lines().collect();
    assert!(log[0].starts_with("INIT_START Runtime Version: python:3."), "{}", log[0]);
    let log = &log[1..];
    assert_eq!(log[..3], ["loaded", &format!("START RequestId: {ID} Version: $LATEST"), "héllo"]);
    assert!(log[3].starts_with("[INFO]\t20") && log[3].ends_with(&format!("Z\t{ID}\tthere")), "{}", log[3]);
    assert_eq!(log[4], format!("END RequestId: {ID}"));
    assert!(
        log[5].starts_with(&format!("REPORT RequestId: {ID}\tDuration: "))
            && log[5].contains("\tInit Duration: ")
    );
    assert!(!log[5].contains("Max Memory Used: 0 MB") || !cfg!(target_os = "linux"), "{}", log[5]);
    let warm = bench.reply("null").await;
    assert!(warm.report.init.is_none() && !warm.report.log.contains("loaded"), "{}", warm.report.log);
    bench.functions.stop().await;
}

#[tokio::test]
async fn an_exception_is_told_as_it_was_recorded() {
    if !installed("python3") {
        return;
    }
    let bench = Bench::handler(
        "python3.6",
        "sub/app.handler",
        ("sub/app.py", "def handler(event, context):\n    raise Exception(\"Handler fails\")\n"),
    );
    let failure = bench.failure("{}").await;
    let recorded: Value = json(include_bytes!("../golden/handler_exception_python.json"));
    let payload = String::from_utf8_lossy(&failure.payload);
    let code = bench.path().join("sub/app.py");
    let payload = payload.replace(&*code.to_string_lossy(), "/var/task/lambda_handler_error.py");
    // Compared as text: the order of the keys is AWS's as well.
    assert_eq!(json(payload.as_bytes()).to_string(), recorded["Payload"].to_string());
    assert_eq!(failure.summary, "Exception: Handler fails");
    assert!(
        failure
            .report
            .log
            .contains("[ERROR] Exception: Handler fails\nTraceback (most recent call last):\n  File ")
    );
    assert_eq!(bench.functions.list()[0].warm, 1, "who reports an error lives on");
    bench.functions.stop().await;
}

#[tokio::test]
async fn code_that_cannot_be_loaded_says_why() {
    if !installed("python3") {
        return;
    }
    let check = async |handler: &str, code: &str, kind: &str, message: &str| {
        let bench = Bench::handler("python3.12", handler, ("app.py", code));
        let failure = bench.failure("{}").await;
        let payload = json(&failure.payload);
        assert_eq!((&payload["errorType"], &payload["requestId"]), (&kind.into(), &"".into()), "{payload}");
        assert!(payload["errorMessage"].as_str().is_some_and(|text| text.contains(message)), "{payload}");
        let kept = if kind.starts_with("Runtime.") { kind } else { "Runtime.Unknown" };
        let log = &failure.report.log;
        assert!(log.contains(&format!("\tPhase: init\tStatus: error\tError Type: {kept}\n")), "{log}");
        assert_eq!(bench.functions.list()[0].warm, 0);
        bench.functions.stop().await;
    };
    let missing = "Unable to import module 'app': No module named 'nowhere'";
    check("app.handler", "import nowhere", "Runtime.ImportModuleError", missing).await;
    check("app.nope", "", "Runtime.HandlerNotFound", "Handler 'nope' missing on module 'app'").await;
    check("app", "", "Runtime.MalformedHandlerName", "Bad handler 'app'").await;
    check("app.handler", "def (", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': ").await;
    check("app.handler", "raise Exception('startup fails')", "Exception", "startup fails").await;
}

#[tokio::test]
async fn results_that_are_no_json_fail() {
    if !installed("python3") {
        return;
    }
    let bench = python("def handler(e, c):\n    return None if e == 1 else {1, 2}\n");
    assert_eq!(bench.result("1").await, Value::Null);
    let payload = json(&bench.failure("2").await.payload);
    assert_eq!(payload["errorType"], "Runtime.MarshalError");
    assert_eq!(
        payload["errorMessage"],
        "Unable to marshal response: Object of type set is not JSON serializable"
    );
    bench.functions.stop().await;
}

#[tokio::test]
async fn a_process_that_ends_is_replaced() {
    if !installed("python3") {
        return;
    }
    let bench = python(
        "import os, sys\nruns = 0\n\
         def handler(event, context):\n\
         \x20   global runs\n    runs += 1\n    print('here', flush=True)\n\
         \x20   if event == 'kill': os.kill(os.getpid(), 9)\n\
         \x20   if event is not None: sys.exit(event)\n    return runs\n",
    );
    assert_eq!(bench.result("null").await, 1);
    assert_eq!(bench.result("null").await, 2);
    let ended = |text: &str| {
        format!(r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {ID} Error: {text}"}}"#)
    };
    let failure = bench.failure("3").await;
    assert_eq!(failure.payload, ended("Runtime exited with error: exit status 3"));
    assert_eq!(failure.summary, "exit 3");
    let log = failure.report.log;
    let told = format!(
        "here\nRequestId: {ID} Error: Runtime exited with error: exit status 3\nRuntime.ExitError\nEND Req"
    );
    assert!(
        log.contains(&told) && log.ends_with("\tStatus: error\tError Type: Runtime.ExitError\n"),
        "{log}"
    );
    let failure = bench.failure("0").await;
    assert_eq!(failure.payload, ended("Runtime exited without providing a reason"));
    let failure = bench.failure("\"kill\"").await;
    assert_eq!(
        (failure.payload, failure.summary),
        (ended("Runtime exited with error: signal: killed").into(), "killed".into())
    );
    assert_eq!(bench.result("null").await, 1);
    bench.functions.stop().await;
}

#[tokio::test]
async fn who_takes_too_long_is_killed() {
    if !installed("python3") {
        return;
    }
    let mut bench =
        python("import time\ndef handler(e, c):\n    print('begun')\n    time.sleep(e)\n    return e\n");
    bench.spec.timeout = Some(Duration::from_secs(1));
    let failure = bench.failure("60").await;
    let recorded = json(include_bytes!("../golden/timeout_2025.json"));
    assert_eq!(json(&failure.payload), recorded["Payload"]);
    assert_eq!(failure.summary, "Timeout after 1.00 s");
    let log = failure.report.log;
    assert!(
        log.contains("begun\n20")
            && log.contains(&format!("Z {ID} Task timed out after 1.00 seconds\n\nEND "))
    );
    assert!(log.ends_with("\tStatus: timeout\n"), "{log}");
    assert_eq!(bench.result("0").await, 0);
    bench.functions.stop().await;
}

#[tokio::test]
async fn ten_megabytes_of_output_stall_nothing() {
    if !installed("python3") {
        return;
    }
    let bench = python("def handler(e, c):\n    for i in range(100000): print(i, 'x' * 100)\n");
    let reply = bench.reply("1").await;
    assert!(reply.report.log.len() < (1 << 20) + 2000, "{} bytes are kept", reply.report.log.len());
    assert!(reply.report.log.contains("\n0 xxx") && reply.report.log.contains("\n99999 xxx"));
    bench.functions.stop().await;
}

#[tokio::test]
async fn changed_code_is_loaded_for_the_next_event() {
    if !installed("python3") {
        return;
    }
    let bench = python("def handler(e, c):\n    open('out.txt', 'w').write('x')\n    return 1\n");
    assert_eq!(bench.result("1").await, 1);
    assert_eq!(bench.result("1").await, 1);
    assert_eq!(bench.functions.list()[0].cold_starts, 1, "what a function writes is no code");
    bench.write("app.py", "def handler(e, c):\n    return 'two'\n");
    let changed = async {
        while bench.result("1").await != "two" {
            tokio::task::yield_now().await;
        }
    };
    assert!(real::within(PATIENCE, changed).await.is_some());
    assert_eq!(bench.functions.list()[0].cold_starts, 2);
    assert!(!bench.path().join("__pycache__").exists());
    bench.functions.stop().await;
}
