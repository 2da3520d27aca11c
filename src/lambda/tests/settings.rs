//! Every option of a function is honoured, shown, or refused with its reason.

use super::*;
use crate::config::LogFormat;

async fn check(service: &Service, more: Value, status: u16, words: &str) {
    let text = service.fails(status, "POST", FUNCTIONS, with(function("f"), more)).await;
    assert!(text.contains(words), "{text}\n{words}");
}

#[tokio::test]
async fn each_option_has_its_rule() {
    let service = Service::new().await;
    let refused = async |more: Value, words: &str| check(&service, more, 400, words).await;
    refused(json!({"Role": "r1"}), r"1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+").await;
    refused(json!({"Timeout": 1200}), "1 validation error detected: Value '1200' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900").await;
    refused(json!({"MemorySize": 127}), "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128").await;
    refused(json!({"Timeout": 0, "MemorySize": 1}), "2 validation errors detected: Value '0' at 'timeout'")
        .await;
    refused(
        json!({"FunctionName": "a".repeat(65)}),
        "'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
    )
    .await;
    refused(json!({"Runtime": "perl"}), "Value perl at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, ").await;
    refused(json!({"Runtime": "java21"}), "dropwire does not start the runtime java21").await;
    refused(
        json!({"Handler": null}),
        "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
    )
    .await;
    refused(
        json!({"Handler": "a b"}),
        "'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: [^\\s]+",
    )
    .await;
    refused(
        json!({"Role": null}),
        "Value null at 'role' failed to satisfy constraint: Member must not be null",
    )
    .await;
    refused(json!({"Description": "d".repeat(257)}), "'description' failed to satisfy constraint").await;
    refused(json!({"EphemeralStorage": {"Size": 511}}), "Value '511' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value greater than or equal to 512").await;
    refused(json!({"Architectures": ["x86_64", "arm64"]}), "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1").await;
    refused(json!({"PackageType": "Rar"}), "Value 'Rar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Zip, Image]").await;
    refused(json!({"TracingConfig": {"Mode": "On"}}), "'tracingConfig.mode'").await;
    refused(json!({"Layers": ["l"]}), "Value '[l]' at 'layers' failed to satisfy constraint").await;
    let layer = |n: u32| format!("arn:aws:lambda:us-east-1:000000000000:layer:l{n}:1");
    refused(json!({"Layers": (0..6).map(layer).collect::<Vec<_>>()}), "Cannot reference more than 5 layers.")
        .await;
    refused(json!({"Layers": [layer(1)]}), &format!("Layer version {} does not exist.", layer(1))).await;
    refused(
        json!({"SnapStart": {"ApplyOn": "PublishedVersions"}}),
        "nodejs8.10 is not supported for SnapStart enabled functions.",
    )
    .await;
    let dead = "arn:aws:sqs:us-east-1:000000000000:nowhere";
    refused(
        json!({"DeadLetterConfig": {"TargetArn": dead}}),
        &format!("The destination ARN {dead} is invalid."),
    )
    .await;
    let tags: serde_json::Map<_, _> = (0..51).map(|n| (format!("t{n}"), json!("v"))).collect();
    refused(json!({"Tags": tags}), "Number of tags exceeds resource tag limit.").await;
}

#[tokio::test]
async fn variables_have_names_sizes_and_reserved_words() {
    let service = Service::new().await;
    let refused = async |variables: Value, words: &str| {
        check(&service, json!({"Environment": {"Variables": variables}}), 400, words).await;
    };
    refused(json!({"1A": "x"}), "Value '{1A=x}' at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]").await;
    refused(json!({"AWS_REGION": "x", "OK": "y"}), "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: AWS_REGION").await;
    let value = "v".repeat(4096);
    refused(json!({"LONG": value}), &format!("because the environment variables you have provided exceeded the 4KB limit. String measured: {{\"LONG\":\"{value}\"}}")).await;
    // {"LONG":"…"} is 11 bytes and the value.
    let fits = json!({"Environment": {"Variables": {"LONG": "v".repeat(4096 - 11)}}});
    service.ok(201, "POST", FUNCTIONS, with(function("f"), fits)).await;
}

