//! Function URLs: making, showing, changing and removing them. Serving them is `url_invoke`'s.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::check::Constraints;
use super::errors::{NOT_THERE, conflict, missing};
use super::names::{NameRule, Target, qualified};
use super::read::listing;
use super::request::Request;
use super::requested::nothing_else;
use super::shapes::URL_QUALIFIER;
use super::things::{Cors, Key, Kind, Thing, Url};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::clock::Timestamp;

/// What an id is made of.
const SIGNS: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const ID_LENGTH: usize = 32;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UrlRequest {
    auth_type: Option<String>,
    cors: Option<Cors>,
    invoke_mode: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl UrlRequest {
    fn constrain(&self, constraints: &mut Constraints) {
        constraints.one_of("authType", self.auth_type.as_deref(), &["NONE", "AWS_IAM"]);
        constraints.one_of("invokeMode", self.invoke_mode.as_deref(), &["BUFFERED", "RESPONSE_STREAM"]);
        let age = self.cors.as_ref().and_then(|cors| cors.max_age).map(i64::from);
        constraints.range("cors.maxAge", age, 0, 86_400);
    }
    /// No members at all take the rules away.
    fn cors(&self) -> Option<Cors> {
        self.cors.clone().filter(|cors| *cors != Cors::default())
    }
}

impl Lambda {
    /// The function, or the alias of it, that a request is about.
    fn url_target(&self, request: &Request<'_>) -> Result<Target, AwsError> {
        let mut constraints = Constraints::new();
        constraints.shape("qualifier", request.call.query("Qualifier"), &URL_QUALIFIER);
        constraints.finish()?;
        request.target(NameRule::Function)
    }

    fn shown_url(&self, target: &Target, url: &Url) -> Value {
        let arn = qualified(self.place(), &target.name, target.qualifier.as_deref());
        let time = |millis| Timestamp::from_millis(millis).iso_millis();
        let mut shown = json!({
            "FunctionUrl": self.address_of(&url.id),
            "FunctionArn": arn.as_str(),
            "AuthType": url.auth,
        });
        if let Some(cors) = &url.cors {
            shown["Cors"] = json!(cors);
        }
        shown["CreationTime"] = json!(time(url.created));
        shown["LastModifiedTime"] = json!(time(url.modified));
        if let Some(mode) = &url.mode {
            shown["InvokeMode"] = json!(mode);
        }
        shown
    }

    /// Names below `localhost` lead here, and the first label says which function is meant.
    fn address_of(&self, id: &str) -> String {
        format!("http://{id}.lambda-url.{}.localhost:{}/", self.place().region, self.port())
    }

    pub(super) async fn create_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: UrlRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        constraints.required("authType", &asked.auth_type);
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let target = self.url_target(request)?;
        let now = self.now();
        let url = Url {
            id: self.ground.random.text(SIGNS, ID_LENGTH),
            auth: asked.auth_type.clone().unwrap_or_default(),
            cors: asked.cors(),
            mode: asked.invoke_mode.clone(),
            created: now,
            modified: now,
        };
        let shown = self.registry.change(|world| {
            let function =
                world.must_have(self.place(), &target).map_err(|_| missing("Function does not exist"))?;
            if function.urls.contains_key(part(&target)) {
                let arn = qualified(self.place(), &target.name, target.qualifier.as_deref());
                return Err(conflict(format!(
                    "Failed to create function url config for [functionArn = {arn}]. Error message:  FunctionUrlConfig \
                     exists for this Lambda function"
                )));
            }
            let shown = self.shown_url(&target, &url);
            Ok((shown, vec![Edit::Put(Key::of(&target.name, part(&target)), Thing::Url(url))]))
        });
        let mut shown = shown.await?;
        if let Some(shown) = shown.as_object_mut() {
            shown.remove("LastModifiedTime");
        }
        Ok(created(&shown))
    }

    pub(super) fn get_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.url_target(request)?;
        let world = self.registry.world();
        let url = known(&world, &target)?;
        let mut shown = self.shown_url(&target, url);
        shown["InvokeMode"] = json!(url.mode.as_deref().unwrap_or("BUFFERED"));
        Ok(ok(&shown))
    }

    pub(super) async fn update_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: UrlRequest = request.members()?;
        nothing_else(&asked.rest)?;
        let mut constraints = Constraints::new();
        asked.constrain(&mut constraints);
        constraints.finish()?;
        let target = self.url_target(request)?;
        let shown = self.registry.change(|world| {
            let mut url = known(world, &target)?.clone();
            url.auth = asked.auth_type.clone().unwrap_or(url.auth);
            url.mode = asked.invoke_mode.clone().or(url.mode);
            if asked.cors.is_some() {
                url.cors = asked.cors();
            }
            url.modified = self.now();
            let shown = self.shown_url(&target, &url);
            Ok((shown, vec![Edit::Put(Key::of(&target.name, part(&target)), Thing::Url(url))]))
        });
        Ok(ok(&shown.await?))
    }

    pub(super) async fn delete_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.url_target(request)?;
        let change = self.registry.change(|world| {
            known(world, &target)?;
            Ok(((), vec![Edit::Remove(Kind::Url, Key::of(&target.name, part(&target)))]))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_urls(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = request.name()?.name;
        let world = self.registry.world();
        world.must_exist(self.place(), &name)?;
        let entries = world.function(&name).urls.iter().map(|(qualifier, url)| {
            let qualifier = Some(qualifier.clone()).filter(|qualifier| !qualifier.is_empty());
            let target = Target { name: name.clone(), qualifier };
            (part(&target).to_owned(), self.shown_url(&target, url))
        });
        let (urls, marker) = page.of(entries.collect::<Vec<_>>());
        Ok(ok(&listing("FunctionUrlConfigs", urls, marker)))
    }
}

/// Where the URL of a target is kept.
fn part(target: &Target) -> &str {
    target.qualifier.as_deref().unwrap_or_default()
}

fn known<'a>(world: &'a World, target: &Target) -> Result<&'a Url, AwsError> {
    let exists = world.exists(&target.name);
    let url = world.functions.get(&target.name).and_then(|function| function.urls.get(part(target)));
    url.filter(|_| exists).ok_or_else(|| missing(NOT_THERE))
}
