//! Functions of the wiring file stand beside those that calls made.

use super::*;
use crate::config::{FunctionKind, FunctionSpec, Origin};

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:declared";

/// A service with a function of the wiring file.
async fn service() -> Service {
    let service = Service::new().await;
    service.lambda.surround(neighbours(&service));
    service
}

fn neighbours(service: &Service) -> Neighbours {
    let code = service.folder.path().join("code");
    std::fs::create_dir_all(&code).expect("a folder");
    if !code.join("app.py").exists() {
        std::fs::write(code.join("app.py"), "one").expect("a file");
    }
    let kind =
        FunctionKind::Handler { runtime: "python3.12".into(), handler: "app.go".into(), code: code.clone() };
    let origin = Origin { file: "dropwire.toml".into(), line: 12 };
    let layer = service.folder.path().join("layer");
    std::fs::create_dir_all(layer.join("python")).expect("a folder");
    std::fs::write(layer.join("python/shared.py"), "shared").expect("a file");
    let declared = FunctionSpec {
        memory_mb: 512,
        layers: vec![layer],
        origin,
        ..FunctionSpec::new("declared", kind, code)
    };
    let echo = FunctionKind::Builtin(crate::config::Builtin::Echo);
    let echo = FunctionSpec::new("echo", echo, service.folder.path().to_owned());
    let all = [declared, echo].map(|spec| (spec.name.clone(), spec));
    Neighbours { declared: all.into(), ..Neighbours::default() }
}

#[tokio::test]
async fn a_declared_function_is_shown_and_its_code_measured() {
    let service = service().await;
    service.create("made").await;
    let list = service.ok(200, "GET", FUNCTIONS, Value::Null).await;
    let names: Vec<&str> = list["Functions"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|f| f["FunctionName"].as_str())
        .collect();
    assert_eq!(names, ["declared", "echo", "made"]);
    let shown = service.configuration("declared").await;
    assert_eq!((&shown["MemorySize"], &shown["Runtime"]), (&json!(512), &json!("python3.12")));
    assert_eq!((&shown["CodeSize"], &shown["State"]), (&json!(3), &json!("Active")));
    std::fs::write(service.folder.path().join("code/app.py"), "another").expect("a file");
    let again = service.configuration("declared").await;
    assert_eq!(again["CodeSize"], 7);
    assert_ne!(again["CodeSha256"], shown["CodeSha256"]);
    let function = service.ok(200, "GET", &format!("{FUNCTIONS}/declared"), Value::Null).await;
    let token = function["Code"]["Location"].as_str().and_then(|location| location.rsplit('/').next());
    assert!(service.lambda.code_of(token.expect("a token")).await.is_some());
    assert_eq!(service.lambda.specs().keys().collect::<Vec<_>>(), ["made"]);
    let target = Target::unqualified("declared");
    let resolved = service.lambda.resolve(&target).expect("it is there");
    assert_eq!(resolved.key, "declared");
    let missing = service.lambda.resolve(&Target::unqualified("x")).expect_err("it is not");
    assert_eq!(
        missing.message,
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:x:$LATEST"
    );
}

#[tokio::test]
async fn what_the_file_says_is_changed_in_the_file() {
    let service = service().await;
    let refused = "function declared is declared in dropwire.toml:12; change it there";
    let path = format!("{FUNCTIONS}/declared");
    assert_eq!(
        service.fails(400, "PUT", &format!("{path}/configuration"), json!({"Timeout": 1})).await,
        refused
    );
    let code = json!({"ZipFile": zip("app.py", "x")});
    assert_eq!(service.fails(400, "PUT", &format!("{path}/code"), code).await, refused);
    assert_eq!(service.fails(400, "DELETE", &path, Value::Null).await, refused);
    let taken = service.fails(409, "POST", FUNCTIONS, function("declared")).await;
    assert_eq!(taken, "Function already exist: declared");
}

#[tokio::test]
async fn a_declared_function_has_versions_aliases_and_the_like() {
    let mut service = service().await;
    let versions = format!("{FUNCTIONS}/declared/versions");
    let first = service.ok(201, "POST", &versions, json!({})).await;
    assert_eq!((&first["Version"], &first["FunctionArn"]), (&json!("1"), &json!(format!("{ARN}:1"))));
    assert_eq!(first["CodeSha256"], service.configuration("declared").await["CodeSha256"]);
    assert_eq!(service.ok(201, "POST", &versions, json!({})).await["Version"], "1");
    std::fs::write(service.folder.path().join("code/app.py"), "two").expect("a file");
    assert_eq!(service.ok(201, "POST", &versions, json!({})).await["Version"], "2");
    let kept = |service: &Service, key: &str| {
        std::fs::read_to_string(spec_code(&service.lambda.specs()[key]).join("app.py")).expect("a file")
    };
    assert_eq!((kept(&service, "declared:1"), kept(&service, "declared:2")), ("one".into(), "two".into()));
    let alias = json!({"Name": "live", "FunctionVersion": "1"});
    service.ok(201, "POST", &format!("{FUNCTIONS}/declared/aliases"), alias).await;
    let reserved = "/2017-10-31/functions/declared/concurrency";
    service.ok(200, "PUT", reserved, json!({"ReservedConcurrentExecutions": 3})).await;
    service.again().await;
    assert!(service.lambda.specs().is_empty(), "nothing is declared yet");
    service.lambda.surround(neighbours(&service));
    assert_eq!(service.lambda.specs().keys().collect::<Vec<_>>(), ["declared:1", "declared:2"]);
    assert_eq!(service.lambda.reserved()["declared"], 3);
    assert_eq!(kept(&service, "declared:1"), "one");
    let layers = &service.lambda.specs()["declared:1"].layers;
    assert!(
        layers[0].join("python/shared.py").exists()
            && layers[0].starts_with(service.folder.path().join("functions"))
    );
    let none = service.fails(400, "POST", &format!("{FUNCTIONS}/echo/versions"), json!({})).await;
    assert!(none.contains("versions are for functions with `runtime` and `handler`"), "{none}");
}

#[tokio::test]
async fn the_file_wins_and_says_so() {
    let service = Service::new().await;
    service.create("declared").await;
    let mut told = service.lambda.ground.timeline.follow();
    service.lambda.surround(neighbours(&service));
    let moment = told.recv().await.expect("a notice");
    let crate::timeline::Moment::Notice { text, .. } = &moment.moment else { panic!("a notice") };
    assert!(
        text.contains("was made by a call and is now declared in dropwire.toml:12: the file wins"),
        "{text}"
    );
    assert_eq!(service.configuration("declared").await["Runtime"], "python3.12");
    assert!(service.lambda.specs().is_empty());
    service.lambda.surround(Neighbours::default());
    assert_eq!(service.configuration("declared").await["Runtime"], "nodejs8.10");
    assert_eq!(service.lambda.specs().len(), 1);
}
