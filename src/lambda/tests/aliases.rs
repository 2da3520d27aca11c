//! Versions, aliases and what is given to each of them by itself: policies, addresses, retries, environments.

use super::*;
use crate::config::LATEST;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f";

/// A function with versions 1 and 2.
async fn with_versions() -> Service {
    let service = Service::new().await;
    service.create("f").await;
    service.ok(201, "POST", &format!("{FUNCTIONS}/f/versions"), json!({})).await;
    service.ok(200, "PUT", &format!("{FUNCTIONS}/f/configuration"), json!({"Timeout": 9})).await;
    service.apply();
    service.ok(201, "POST", &format!("{FUNCTIONS}/f/versions"), json!({"Description": "second"})).await;
    service.apply();
    service
}

#[tokio::test]
async fn a_version_is_a_picture_of_latest() {
    let service = with_versions().await;
    let publish = format!("{FUNCTIONS}/f/versions");
    let same = service.ok(201, "POST", &publish, json!({"Description": "another"})).await;
    assert_eq!((&same["Version"], &same["Description"]), (&json!("2"), &json!("second")));
    assert_eq!((&same["State"], &same["FunctionArn"]), (&json!("Active"), &json!(format!("{ARN}:2"))));
    let wrong = service.fails(400, "POST", &publish, json!({"CodeSha256": "x"})).await;
    let sha = same["CodeSha256"].as_str().expect("a checksum");
    assert_eq!(
        wrong,
        format!(
            "CodeSHA256 (x) is different from current CodeSHA256 in $LATEST ({sha}). Please try again with the CodeSHA256 \
             in $LATEST."
        )
    );
    service.fails(412, "POST", &publish, json!({"RevisionId": "x"})).await;
    let first = service.ok(200, "GET", &format!("{FUNCTIONS}/f?Qualifier=1"), Value::Null).await;
    assert_eq!(first["Configuration"]["Timeout"], 3);
    let list = service.ok(200, "GET", &publish, Value::Null).await;
    let arns: Vec<&str> = list["Versions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|v| v["FunctionArn"].as_str())
        .collect();
    assert_eq!(arns, [format!("{ARN}:$LATEST"), format!("{ARN}:1"), format!("{ARN}:2")]);
    let delete = |qualifier: &str| format!("{FUNCTIONS}/f?Qualifier={qualifier}");
    service.ok(204, "DELETE", &delete("2"), Value::Null).await;
    let third = service.ok(201, "POST", &publish, json!({})).await;
    assert_eq!(third["Version"], "3", "numbers are never used again");
    assert_eq!(
        service.fails(400, "DELETE", &delete("$LATEST"), Value::Null).await,
        "$LATEST version cannot be deleted without deleting the function."
    );
    assert_eq!(
        service.fails(400, "DELETE", &delete("live"), Value::Null).await,
        "Deletion of aliases is not currently supported."
    );
    assert_eq!(
        service.fails(404, "GET", &delete("2"), Value::Null).await,
        format!("Function not found: {ARN}:2")
    );
}

#[tokio::test]
async fn aliases_name_versions() {
    let mut service = with_versions().await;
    let aliases = format!("{FUNCTIONS}/f/aliases");
    let asked = json!({
        "Name": "live",
        "FunctionVersion": "1",
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}},
    });
    let alias = service.ok(201, "POST", &aliases, asked.clone()).await;
    let expected = json!({
        "AliasArn": format!("{ARN}:live"),
        "Name": "live",
        "FunctionVersion": "1",
        "Description": "",
        "RevisionId": alias["RevisionId"],
        "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.5}},
    });
    assert_eq!(alias, expected);
    assert_eq!(
        service.fails(409, "POST", &aliases, asked).await,
        format!("Alias already exists: {ARN}:live")
    );
    service.again().await;
    let live = format!("{aliases}/live");
    assert_eq!(service.ok(200, "GET", &live, Value::Null).await, expected);
    service.fails(412, "PUT", &live, json!({"RevisionId": "x"})).await;
    let changed = service.ok(200, "PUT", &live, json!({"RoutingConfig": {}, "FunctionVersion": "2"})).await;
    assert_eq!((changed.get("RoutingConfig"), &changed["FunctionVersion"]), (None, &json!("2")));
    let list = service.ok(200, "GET", &format!("{aliases}?FunctionVersion=1"), Value::Null).await;
    assert_eq!(list, json!({"Aliases": []}));
    let target = parse_name("f", Some("live"), NameRule::Invoke, &Place::default()).expect("a name");
    let resolved = service.lambda.resolve(&target).expect("it is there");
    assert_eq!((resolved.key.as_str(), resolved.version.as_str()), ("f:2", "2"));
    assert_eq!(resolved.invoked_arn.as_str(), format!("{ARN}:live"));
    assert_eq!(service.lambda.aliases(), [("f".to_owned(), "live".to_owned())]);
    let used = service.fails(409, "DELETE", &format!("{FUNCTIONS}/f?Qualifier=2"), Value::Null).await;
    assert!(used.ends_with("aliases reference it: [live]"), "{used}");
    service.ok(204, "DELETE", &live, Value::Null).await;
    service.ok(204, "DELETE", &live, Value::Null).await;
    assert_eq!(
        service.fails(404, "GET", &live, Value::Null).await,
        format!("Cannot find alias arn: {ARN}:live")
    );
    assert_eq!(service.fails(404, "PUT", &live, json!({})).await, format!("Alias not found: {ARN}:live"));
}

