//! The official Lambda runtime clients as functions: what they need of our Runtime API, they have. They are looked
//! for in `target/clients`, where `.ci/run` installs them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::program::skipped;
use crate::simulator::Project;

/// A client's program below `target/clients`; none if it is not installed, which is said.
pub fn installed(program: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(program);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!("target/clients/{program} is not there; .ci/run installs it"));
    None
}

/// A project whose function `client` is this command.
fn running(command: &str) -> Project {
    Project::new(&format!(
        "[function.client]\nrun = '''{command}'''\ntimeout = \"20s\"\nconcurrency = 1\n[function.client.wire.news]\n\
         topic = \"news\"\nretries = 1\nbackoff = [\"0s\"]\n"
    ))
}

/// Two events that are handled in one environment, and between them one that fails twice. The answer of the function
/// names `id`, the request id, and `deadline`, in milliseconds since 1970.
async fn check(project: &Project) {
    let mut simulator = project.start().await;
    simulator.publish("news", "first").await;
    let first = simulator.until_taken("client", 1).await.remove(0);
    assert_eq!(first["event"]["Records"][0]["Sns"]["Message"], "first");
    assert!(first["arn"].as_str().is_some_and(|arn| arn.ends_with(":function:client")), "{first}");
    simulator.publish("news", "fail").await;
    simulator.until_ended("client", 2).await;
    simulator.publish("news", "second").await;
    let second = simulator.until_taken("client", 2).await.remove(1);
    let attempts = simulator.attempts("client").await;
    let numbers: Vec<(u32, bool)> = attempts.iter().map(|a| (a.number, a.error.is_none())).collect();
    assert_eq!(numbers, [(1, true), (1, false), (2, false), (1, true)], "{attempts:#?}");
    let failure: Value = serde_json::from_str(&attempts[1].result).expect("JSON");
    assert!(failure["errorMessage"].as_str().is_some_and(|text| text.contains("told to fail")), "{failure}");
    assert_eq!(
        (&first["id"], &second["id"]),
        (&json!(attempts[0].request_id), &json!(attempts[3].request_id))
    );
    let (early, late) = (first["deadline"].as_f64(), second["deadline"].as_f64());
    assert!(early.zip(late).is_some_and(|(early, late)| early > 1.6e12 && late > early), "{first} {second}");
    assert!(attempts[0].log.contains("handled by the "), "{}", attempts[0].log);
    let cold = simulator.get("list?kind=functions").await[0]["facts"]["cold_starts"].clone();
    assert_eq!(cold, 1, "it stayed warm, also after its failures");
    simulator.stop().await;
}

#[tokio::test]
async fn the_official_python_client_runs() {
    let Some(python) = installed("python/bin/python") else { return };
    let project = running(&format!("{} -m awslambdaric app.handler", python.display()));
    project.write(
        "app.py",
        "import time\n\n\ndef handler(event, context):\n    if event['Records'][0]['Sns']['Message'] == 'fail':\n        \
         raise ValueError('told to fail')\n    print('handled by the Python client')\n    \
         left = context.get_remaining_time_in_millis()\n    return {'event': event, 'id': context.aws_request_id, \
         'deadline': time.time() * 1000 + left, 'arn': context.invoked_function_arn}\n",
    );
    check(&project).await;
}

#[tokio::test]
async fn the_official_node_client_runs() {
    let Some(client) = installed("node/node_modules/.bin/aws-lambda-ric") else { return };
    let project = running(&format!("node {} index.handler", client.display()));
    project.write(
        "index.js",
        "exports.handler = async (event, context) => {\n  if (event.Records[0].Sns.Message === 'fail') throw new Error('told to fail');\n  \
         console.log('handled by the Node client');\n  return { event, id: context.awsRequestId, \
         deadline: Date.now() + context.getRemainingTimeInMillis(), arn: context.invokedFunctionArn };\n};\n",
    );
    check(&project).await;
}

#[tokio::test]
async fn the_official_rust_client_runs() {
    let Some(program) = installed("rust/debug/rust-client") else { return };
    check(&running(&program.display().to_string())).await;
}
