//! Functions are created, shown, changed, listed and deleted, and are still there afterwards.

use super::*;

#[tokio::test]
async fn a_function_is_created_pending_and_becomes_active() {
    let service = Service::new().await;
    let asked = with(function("f"), json!({"Timeout": 5, "MemorySize": 256, "Tags": {"a": "b"}}));
    let created = service.ok(201, "POST", FUNCTIONS, asked).await;
    let expected = json!({
        "FunctionName": "f",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
        "Role": ROLE,
        "Runtime": "nodejs8.10",
        "Handler": "index.handler",
        "CodeSize": created["CodeSize"],
        "CodeSha256": created["CodeSha256"],
        "RevisionId": created["RevisionId"],
        "Description": "",
        "Timeout": 5,
        "MemorySize": 256,
        "LastModified": "2025-11-24T23:11:05.000+0000",
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"},
        "RuntimeVersionConfig": created["RuntimeVersionConfig"],
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
    });
    assert_eq!(created, expected);
    assert_eq!(created["CodeSha256"].as_str().map(str::len), Some(44));
    let busy =
        service.fails(409, "PUT", &format!("{FUNCTIONS}/f/configuration"), json!({"Timeout": 6})).await;
    assert!(busy.ends_with("The function is currently in the following state: Pending"), "{busy}");
    tokio::join!(service.lambda.until_in_force(), async { service.apply() });
    let shown = service.ok(200, "GET", &format!("{FUNCTIONS}/f"), Value::Null).await;
    let configuration = &shown["Configuration"];
    assert_eq!(configuration["State"], "Active");
    assert_eq!(configuration["LastUpdateStatus"], "Successful");
    assert_eq!(configuration.get("StateReason"), None);
    assert_ne!(configuration["RevisionId"], created["RevisionId"]);
    assert_eq!(shown["Tags"], json!({"a": "b"}));
    assert_eq!(shown.get("Concurrency"), None);
    assert_eq!(shown["Code"]["RepositoryType"], "S3");
    let spec = &service.lambda.specs()["f"];
    assert_eq!((spec.memory_mb, spec.timeout), (256, Some(std::time::Duration::from_secs(5))));
    assert!(spec_code(spec).join("index.js").exists());
}

