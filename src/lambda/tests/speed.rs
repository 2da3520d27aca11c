//! A thousand functions are read back in no time.

use super::*;

#[tokio::test]
async fn a_thousand_functions_are_read_back_at_once() {
    let mut service = Service::new().await;
    service.create("f").await;
    const MORE: &str =
        "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 1000)
        INSERT INTO lambda_thing (kind, name, part, body)
        SELECT kind, name || n, part, body FROM lambda_thing, number WHERE name = 'f' RETURNING name";
    let rows = service.lambda.ground.store.query(MORE, Vec::new()).await.expect("written");
    assert_eq!(rows.len(), 2000);
    service.lambda.ground.store.checkpoint().await;
    let ground = service.lambda.ground.clone();
    let begun = std::time::Instant::now();
    let again = Lambda::open(ground).await.expect("a service");
    let took = begun.elapsed();
    assert_eq!(again.specs().len(), 1001);
    service.again().await;
    assert_eq!(service.lambda.specs().len(), 1001);
    // Far less on a machine that does nothing else.
    assert!(took < std::time::Duration::from_millis(1500), "{took:?}");
}