#[tokio::test]
async fn what_is_not_honoured_is_refused_with_its_reason() {
    let service = Service::new().await;
    let refused = async |more: Value, words: &str| check(&service, more, 400, words).await;
    refused(json!({"FileSystemConfigs": [{"Arn": "a", "LocalMountPath": "/mnt/x"}]}), "there is no EFS here")
        .await;
    refused(json!({"ImageConfig": {"Command": ["x"]}}), "not of container images").await;
    refused(json!({"PackageType": "Image"}), "not of container images").await;
    refused(json!({"Code": {"ImageUri": "x"}}), "not of container images").await;
    refused(json!({"DurableConfig": {"ExecutionTimeout": 1}}), "no durable executions").await;
    refused(json!({"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}}), "by tenant").await;
    refused(json!({"CapacityProviderConfig": {"X": {}}}), "no managed instances").await;
    refused(json!({"CodeSigningConfigArn": "arn:x"}), "code is not signed here").await;
    refused(json!({"Surprise": 1}), "dropwire does not take Surprise").await;
    refused(json!({"Code": {"S3Bucket": "bbb", "S3Key": "k", "S3ObjectVersion": "1"}}), "keep no versions")
        .await;
    // SDKs send empty ones.
    let empty = json!({"FileSystemConfigs": [], "ImageConfig": {}, "CodeSigningConfigArn": ""});
    service.ok(201, "POST", FUNCTIONS, with(function("f"), empty)).await;
}

#[tokio::test]
async fn options_reach_the_engine_or_are_shown_as_given() {
    let service = Service::new().await;
    let neighbours = Neighbours { topics: ["t".to_owned()].into(), ..Neighbours::default() };
    service.lambda.surround(neighbours);
    let topic = "arn:aws:sns:us-east-1:000000000000:t";
    let asked = json!({
        "Runtime": "python3.12",
        "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1",
        "Architectures": ["arm64"],
        "TracingConfig": {"Mode": "Active"},
        "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
        "SnapStart": {"ApplyOn": "PublishedVersions"},
        "EphemeralStorage": {"Size": 1024},
        "DeadLetterConfig": {"TargetArn": topic},
        "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG", "LogGroup": "/my/group"},
    });
    let shown = service.ok(201, "POST", FUNCTIONS, with(function("f"), asked.clone())).await;
    for same in ["KMSKeyArn", "Architectures", "TracingConfig", "EphemeralStorage", "DeadLetterConfig"] {
        assert_eq!(shown[same], asked[same], "{same}");
    }
    assert_eq!(shown["SnapStart"], json!({"ApplyOn": "PublishedVersions", "OptimizationStatus": "Off"}));
    assert_eq!(shown["VpcConfig"]["SubnetIds"], json!(["subnet-1"]));
    let logging = json!({
        "LogFormat": "JSON",
        "ApplicationLogLevel": "DEBUG",
        "SystemLogLevel": "INFO",
        "LogGroup": "/my/group",
    });
    assert_eq!(shown["LoggingConfig"], logging);
    let spec = &service.lambda.specs()["f"];
    assert_eq!((spec.storage_mb, spec.logging.group.as_deref()), (1024, Some("/my/group")));
    assert_eq!(spec.logging.format, LogFormat::Json { application: "DEBUG".into(), system: "INFO".into() });
    let dead_letters = service.lambda.asynchronous("f", None).dlq;
    assert_eq!(dead_letters.map(|to| to.arn(&Place::default()).to_string()).as_deref(), Some(topic));
    service.apply();
    let path = format!("{FUNCTIONS}/f/configuration");
    let text = service
        .fails(400, "PUT", &path, json!({"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "WARN"}}))
        .await;
    assert_eq!(
        text,
        "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel from your request or change the \
         LogFormat to \"JSON\" and try again."
    );
    let cleared = json!({"DeadLetterConfig": {"TargetArn": ""}, "KMSKeyArn": "", "LoggingConfig": {"LogFormat": "Text"}});
    let shown = service.ok(200, "PUT", &path, cleared).await;
    assert_eq!((shown.get("DeadLetterConfig"), shown.get("KMSKeyArn")), (None, None));
    assert_eq!(shown["LoggingConfig"], json!({"LogFormat": "Text", "LogGroup": "/my/group"}));
}

#[tokio::test]
async fn tags_runtimes_and_recursion_are_kept() {
    let mut service = Service::new().await;
    service.create("f").await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let tags = format!("/2017-03-31/tags/{}", arn.replace(':', "%3A"));
    service.ok(204, "POST", &tags, json!({"Tags": {"a": "1", "b": "2"}})).await;
    service.ok(204, "DELETE", &format!("{tags}?tagKeys=a&tagKeys=zz"), Value::Null).await;
    service.again().await;
    assert_eq!(service.ok(200, "GET", &tags, Value::Null).await, json!({"Tags": {"b": "2"}}));
    assert_eq!(
        service.fails(400, "GET", &format!("{tags}%3A1"), Value::Null).await,
        "Tags on function aliases and versions are not supported. Please specify a function ARN."
    );
    let missing =
        service.fails(404, "GET", &tags.replace("%3Afunction%3Af", "%3Afunction%3Ag"), Value::Null).await;
    assert!(missing.starts_with("Function not found: "), "{missing}");
    assert!(
        service
            .fails(400, "GET", "/2017-03-31/tags/x", Value::Null)
            .await
            .contains("Value 'x' at 'resource'")
    );
    let rule = "/2021-07-20/functions/f/runtime-management-config";
    assert_eq!(service.ok(200, "GET", rule, Value::Null).await["UpdateRuntimeOn"], "Auto");
    service.ok(200, "PUT", rule, json!({"UpdateRuntimeOn": "FunctionUpdate"})).await;
    assert_eq!(service.ok(200, "GET", rule, Value::Null).await["UpdateRuntimeOn"], "FunctionUpdate");
    let recursion = "/2024-08-31/functions/f/recursion-config";
    assert_eq!(service.ok(200, "GET", recursion, Value::Null).await, json!({"RecursiveLoop": "Allow"}));
    service.ok(200, "PUT", recursion, json!({"RecursiveLoop": "Allow"})).await;
    let refused = service.fails(400, "PUT", recursion, json!({"RecursiveLoop": "Terminate"})).await;
    assert!(refused.contains("does not look for recursive loops"), "{refused}");
    let signing = "/2020-06-30/functions/f/code-signing-config";
    assert_eq!(service.ok(200, "GET", signing, Value::Null).await, json!({}));
}
