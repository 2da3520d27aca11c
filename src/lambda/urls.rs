//! Function URLs: addresses under which a function or an alias answers HTTP requests.

use serde::Deserialize;
use serde_json::{Value, json};

use super::check::Constraints;
use super::errors::{NOT_THERE, conflict, missing};
use super::names::{NameRule, Target, parse_name};
use super::read::listing;
use super::request::Request;
use super::shapes::URL_QUALIFIER;
use super::things::{Cors, Key, Kind, Thing, Url};
use super::world::{Edit, World};
use super::{Lambda, created, nothing, ok};
use crate::aws::{Answer, AwsError};
use crate::clock::Timestamp;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct UrlRequest {
    auth_type: Option<String>,
    cors: Option<Cors>,
    invoke_mode: Option<String>,
}

impl UrlRequest {
    fn constrain(&self, constraints: &mut Constraints) {
        constraints.one_of("authType", self.auth_type.as_deref(), &["NONE", "AWS_IAM"]);
        constraints.one_of("invokeMode", self.invoke_mode.as_deref(), &["BUFFERED", "RESPONSE_STREAM"]);
        let Some(cors) = &self.cors else { return };
        constraints.range("cors.maxAge", cors.max_age.map(i64::from), 0, 86_400);
        let lists = [
            ("cors.allowHeaders", &cors.allow_headers, 100),
            ("cors.allowMethods", &cors.allow_methods, 6),
            ("cors.allowOrigins", &cors.allow_origins, 100),
            ("cors.exposeHeaders", &cors.expose_headers, 100),
        ];
        for (field, values, most) in lists {
            constraints.size(field, values.as_deref().unwrap_or_default(), 0, most);
        }
        let methods = cors.allow_methods.as_deref().unwrap_or_default();
        constraints.each_one_of(
            "cors.allowMethods",
            methods,
            &["GET", "PUT", "HEAD", "POST", "PATCH", "DELETE", "*"],
        );
    }
}

impl Lambda {
    /// What an address is of: a function, or an alias of it.
    fn url_target(&self, request: &Request<'_>, mut constraints: Constraints) -> Result<Target, AwsError> {
        constraints.shape("qualifier", request.call.query("Qualifier"), &URL_QUALIFIER);
        constraints.finish()?;
        let target =
            parse_name(request.part(2), request.call.query("Qualifier"), NameRule::Function, self.place())?;
        let mut constraints = Constraints::new();
        constraints.shape("qualifier", target.qualifier.as_deref(), &URL_QUALIFIER);
        constraints.finish()?;
        Ok(target)
    }

    fn shown_url(&self, target: &Target, url: &Url, complete: bool) -> Value {
        let time = |millis| Timestamp::from_millis(millis).iso_millis();
        let mut shown = json!({
            "FunctionUrl": self.url_address(&url.id),
            "FunctionArn": target.arn(self.place()).as_str(),
            "AuthType": url.auth,
            "CreationTime": time(url.created),
        });
        if let Some(cors) = &url.cors {
            shown["Cors"] = json!(cors);
        }
        if complete {
            shown["LastModifiedTime"] = json!(time(url.modified));
        }
        if complete || url.mode.is_some() {
            shown["InvokeMode"] = json!(url.mode.as_deref().unwrap_or("BUFFERED"));
        }
        shown
    }

    pub(super) async fn create_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: UrlRequest = request.members()?;
        let mut constraints = Constraints::new();
        constraints.required("authType", &asked.auth_type);
        asked.constrain(&mut constraints);
        let target = self.url_target(request, constraints)?;
        let now = self.now();
        let url = Url {
            id: self.ground.random.text("abcdefghijklmnopqrstuvwxyz0123456789", 32),
            auth: asked.auth_type.unwrap_or_default(),
            cors: asked.cors,
            mode: asked.invoke_mode,
            created: now,
            modified: now,
        };
        let part = target.qualifier.clone().unwrap_or_default();
        let shown = self.registry.change(|world| {
            world.find(self.place(), &target).map_err(|_| missing("Function does not exist"))?;
            if world.function(&target.name).urls.contains_key(&part) {
                return Err(conflict(format!(
                    "Failed to create function url config for [functionArn = {}]. Error message:  FunctionUrlConfig \
                     exists for this Lambda function",
                    target.arn(self.place())
                )));
            }
            let shown = self.shown_url(&target, &url, false);
            Ok((shown, vec![Edit::put(Key::of(&target.name, &part), Thing::Url(url))]))
        });
        Ok(created(&shown.await?))
    }

    pub(super) fn get_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.url_target(request, Constraints::new())?;
        let world = self.registry.world();
        Ok(ok(&self.shown_url(&target, url_of(&world, &target)?, true)))
    }

    pub(super) async fn update_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let asked: UrlRequest = request.members()?;
        let mut constraints = Constraints::new();
        asked.constrain(&mut constraints);
        let target = self.url_target(request, constraints)?;
        let shown = self.registry.change(|world| {
            let before = url_of(world, &target)?.clone();
            let url = Url {
                auth: asked.auth_type.unwrap_or(before.auth),
                cors: asked.cors.or(before.cors),
                mode: asked.invoke_mode.or(before.mode),
                modified: self.now(),
                ..before
            };
            let shown = self.shown_url(&target, &url, true);
            let key = Key::of(&target.name, target.qualifier.as_deref().unwrap_or_default());
            Ok((shown, vec![Edit::put(key, Thing::Url(url))]))
        });
        Ok(ok(&shown.await?))
    }

    pub(super) async fn delete_url(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let target = self.url_target(request, Constraints::new())?;
        let change = self.registry.change(|world| {
            url_of(world, &target)?;
            let key = Key::of(&target.name, target.qualifier.as_deref().unwrap_or_default());
            Ok(((), vec![Edit::Remove(Kind::Url, key)]))
        });
        change.await?;
        Ok(nothing())
    }

    pub(super) fn list_urls(&self, request: &Request<'_>) -> Result<Answer, AwsError> {
        let page = request.page(50)?;
        let name = request.name()?.name;
        let world = self.registry.world();
        let function = world.must_exist(self.place(), &name)?;
        let (urls, marker) = page.of(function.urls.iter().map(|(qualifier, url)| {
            let qualifier = Some(qualifier.clone()).filter(|qualifier| !qualifier.is_empty());
            let target = Target { name: name.clone(), qualifier };
            (target.qualifier.clone().unwrap_or_default(), self.shown_url(&target, url, true))
        }));
        Ok(ok(&listing("FunctionUrlConfigs", urls, marker)))
    }
}

fn url_of<'w>(world: &'w World, target: &Target) -> Result<&'w Url, AwsError> {
    let part = target.qualifier.as_deref().unwrap_or_default();
    let found = world.function(&target.name).urls.get(part).filter(|_| world.exists(&target.name));
    found.ok_or_else(|| missing(NOT_THERE))
}