#[tokio::test]
async fn aliases_are_refused_in_the_words_of_the_service() {
    let service = with_versions().await;
    let check = async |asked: Value, status: u16, words: &str| {
        let asked = with(json!({"Name": "a", "FunctionVersion": "1"}), asked);
        let text = service.fails(status, "POST", &format!("{FUNCTIONS}/f/aliases"), asked).await;
        assert!(text.contains(words), "{text}");
    };
    let weights = |weights: Value| json!({"RoutingConfig": {"AdditionalVersionWeights": weights}});
    check(
        weights(json!({"1": 0.1, "2": 0.1})),
        400,
        "Number of items in AdditionalVersionWeights cannot be greater than 1",
    )
    .await;
    check(
        weights(json!({"2": 2.0})),
        400,
        "1 validation error detected: Value '{2=2.0}' at 'routingConfig.additionalVersionWeights' failed to satisfy \
         constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must \
         have value greater than or equal to 0.0, Member must not be null]",
    )
    .await;
    check(
        weights(json!({"1": 0.5})),
        400,
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    )
    .await;
    check(
        with(weights(json!({"2": 0.5})), json!({"FunctionVersion": LATEST})),
        400,
        "$LATEST is not supported for an alias pointing to more than 1 version",
    )
    .await;
    check(weights(json!({"$LATEST": 0.5})), 400, "Value '{$LATEST=0.5}' at 'routingConfig").await;
    check(json!({"FunctionVersion": "10"}), 404, &format!("Function not found: {ARN}:10")).await;
    check(
        json!({"Name": "1"}),
        400,
        "Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    )
    .await;
}

#[tokio::test]
async fn statements_are_added_shown_and_removed() {
    let service = with_versions().await;
    tokio::select! {
        () = add_show_and_remove_statements(&service) => {}
        () = service.keep_applying() => panic!("nobody changes anything any more"),
    }
}

async fn add_show_and_remove_statements(service: &Service) {
    let policy = format!("{FUNCTIONS}/f/policy");
    assert_eq!(
        service.fails(404, "GET", &policy, Value::Null).await,
        "The resource you requested does not exist."
    );
    let asked = json!({
        "StatementId": "s1",
        "Action": "lambda:InvokeFunction",
        "Principal": "s3.amazonaws.com",
        "SourceArn": "arn:aws:s3:::b",
        "SourceAccount": "000000000000",
    });
    let added = service.ok(201, "POST", &policy, asked.clone()).await;
    let expected = json!({
        "Sid": "s1",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
        "Condition": {
            "StringEquals": {"AWS:SourceAccount": "000000000000"},
            "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"},
        },
    });
    assert_eq!(added, json!({"Statement": expected.to_string()}));
    assert_eq!(
        service.fails(409, "POST", &policy, asked.clone()).await,
        "The statement id (s1) provided already exists. Please provide a new statement id, or remove the existing \
         statement."
    );
    let shown = service.ok(200, "GET", &policy, Value::Null).await;
    let whole = json!({"Version": "2012-10-17", "Id": "default", "Statement": [expected]});
    assert_eq!(shown["Policy"], whole.to_string());
    let latest = with(asked.clone(), json!({"StatementId": "s2"}));
    assert_eq!(
        service.fails(400, "POST", &format!("{policy}?Qualifier=%24LATEST"), latest).await,
        "We currently do not support adding policies for $LATEST."
    );
    let nobody = with(asked.clone(), json!({"Principal": "nobody"}));
    assert_eq!(
        service.fails(400, "POST", &policy, nobody).await,
        "The provided principal was invalid. Please check the principal and try again."
    );
    let stale = with(asked, json!({"StatementId": "s3", "RevisionId": "x"}));
    assert!(service.fails(412, "POST", &policy, stale).await.contains("Call the GetPolicy API"));
    assert_eq!(
        service.fails(404, "DELETE", &format!("{policy}/s9"), Value::Null).await,
        "Statement s9 is not found in resource policy."
    );
    service.ok(204, "DELETE", &format!("{policy}/s1"), Value::Null).await;
    assert_eq!(
        service.fails(404, "DELETE", &format!("{policy}/s1"), Value::Null).await,
        "No policy is associated with the given resource."
    );
}

