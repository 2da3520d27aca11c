//! Code that is none, bodies that are none, and operations that are not there.

use super::*;

const NO_ZIP: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";

#[tokio::test]
async fn code_that_is_none_leaves_nothing_behind() {
    let service = Service::new().await;
    let check = async |code: Value, status: u16, expected: &str| {
        let text = service.fails(status, "POST", FUNCTIONS, with(function("f"), json!({"Code": code}))).await;
        assert_eq!(text, expected);
    };
    check(json!({"ZipFile": STANDARD.encode("no zip")}), 400, NO_ZIP).await;
    check(json!({"ZipFile": ""}), 400, NO_ZIP).await;
    check(json!({}), 400, "Please provide a source for function code.").await;
    let both = json!({"ZipFile": "", "S3Bucket": "bbb", "S3Key": "k"});
    check(both, 400, "Please do not provide other FunctionCode parameters when providing a ZipFile.").await;
    let large = STANDARD.encode(vec![0; 52_428_801]);
    check(json!({"ZipFile": large}), 413, "Zipped size must be smaller than 52428800 bytes").await;
    let (status, answer) =
        service.call("POST", FUNCTIONS, with(function("f"), json!({"Code": {"ZipFile": "%"}}))).await;
    assert_eq!(status, 400, "{answer}");
    assert!(service.lambda.specs().is_empty());
    let left = std::fs::read_dir(service.folder.path().join("functions")).map_or(0, Iterator::count);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn code_can_lie_in_a_bucket() {
    let service = Service::new().await;
    let bucket = service.folder.path().join("bucket");
    std::fs::create_dir(&bucket).expect("a folder");
    let bytes = STANDARD.decode(zip("index.js", "1")).expect("a zip");
    std::fs::write(bucket.join("code.zip"), bytes).expect("a file");
    let neighbours = Neighbours { buckets: [("code".to_owned(), bucket)].into(), ..Neighbours::default() };
    service.lambda.surround(neighbours);
    let asked =
        |bucket: &str, key: &str| with(function("f"), json!({"Code": {"S3Bucket": bucket, "S3Key": key}}));
    assert_eq!(
        service.fails(400, "POST", FUNCTIONS, asked("nowhere", "code.zip")).await,
        "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The specified bucket does not exist"
    );
    for key in ["other.zip", "../state.db", "/etc/passwd"] {
        assert_eq!(
            service.fails(400, "POST", FUNCTIONS, asked("code", key)).await,
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist."
        );
    }
    service.ok(201, "POST", FUNCTIONS, asked("code", "code.zip")).await;
    assert!(spec_code(&service.lambda.specs()["f"]).join("index.js").exists());
}

#[tokio::test]
async fn what_would_be_ignored_is_refused() {
    let service = Service::new().await;
    let variables = json!({"Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/wrapper"}}});
    let text = service.fails(400, "POST", FUNCTIONS, with(function("f"), variables)).await;
    assert!(text.starts_with("dropwire does not take AWS_LAMBDA_EXEC_WRAPPER"), "{text}");
    service.create("f").await;
    let text = service.fails(400, "PUT", &format!("{FUNCTIONS}/f/code"), json!({"ImageUri": "i:1"})).await;
    assert_eq!(text, "Please don't provide ImageUri when updating a function with packageType Zip.");
}

#[tokio::test]
async fn code_that_was_only_tried_is_not_kept() {
    let service = Service::new().await;
    service.create("f").await;
    let tried = json!({"ZipFile": zip("index.js", "other"), "DryRun": true});
    service.ok(200, "PUT", &format!("{FUNCTIONS}/f/code"), tried).await;
    assert_eq!(service.lambda.retired.lock().expect("a lock").len(), 1);
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let service = Service::new().await;
    for body in ["{", "[]", "nonsense", "\u{1}"] {
        let (status, answer) = service.send("POST", FUNCTIONS, Bytes::from(body)).await;
        let text = answer["message"].as_str().expect("a text");
        assert_eq!(status, 400);
        assert!(text.starts_with("Could not parse request body into json: "), "{text}");
    }
    let wrong = service.fails(400, "POST", FUNCTIONS, json!({"FunctionName": 7})).await;
    assert!(wrong.starts_with("Could not parse request body into json: "), "{wrong}");
    let gone = service.fails(501, "POST", "/2025-11-30/capacity-providers", json!({})).await;
    assert!(gone.contains("CreateCapacityProvider"), "{gone}");
    service.fails(404, "PATCH", "/2015-03-31/functions/f", json!({})).await;
}
