//! Layers are published, laid over functions, shared and deleted.

use super::*;

const LAYERS: &str = "/2018-10-31/layers";

fn layer() -> Value {
    json!({
        "Content": {"ZipFile": zip("shared.js", "1")},
        "CompatibleRuntimes": ["nodejs20.x"],
        "LicenseInfo": "MIT",
    })
}

#[tokio::test]
async fn a_layer_has_versions() {
    let mut service = Service::new().await;
    let arn = "arn:aws:lambda:us-east-1:000000000000:layer:l";
    let made = service.ok(201, "POST", &format!("{LAYERS}/l/versions"), layer()).await;
    assert_eq!((&made["Version"], &made["LayerArn"]), (&json!(1), &json!(arn)));
    assert_eq!(made["LayerVersionArn"], format!("{arn}:1"));
    assert_eq!(made["CreatedDate"], "2025-11-24T23:11:05.000+0000");
    service.ok(201, "POST", &format!("{LAYERS}/l/versions"), layer()).await;
    service.again().await;
    let by_arn = format!("{LAYERS}?find=LayerVersion&Arn={}%3A2", arn.replace(':', "%3A"));
    let shown = service.ok(200, "GET", &by_arn, Value::Null).await;
    assert_eq!((&shown["Version"], &shown["LicenseInfo"]), (&json!(2), &json!("MIT")));
    let location = shown["Content"]["Location"].as_str().expect("a location");
    let token = location.rsplit('/').next().expect("a token");
    assert!(service.lambda.code_of(token).await.is_some());
    let list = service.ok(200, "GET", LAYERS, Value::Null).await;
    assert_eq!(list["Layers"][0]["LatestMatchingVersion"]["Version"], 2);
    let none = service.ok(200, "GET", &format!("{LAYERS}?CompatibleRuntime=python3.12"), Value::Null).await;
    assert_eq!(none, json!({"Layers": []}));
    let versions = service.ok(200, "GET", &format!("{LAYERS}/l/versions"), Value::Null).await;
    assert_eq!(versions["LayerVersions"][0]["Version"], 2);
    assert_eq!(
        service.fails(404, "GET", &format!("{LAYERS}/l/versions/3"), Value::Null).await,
        "The resource you requested does not exist."
    );
    assert_eq!(
        service.fails(400, "GET", &format!("{LAYERS}/l/versions/0"), Value::Null).await,
        "Layer Version Cannot be less than 1."
    );
    service.ok(204, "DELETE", &format!("{LAYERS}/l/versions/2"), Value::Null).await;
    service.ok(204, "DELETE", &format!("{LAYERS}/l/versions/2"), Value::Null).await;
    let third = service.ok(201, "POST", &format!("{LAYERS}/l/versions"), layer()).await;
    assert_eq!(third["Version"], 3, "numbers are never used again");
}

#[tokio::test]
async fn functions_keep_the_layers_that_they_have() {
    let mut service = Service::new().await;
    let made = service.ok(201, "POST", &format!("{LAYERS}/l/versions"), layer()).await;
    let arn = made["LayerVersionArn"].as_str().expect("an ARN");
    let shown = service.ok(201, "POST", FUNCTIONS, with(function("f"), json!({"Layers": [arn]}))).await;
    assert_eq!(shown["Layers"][0]["Arn"], arn);
    let folder = service.lambda.specs()["f"].layers[0].clone();
    assert!(folder.join("shared.js").exists());
    service.ok(204, "DELETE", &format!("{LAYERS}/l/versions/1"), Value::Null).await;
    service.again().await;
    assert_eq!(service.lambda.specs()["f"].layers, std::slice::from_ref(&folder));
    assert!(folder.join("shared.js").exists());
    let other = service.fails(400, "POST", FUNCTIONS, with(function("g"), json!({"Layers": [arn]}))).await;
    assert_eq!(other, format!("Layer version {arn} does not exist."));
    service.ok(204, "DELETE", &format!("{FUNCTIONS}/f"), Value::Null).await;
    service.again().await;
    assert!(!folder.exists());
    let twice = [1, 2].map(|_| layer());
    for layer in twice {
        service.ok(201, "POST", &format!("{LAYERS}/m/versions"), layer).await;
    }
    let both = ["1", "2"].map(|version| format!("arn:aws:lambda:us-east-1:000000000000:layer:m:{version}"));
    let text = service.fails(400, "POST", FUNCTIONS, with(function("g"), json!({"Layers": both}))).await;
    assert!(text.starts_with("Two different versions of the same layer are not allowed"), "{text}");
}

#[tokio::test]
async fn a_layer_can_be_shared() {
    let service = Service::new().await;
    service.ok(201, "POST", &format!("{LAYERS}/l/versions"), layer()).await;
    let policy = format!("{LAYERS}/l/versions/1/policy");
    assert_eq!(
        service.fails(404, "GET", &policy, Value::Null).await,
        "No policy is associated with the given resource."
    );
    let asked = json!({"StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"});
    let added = service.ok(201, "POST", &policy, asked.clone()).await;
    let shown = service.ok(200, "GET", &policy, Value::Null).await;
    assert_eq!(shown["RevisionId"], added["RevisionId"]);
    assert!(
        service
            .fails(409, "POST", &policy, asked.clone())
            .await
            .contains("The statement id (s) provided already exists")
    );
    let wrong = with(asked, json!({"Action": "lambda:Invoke"}));
    assert!(service.fails(400, "POST", &policy, wrong).await.contains("Value 'lambda:Invoke' at 'action'"));
    service.fails(412, "DELETE", &format!("{policy}/s?RevisionId=other"), Value::Null).await;
    service.ok(204, "DELETE", &format!("{policy}/s"), Value::Null).await;
    service.fails(404, "GET", &policy, Value::Null).await;
    let missing = service.fails(404, "GET", &format!("{LAYERS}/l/versions/9/policy"), Value::Null).await;
    assert_eq!(missing, "Layer version arn:aws:lambda:us-east-1:000000000000:layer:l:9 does not exist.");
}