#[tokio::test]
async fn each_qualifier_has_its_own_address() {
    let mut service = with_versions().await;
    service
        .ok(201, "POST", &format!("{FUNCTIONS}/f/aliases"), json!({"Name": "live", "FunctionVersion": "1"}))
        .await;
    let url = "/2021-10-31/functions/f/url";
    assert_eq!(
        service.fails(404, "GET", url, Value::Null).await,
        "The resource you requested does not exist."
    );
    let asked = json!({"AuthType": "NONE", "Cors": {"AllowOrigins": ["*"], "MaxAge": 5}});
    let made = service.ok(201, "POST", url, asked.clone()).await;
    assert_eq!(made.get("InvokeMode"), None);
    let address = made["FunctionUrl"].as_str().expect("an address");
    let id = address.strip_prefix("http://").and_then(|rest| rest.get(..32)).expect("an id");
    assert_eq!(address, format!("http://{id}.lambda-url.us-east-1.localhost:4566/"));
    assert_eq!(
        service.fails(409, "POST", url, asked.clone()).await,
        format!(
            "Failed to create function url config for [functionArn = {ARN}]. Error message:  FunctionUrlConfig exists for \
             this Lambda function"
        )
    );
    let streaming = json!({"AuthType": "AWS_IAM", "InvokeMode": "RESPONSE_STREAM"});
    let second = service.ok(201, "POST", &format!("{url}?Qualifier=live"), streaming).await;
    assert_eq!(second["FunctionArn"], format!("{ARN}:live"));
    service.again().await;
    let config = service.lambda.url(id).expect("it is there");
    assert_eq!((config.name.as_str(), config.qualifier, config.streaming), ("f", None, false));
    assert_eq!(config.cors.and_then(|cors| cors.max_age), Some(5));
    let updated = service.ok(200, "PUT", url, json!({"InvokeMode": "RESPONSE_STREAM"})).await;
    assert_eq!(
        (&updated["InvokeMode"], &updated["FunctionUrl"]),
        (&json!("RESPONSE_STREAM"), &json!(address))
    );
    let list = service.ok(200, "GET", "/2021-10-31/functions/f/urls", Value::Null).await;
    assert_eq!(list["FunctionUrlConfigs"].as_array().map(Vec::len), Some(2));
    for qualifier in ["1", "%24LATEST"] {
        let text = service.fails(400, "POST", &format!("{url}?Qualifier={qualifier}"), asked.clone()).await;
        assert!(text.contains(r"pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)"), "{text}");
    }
    let missing = service.fails(404, "POST", "/2021-10-31/functions/g/url", asked).await;
    assert_eq!(missing, "Function does not exist");
    service.ok(204, "DELETE", url, Value::Null).await;
    assert_eq!(service.lambda.url(id), None);
}

