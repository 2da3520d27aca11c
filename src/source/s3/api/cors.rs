//! CORS: a bucket's rules, what a preflight hears, and what is added to other answers (semantics: S3 CORS). Pure.

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::errors;
use super::xml::read::{Element, document};
use super::xml::write::Document;
use crate::aws::AwsError;

const METHODS: [&str; 5] = ["GET", "PUT", "HEAD", "POST", "DELETE"];
/// Rules of one bucket.
const RULES_MAX: usize = 100;
const VARY: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// The user's name for it.
    pub id: Option<String>,
    /// Headers that requests may have; `*` stands for anything.
    pub headers: Vec<String>,
    /// `GET`
    pub methods: Vec<String>,
    /// Where requests may come from; one `*` in each.
    pub origins: Vec<String>,
    /// Headers that scripts may see.
    pub expose: Vec<String>,
    /// How long a preflight is good.
    pub max_age: Option<i64>,
}

/// Reads a CORSConfiguration.
pub fn read(body: &[u8]) -> Result<Vec<Rule>, AwsError> {
    let root = document(body, "CORSConfiguration")?;
    let rules = root.all("CORSRule").map(rule).collect::<Result<Vec<Rule>, AwsError>>()?;
    match rules.len() {
        0 => Err(errors::malformed_xml()),
        1..=RULES_MAX => Ok(rules),
        _ => Err(errors::invalid_request(
            "The number of CORS rules should not exceed allowed limit of 100 rules.",
        )),
    }
}

fn rule(element: &Element) -> Result<Rule, AwsError> {
    let rule = Rule {
        id: element.text_of("ID")?.map(str::to_owned),
        headers: element.texts("AllowedHeader"),
        methods: element.texts("AllowedMethod"),
        origins: element.texts("AllowedOrigin"),
        expose: element.texts("ExposeHeader"),
        max_age: element.number("MaxAgeSeconds")?,
    };
    if rule.methods.is_empty() || rule.origins.is_empty() {
        return Err(errors::malformed_xml());
    }
    if let Some(method) = rule.methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
        return Err(errors::invalid_request(format!(
            "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
        )));
    }
    let stars = |text: &&String| text.matches('*').count() > 1;
    for (name, list) in [("AllowedOrigin", &rule.origins), ("AllowedHeader", &rule.headers)] {
        if let Some(text) = list.iter().find(stars) {
            return Err(errors::invalid_request(format!(
                "{name} \"{text}\" can not have more than one wildcard."
            )));
        }
    }
    if let Some(text) = rule.expose.iter().find(|text| text.contains('*')) {
        return Err(errors::invalid_request(format!(
            "ExposeHeader \"{text}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
        )));
    }
    Ok(rule)
}

/// The CORSConfiguration document.
pub fn document_of(rules: &[Rule]) -> String {
    Document::of("CORSConfiguration", |xml| {
        for rule in rules {
            xml.within("CORSRule", |xml| {
                xml.maybe("ID", rule.id.as_deref());
                let lists = [
                    ("AllowedMethod", &rule.methods),
                    ("AllowedOrigin", &rule.origins),
                    ("AllowedHeader", &rule.headers),
                    ("ExposeHeader", &rule.expose),
                ];
                for (name, list) in lists {
                    list.iter().for_each(|text| xml.text(name, text));
                }
                if let Some(seconds) = rule.max_age {
                    xml.value("MaxAgeSeconds", seconds);
                }
            });
        }
    })
}

/// What an answer gets in addition.
pub type Added = Vec<(&'static str, String)>;

/// What a preflight hears. `rules` is None for a bucket without them; the resource is `BUCKET` or `OBJECT`.
pub fn preflight(rules: Option<&[Rule]>, headers: &HeaderMap, resource: &str) -> Result<Added, AwsError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text("origin") else {
        return Err(errors::bad_request("Insufficient information. Origin request header needed."));
    };
    let method = text("access-control-request-method");
    let Some(rules) = rules else {
        let message = "CORSResponse: CORS is not enabled for this bucket.";
        return Err(errors::access_forbidden(message, method.unwrap_or("OPTIONS"), "BUCKET"));
    };
    let Some(method) = method else {
        let message = "Invalid Access-Control-Request-Method: null";
        return Err(errors::bad_request(message));
    };
    let wanted = wanted(text("access-control-request-headers"));
    let found = rules.iter().find(|rule| rule.takes(origin, method, &wanted));
    found.map(|rule| rule.added(origin, &wanted)).ok_or_else(|| {
        let message = "CORSResponse: This CORS request is not allowed. This is usually because the evalution of \
                       Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are \
                       not whitelisted by the resource's CORS spec.";
        errors::access_forbidden(message, method, resource)
    })
}

/// What a preflight for a bucket that is not there hears.
pub fn no_bucket(headers: &HeaderMap) -> AwsError {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match text("origin") {
        None => errors::bad_request("Insufficient information. Origin request header needed."),
        Some(_) => {
            let method = text("access-control-request-method").unwrap_or("OPTIONS");
            errors::access_forbidden("CORSResponse: Bucket not found", method, "BUCKET")
        }
    }
}

/// What is added to the answer of any other request: nothing unless a rule takes it.
pub fn simple(rules: &[Rule], method: &http::Method, headers: &HeaderMap) -> Added {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text("origin") else { return Vec::new() };
    // A request that says what it would ask for is taken at its word.
    let method = text("access-control-request-method").unwrap_or(method.as_str());
    let wanted = wanted(text("access-control-request-headers"));
    let found = rules.iter().find(|rule| rule.takes(origin, method, &wanted));
    found.map(|rule| rule.added(origin, &wanted)).unwrap_or_default()
}

fn wanted(list: Option<&str>) -> Vec<String> {
    let names = list.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

impl Rule {
    fn takes(&self, origin: &str, method: &str, wanted: &[String]) -> bool {
        let allows = |name: &String| self.headers.iter().any(|one| fits(&one.to_ascii_lowercase(), name));
        self.origins.iter().any(|one| fits(one, origin))
            && self.methods.iter().any(|one| one == method)
            && wanted.iter().all(allows)
    }

    fn added(&self, origin: &str, wanted: &[String]) -> Added {
        let is_for_all = self.origins.iter().any(|one| one == "*");
        let allowed = if is_for_all { "*" } else { origin };
        let mut added = vec![
            ("access-control-allow-origin", allowed.to_owned()),
            ("access-control-allow-methods", self.methods.join(", ")),
        ];
        if !wanted.is_empty() {
            added.push(("access-control-allow-headers", wanted.join(", ")));
        }
        if !self.expose.is_empty() {
            added.push(("access-control-expose-headers", self.expose.join(", ")));
        }
        if let Some(seconds) = self.max_age {
            added.push(("access-control-max-age", seconds.to_string()));
        }
        if !is_for_all {
            added.push(("access-control-allow-credentials", "true".to_owned()));
        }
        added.push(("vary", VARY.to_owned()));
        added
    }
}

/// Whether a pattern with at most one `*`, which may stand for nothing, is this text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
