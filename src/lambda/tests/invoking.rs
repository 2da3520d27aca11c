//! What is invoked before it is in force.

use std::pin::pin;

use tokio_util::task::TaskTracker;

use super::*;
use crate::arn::Arn;
use crate::delivery::policy::AsyncPolicy;
use crate::delivery::queue::Queue;
use crate::function::Functions;
use crate::lambda::invoke::{Invoker, Parts};
use crate::lambda::journal::Journal;
use crate::lambda::names::Target;
use crate::wire::Wire;

async fn invoker(service: &Service) -> Invoker {
    let (store, clock) = (service.lambda.ground.store.clone(), service.lambda.ground.clock.clone());
    let timeline = Timeline::default();
    let (place, random) = (Place::default(), Random::seeded(1));
    let folder = service.folder.path().join("state");
    let functions = Functions::new(place, clock.clone(), timeline.clone(), random, folder);
    functions.replace(service.lambda.specs()).await;
    let queue = Queue::open(store.clone(), clock.clone(), timeline.clone()).await.expect("a queue");
    Invoker::new(Parts {
        lambda: service.lambda.clone(),
        functions,
        queue,
        clock,
        timeline,
        journal: Journal::new(store),
        abandoned: TaskTracker::new(),
    })
}

fn event() -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-invocation-type", http::HeaderValue::from_static("Event"));
    Call {
        method: Method::POST,
        path: "/".into(),
        query: Vec::new(),
        headers,
        body: Bytes::from_static(b"{}"),
        request_id: "r".into(),
    }
}

/// A service with an alias that has just been made.
async fn service() -> (Service, Target) {
    let service = Service::new().await;
    service.create("f").await;
    let alias = json!({"Name": "live", "FunctionVersion": "$LATEST"});
    service.ok(201, "POST", &format!("{FUNCTIONS}/f/aliases"), alias).await;
    (service, Target { name: "f".into(), qualifier: Some("live".into()) })
}

#[tokio::test]
async fn an_event_for_an_alias_that_was_just_made_waits_for_its_wire() {
    let (service, target) = service().await;
    let invoker = invoker(&service).await;
    let queue = invoker.parts().queue.clone();
    let mut invoked = pin!(invoker.invoke(event(), &target));
    assert!(futures_util::poll!(invoked.as_mut()).is_pending());
    let live = Arn::function(&Place::default(), "f").qualified("live");
    let wire = Wire::asynchronous(live, AsyncPolicy::lambda(), None, None, None);
    queue.rewire(vec![wire]).await.expect("a wire");
    service.apply();
    assert_eq!(invoked.await.expect("accepted").status.as_u16(), 202);
    assert_eq!(queue.load(), (0, 1));
}

#[tokio::test]
async fn an_event_that_nothing_would_deliver_is_not_accepted() {
    let (service, target) = service().await;
    let invoker = invoker(&service).await;
    service.apply();
    let refused = invoker.invoke(event(), &target).await.expect_err("refused");
    assert_eq!((refused.status.as_u16(), refused.code), (409, "ResourceConflictException"));
    assert!(refused.message.ends_with("in the following state: Pending"), "{refused}");
}
