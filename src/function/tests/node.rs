//! Node handlers of every style.

use super::*;

fn node(code: &str) -> Bench {
    Bench::handler("nodejs20.x", "index.handler", ("index.js", code))
}

#[tokio::test]
async fn handlers_of_every_style_answer() {
    if !installed("node") {
        return;
    }
    let check = async |runtime: &str, (file, code): (&str, &str), expected: Value| {
        let bench = Bench::handler(runtime, "index.handler", (file, code));
        for _ in 0..2 {
            assert_eq!(bench.result(r#"{"a":"ü€😀"}"#).await, expected, "{code}");
        }
        assert_eq!(bench.functions.list()[0].cold_starts, 1);
        bench.functions.stop().await;
    };
    let one = || serde_json::json!({"a": "ü€😀"});
    check("nodejs20.x", ("index.js", "exports.handler = async (event) => event"), one()).await;
    check("nodejs20.x", ("index.mjs", "export const handler = async (event) => event"), one()).await;
    check(
        "nodejs8.10",
        ("index.js", "exports.handler = (event, context, callback) => callback(null, event)"),
        one(),
    )
    .await;
    let timer = "exports.handler = (event, context, done) => { setTimeout(() => done(null, event), 5) }";
    check("nodejs8.10", ("index.js", timer), one()).await;
    let early = "exports.handler = (e, c, done) => { c.callbackWaitsForEmptyEventLoop = false; setTimeout(() => {}, 60000); done(null, e) }";
    check("nodejs8.10", ("index.js", early), one()).await;
    let late =
        "let n = 0; exports.handler = (e, c, done) => { done(null, e); setTimeout(() => { e.a += '' }, 5) }";
    check("nodejs8.10", ("index.js", late), one()).await;
    check("nodejs8.10", ("index.js", "exports.handler = (e, c) => { c.succeed(e) }"), one()).await;
    check("nodejs20.x", ("index.js", "exports.handler = async () => {}"), Value::Null).await;
    check("nodejs20.x", ("index.js", "exports.handler = () => {}"), Value::Null).await;
    let stream = "exports.handler = awslambda.streamifyResponse(async (e, out) => { out.write('{\"a\":'); out.end('\"ü€😀\"}') })";
    check("nodejs20.x", ("index.js", stream), one()).await;
}

#[tokio::test]
async fn failures_have_aws_shape() {
    if !installed("node") {
        return;
    }
    let check = async |code: &str, kind: &str, message: &str| {
        let bench = node(code);
        let failure = bench.failure("{}").await;
        let payload = json(&failure.payload);
        assert_eq!(keys(&payload), ["errorType", "errorMessage", "trace"], "{payload}");
        assert_eq!(payload["errorType"], kind, "{payload}");
        assert!(payload["errorMessage"].as_str().is_some_and(|text| text.contains(message)), "{payload}");
        bench.functions.stop().await;
    };
    check("exports.handler = async () => { throw new TypeError('no') }", "TypeError", "no").await;
    check("exports.handler = (e, c, done) => done(new Error('no'))", "Error", "no").await;
    check("exports.handler = (e, c, done) => done('no')", "string", "no").await;
    check("exports.handler = async () => 1n", "Error", "Unable to stringify response body").await;
    check("exports.handler = () => { setTimeout(() => { throw new RangeError('x') }) }", "RangeError", "x")
        .await;
    let rejected = "exports.handler = () => { Promise.reject(new Error('lost')) }";
    check(rejected, "Runtime.UnhandledPromiseRejection", "Error: lost").await;
    check("require('nowhere')", "Runtime.ImportModuleError", "Error: Cannot find module 'nowhere'").await;
    check("exports.other = 1", "Runtime.HandlerNotFound", "index.handler is undefined or not exported").await;
    check("exports.handler = (", "Runtime.UserCodeSyntaxError", "SyntaxError: ").await;
    check("throw new Error('start')", "Error", "start").await;
}

#[tokio::test]
async fn the_console_writes_lines_as_on_aws() {
    if !installed("node") {
        return;
    }
    let bench = node(
        "exports.handler = async (e, c) => { console.log('hi', {a: 1}); console.error('oh'); if (e) process.exit(7); throw new Error('bad') }",
    );
    let failure = bench.failure("0").await;
    let log: Vec<&str> = failure.report.log.lines().skip(1).collect();
    assert!(
        log[1].starts_with("20") && log[1].ends_with(&format!("Z\t{ID}\tINFO\thi {{ a: 1 }}")),
        "{log:?}"
    );
    assert!(log[2].ends_with(&format!("Z\t{ID}\tERROR\toh")));
    let told = format!(
        "Z\t{ID}\tERROR\tInvoke Error \t{{\"errorType\":\"Error\",\"errorMessage\":\"bad\",\"stack\":["
    );
    assert!(log[3].contains(&told), "{}", log[3]);
    assert_eq!(bench.failure("1").await.summary, "exit 7");
    bench.functions.stop().await;
}

#[tokio::test]
async fn each_event_has_its_trace_among_the_variables() {
    if !installed("node") {
        return;
    }
    let bench = node(
        "const env = process.env; const { execSync } = require('child_process');
         exports.handler = async () => {
           const seen = [process.env._X_AMZN_TRACE_ID, env._X_AMZN_TRACE_ID, { ...process.env }._X_AMZN_TRACE_ID,
             execSync('printf %s \"$_X_AMZN_TRACE_ID\"').toString()];
           const is = '_X_AMZN_TRACE_ID' in process.env && Object.keys(process.env).filter((key) => key === '_X_AMZN_TRACE_ID').length;
           process.env.MINE = 1;
           // The next event has its own again.
           delete process.env._X_AMZN_TRACE_ID;
           return [new Set(seen).size, is, process.env.MINE, execSync('printf %s $MINE').toString(),
             '_X_AMZN_TRACE_ID' in process.env, process.env.AWS_LAMBDA_RUNTIME_API.length > 0, seen[0]];
         }",
    );
    let mut traces = Vec::new();
    for _ in 0..2 {
        let mut result = bench.result("{}").await;
        traces.push(result.as_array_mut().and_then(Vec::pop).expect("a trace"));
        assert_eq!(result, serde_json::json!([1, 1, "1", "1", false, true]));
    }
    let root = |trace: &Value| trace.as_str().is_some_and(|trace| trace.starts_with("Root=1-"));
    assert!(traces.iter().all(root), "{traces:?}");
    bench.functions.stop().await;
}