#[tokio::test]
async fn an_update_is_in_progress_until_it_is_applied() {
    let service = Service::new().await;
    let before = service.create("f").await;
    let path = format!("{FUNCTIONS}/f/configuration");
    let asked = json!({"Timeout": 10, "Environment": {"Variables": {"KEY": "v"}}, "Description": "d"});
    let updated = service.ok(200, "PUT", &path, asked).await;
    assert_eq!(updated["LastUpdateStatus"], "InProgress");
    assert_eq!(updated["LastUpdateStatusReason"], "The function is being created.");
    assert_eq!(updated["State"], "Active");
    assert_eq!(updated["Environment"], json!({"Variables": {"KEY": "v"}}));
    assert_eq!(updated["MemorySize"], 128, "what is not given stays");
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    assert_eq!(
        service.fails(409, "PUT", &path, json!({"Timeout": 11})).await,
        format!(
            "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
        )
    );
    service.apply();
    let code = json!({"ZipFile": zip("index.js", "exports.handler = async () => 2")});
    let updated = service.ok(200, "PUT", &format!("{FUNCTIONS}/f/code"), code.clone()).await;
    assert_ne!(updated["CodeSha256"], before["CodeSha256"]);
    assert_eq!(updated["Timeout"], 10);
    service.apply();
    let shown = service.configuration("f").await;
    assert_eq!(shown["LastUpdateStatus"], "Successful");
    assert_ne!(shown["RevisionId"], updated["RevisionId"]);
    let stale = service.fails(412, "PUT", &path, json!({"Timeout": 9, "RevisionId": "x"})).await;
    assert!(
        stale.ends_with("Call the GetFunction/GetAlias API to retrieve the latest Revision Id"),
        "{stale}"
    );
    let known = json!({"Timeout": 9, "RevisionId": shown["RevisionId"]});
    service.ok(200, "PUT", &path, known).await;
    service.apply();
    let dry = with(code, json!({"DryRun": true, "Publish": true}));
    service.ok(200, "PUT", &format!("{FUNCTIONS}/f/code"), dry).await;
    assert_eq!(service.configuration("f").await["LastUpdateStatus"], "Successful");
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let mut service = Service::new().await;
    let asked = with(function("f"), json!({"Publish": true, "Environment": {"Variables": {"AB": "1"}}}));
    let created = service.ok(201, "POST", FUNCTIONS, asked).await;
    assert_eq!((&created["Version"], &created["State"]), (&json!("1"), &json!("Pending")));
    assert_eq!(created["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f");
    service.apply();
    service
        .ok(200, "PUT", "/2017-10-31/functions/f/concurrency", json!({"ReservedConcurrentExecutions": 7}))
        .await;
    let (before, specs) = (service.configuration("f").await, service.lambda.specs());
    service.again().await;
    assert_eq!(service.configuration("f").await, before);
    assert_eq!(service.lambda.specs(), specs);
    assert_eq!(specs.keys().collect::<Vec<_>>(), ["f", "f:1"]);
    assert_eq!(spec_code(&specs["f"]), spec_code(&specs["f:1"]));
    assert_eq!(service.lambda.reserved()["f"], 7);
    assert_eq!(*service.lambda.changes().borrow(), 1);
    let file = spec_code(&specs["f"]).join("index.js");
    assert!(file.exists());
    service.ok(204, "DELETE", &format!("{FUNCTIONS}/f"), Value::Null).await;
    assert!(file.exists(), "what still runs has its code");
    service.again().await;
    assert!(!file.exists());
    assert!(service.lambda.specs().is_empty());
}

#[tokio::test]
async fn names_are_taken_once_and_given_back() {
    let service = Service::new().await;
    service.create("f").await;
    assert_eq!(service.fails(409, "POST", FUNCTIONS, function("f")).await, "Function already exist: f");
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let encoded = arn.replace(':', "%3A");
    service.ok(200, "GET", &format!("{FUNCTIONS}/{encoded}"), Value::Null).await;
    let shown = service.ok(200, "GET", &format!("{FUNCTIONS}/f?Qualifier=%24LATEST"), Value::Null).await;
    assert_eq!(shown["Configuration"]["FunctionArn"], format!("{arn}:$LATEST"));
    service.ok(204, "DELETE", &format!("{FUNCTIONS}/f"), Value::Null).await;
    for path in [format!("{FUNCTIONS}/f"), format!("{FUNCTIONS}/f/configuration")] {
        assert_eq!(service.fails(404, "GET", &path, Value::Null).await, format!("Function not found: {arn}"));
    }
    let missing = service.fails(404, "DELETE", &format!("{FUNCTIONS}/f"), Value::Null).await;
    assert_eq!(missing, format!("Function not found: {arn}"));
    service.create("f").await;
}

#[tokio::test]
async fn lists_come_in_pages_with_markers() {
    let service = Service::new().await;
    let request = function("f");
    for number in 0..55 {
        let named = with(request.clone(), json!({"FunctionName": format!("f{number:02}")}));
        service.ok(201, "POST", FUNCTIONS, named).await;
    }
    service.apply();
    let first = service.ok(200, "GET", &format!("{FUNCTIONS}/?MaxItems=1000"), Value::Null).await;
    let entries = first["Functions"].as_array().expect("functions");
    assert_eq!(entries.len(), 50);
    assert_eq!(entries[0].get("State"), None);
    let marker = first["NextMarker"].as_str().expect("a marker").replace('=', "%3D");
    let second = service.ok(200, "GET", &format!("{FUNCTIONS}/?Marker={marker}"), Value::Null).await;
    assert_eq!(second["Functions"].as_array().map(Vec::len), Some(5));
    assert_eq!(second["Functions"][0]["FunctionName"], "f50");
    assert_eq!(second.get("NextMarker"), None);
    let few = service.fails(400, "GET", &format!("{FUNCTIONS}/?MaxItems=0"), Value::Null).await;
    assert!(few.contains(
        "'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1"
    ));
    let all =
        service.ok(200, "GET", &format!("{FUNCTIONS}/?FunctionVersion=ALL&MaxItems=1"), Value::Null).await;
    assert_eq!(
        all["Functions"][0]["FunctionArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f00:$LATEST"
    );
}

#[tokio::test]
async fn the_code_can_be_fetched_for_ten_minutes() {
    let service = Service::new().await;
    let asked = function("f");
    service.ok(201, "POST", FUNCTIONS, asked.clone()).await;
    let shown = service.ok(200, "GET", &format!("{FUNCTIONS}/f"), Value::Null).await;
    let location = shown["Code"]["Location"].as_str().expect("a location");
    let token = location.strip_prefix("http://127.0.0.1:4566/_dropwire/code/").expect("our address");
    let zip = service.lambda.code_of(token).await.expect("the code");
    assert_eq!(STANDARD.encode(zip), asked["Code"]["ZipFile"].as_str().expect("a zip"));
    let clock = &service.lambda.ground.clock;
    clock.set_to(clock.now().plus(std::time::Duration::from_secs(601)));
    assert_eq!(service.lambda.code_of(token).await, None);
    assert_eq!(service.lambda.code_of("nothing").await, None);
}