#[tokio::test]
async fn retries_and_destinations_are_put_and_updated() {
    let mut service = with_versions().await;
    let neighbours = Neighbours { queues: ["q".to_owned()].into(), ..Neighbours::default() };
    service.lambda.surround(neighbours.clone());
    let config = "/2019-09-25/functions/f/event-invoke-config";
    assert_eq!(
        service.fails(404, "GET", config, Value::Null).await,
        format!("The function {ARN}:$LATEST doesn't have an EventInvokeConfig")
    );
    assert_eq!(
        service.fails(400, "PUT", config, json!({})).await,
        "You must specify at least one of error handling or destination setting."
    );
    let queue = "arn:aws:sqs:us-east-1:000000000000:q";
    let asked =
        json!({"MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {"Destination": queue}}});
    let put = service.ok(200, "PUT", config, asked).await;
    let destinations = json!({"OnSuccess": {}, "OnFailure": {"Destination": queue}});
    assert_eq!(
        (&put["FunctionArn"], &put["DestinationConfig"]),
        (&json!(format!("{ARN}:$LATEST")), &destinations)
    );
    let updated = service.ok(200, "POST", config, json!({"MaximumEventAgeInSeconds": 60})).await;
    assert_eq!((&updated["MaximumRetryAttempts"], &updated["DestinationConfig"]), (&json!(0), &destinations));
    service.again().await;
    service.lambda.surround(neighbours);
    let found = service.lambda.asynchronous("f", None);
    assert_eq!((found.retries, found.age_max), (Some(0), Some(std::time::Duration::from_secs(60))));
    let on_failure = found.on_failure.map(|to| to.arn(&Place::default()).to_string());
    assert_eq!(on_failure.as_deref(), Some(queue));
    assert_eq!(service.lambda.asynchronous("f", Some("1")), crate::config::Asynchronous::default());
    let own = json!({"DestinationConfig": {"OnSuccess": {"Destination": ARN}}});
    assert_eq!(
        service.fails(400, "PUT", config, own).await,
        "You can't specify the function as a destination for itself."
    );
    let put = service.ok(200, "PUT", config, json!({"MaximumRetryAttempts": 1})).await;
    assert_eq!(put["DestinationConfig"], json!({"OnSuccess": {}, "OnFailure": {}}));
    let list = service.ok(200, "GET", &format!("{config}/list"), Value::Null).await;
    assert_eq!(list["FunctionEventInvokeConfigs"].as_array().map(Vec::len), Some(1));
    service.ok(204, "DELETE", config, Value::Null).await;
    let missing = "/2019-09-25/functions/g/event-invoke-config";
    assert_eq!(service.fails(404, "GET", missing, Value::Null).await, "The function doesn't exist.");
}

#[tokio::test]
async fn concurrency_is_reserved_and_provisioned() {
    let service = with_versions().await;
    let reserved = "/2017-10-31/functions/f/concurrency";
    let shown = "/2019-09-30/functions/f/concurrency";
    assert_eq!(service.ok(200, "GET", shown, Value::Null).await, json!({}));
    let much = service.fails(400, "PUT", reserved, json!({"ReservedConcurrentExecutions": 901})).await;
    assert_eq!(
        much,
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its \
         minimum value of [100]."
    );
    service.ok(200, "PUT", reserved, json!({"ReservedConcurrentExecutions": 10})).await;
    assert_eq!(service.ok(200, "GET", shown, Value::Null).await, json!({"ReservedConcurrentExecutions": 10}));
    let alias = service
        .fails(
            400,
            "PUT",
            "/2017-10-31/functions/f:1/concurrency",
            json!({"ReservedConcurrentExecutions": 1}),
        )
        .await;
    assert!(alias.starts_with("This operation is permitted on Lambda functions only."), "{alias}");
    let missing = service
        .fails(404, "PUT", "/2017-10-31/functions/g/concurrency", json!({"ReservedConcurrentExecutions": 1}))
        .await;
    assert!(missing.ends_with(":function:g:$LATEST"), "{missing}");
    let provisioned = "/2019-09-30/functions/f/provisioned-concurrency";
    let one = json!({"ProvisionedConcurrentExecutions": 2});
    assert_eq!(
        service.fails(400, "PUT", &format!("{provisioned}?Qualifier=%24LATEST"), one.clone()).await,
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    );
    let path = format!("{provisioned}?Qualifier=1");
    assert_eq!(
        service.fails(404, "GET", &path, Value::Null).await,
        "No Provisioned Concurrency Config found for this function"
    );
    let put = service.ok(202, "PUT", &path, one).await;
    assert_eq!(put["Status"], "IN_PROGRESS");
    service.apply();
    service.lambda.ask_readiness(Box::new(|key| if key == "f:1" { 2 } else { 0 }));
    assert_eq!(service.ok(200, "GET", &path, Value::Null).await["Status"], "READY");
    assert_eq!(service.lambda.provisioned()["f:1"], 2);
    let list = service.ok(200, "GET", &format!("{provisioned}?List=ALL"), Value::Null).await;
    assert_eq!(list["ProvisionedConcurrencyConfigs"][0]["FunctionArn"], format!("{ARN}:1"));
    let low = service.fails(400, "PUT", reserved, json!({"ReservedConcurrentExecutions": 1})).await;
    assert!(low.contains("should not be lower than function's total provisioned concurrency [2]"), "{low}");
    service.ok(204, "DELETE", &path, Value::Null).await;
    service.ok(204, "DELETE", reserved, Value::Null).await;
    assert_eq!((service.lambda.provisioned().len(), service.lambda.reserved().len()), (0, 0));
    let account = service.ok(200, "GET", "/2016-08-19/account-settings/", Value::Null).await;
    assert_eq!(account["AccountUsage"]["FunctionCount"], 1);
    assert_eq!(account["AccountLimit"]["UnreservedConcurrentExecutions"], 1000);
}
