//! Uploads by the form of a page: who signed its policy, and whether the policy allows what was sent. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::canonical::{hmac, hmac_sha1, key, same};
use super::keys::Keys;
use super::refusal::{Voice, Wrong, denied};
use super::signer::{ALGORITHM, Claim, Signer};
use crate::aws::AwsError;
use crate::clock::Timestamp;

/// Who signed the form with these fields; None for one that is not signed. What its policy allows is [`Policy`]'s.
pub fn admit_form(fields: &[(String, String)], keys: &Keys) -> Result<Option<Signer>, AwsError> {
    let Some(policy) = field(fields, "policy") else {
        return if keys.are_checked() { Err(Voice::S3.unsigned()) } else { Ok(None) };
    };
    let version2 = field(fields, "AWSAccessKeyId");
    let (signer, given, right) = if let (Some(access_key), None) =
        (version2, field(fields, "x-amz-algorithm"))
    {
        let given = needed(fields, "Signature")?;
        let signer =
            Signer { access_key: access_key.into(), region: "us-east-1".into(), service: "s3".into() };
        let right = keys.pair().map(|pair| STANDARD.encode(hmac_sha1(pair.secret.as_bytes(), policy)));
        (signer, given, right)
    } else {
        if needed(fields, "X-Amz-Algorithm")? != ALGORITHM {
            return Err(Voice::S3.bad_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let (credential, given) = (needed(fields, "X-Amz-Credential")?, needed(fields, "X-Amz-Signature")?);
        needed(fields, "X-Amz-Date")?;
        let claim = Claim::of(credential, "", given).map_err(|error| Voice::S3.bad_query(&error.message))?;
        let right = keys.pair().map(|pair| hex::encode(hmac(&key(&pair.secret, &claim), policy)));
        (claim.signer, given, right)
    };
    if let (Some(pair), Some(right)) = (keys.pair(), right) {
        let access_key = signer.access_key.as_str();
        if !same(access_key, &pair.access_key) {
            return Err(Voice::S3.unknown_key(access_key));
        }
        if !same(&right, given) {
            let wrong = Wrong { access_key, signed: policy, given, request: "" };
            return Err(Voice::S3.wrong_signature(&wrong));
        }
    }
    Ok(Some(signer))
}

/// A field, whatever the case of its name.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn needed<'a>(fields: &'a [(String, String)], name: &'static str) -> Result<&'a str, AwsError> {
    field(fields, name).ok_or_else(|| {
        let why = format!(
            "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the \
             fields."
        );
        AwsError::new(400, "InvalidArgument", why).member("ArgumentName", name).member("ArgumentValue", "")
    })
}

/// What a form may upload.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    expires: Timestamp,
    conditions: Vec<Condition>,
    /// The least and the most bytes of the file.
    length: Option<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    /// In small letters, without `$`.
    name: String,
    is_prefix: bool,
    value: String,
    /// As S3 repeats it.
    told: String,
}

impl Policy {
    /// The policy in a form's field: JSON in base64.
    pub fn read(policy: &str) -> Result<Policy, AwsError> {
        let bytes = STANDARD.decode(policy.trim()).map_err(|_| invalid("Invalid Base64."))?;
        let Ok(Value::Object(document)) = serde_json::from_slice(&bytes) else {
            return Err(invalid("Invalid JSON."));
        };
        let Some(expiration) = document.get("expiration") else {
            return Err(invalid("Policy missing expiration."));
        };
        let expires = expiration.as_str().and_then(Timestamp::parse);
        let expires = expires
            .ok_or_else(|| invalid(&format!("Invalid 'expiration' value: '{}'", plain(expiration))))?;
        let Some(Value::Array(given)) = document.get("conditions") else {
            return Err(invalid("Policy missing conditions."));
        };
        let mut policy = Policy { expires, conditions: Vec::new(), length: None };
        for condition in given {
            policy.take(condition)?;
        }
        Ok(policy)
    }

    fn take(&mut self, condition: &Value) -> Result<(), AwsError> {
        match condition {
            Value::Object(members) => self.take_equal(members),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(operator), low, high]
                    if operator.eq_ignore_ascii_case("content-length-range") =>
                {
                    let range = number(low).zip(number(high));
                    self.length = Some(range.ok_or_else(|| unreadable(condition))?);
                    Ok(())
                }
                [Value::String(operator), Value::String(name), Value::String(value)] => {
                    let is_prefix = match operator.to_ascii_lowercase().as_str() {
                        "eq" => false,
                        "starts-with" => true,
                        _ => return Err(unreadable(condition)),
                    };
                    let name = name.strip_prefix('$').ok_or_else(|| unreadable(condition))?;
                    self.add(is_prefix, name, value);
                    Ok(())
                }
                _ => Err(unreadable(condition)),
            },
            _ => Err(unreadable(condition)),
        }
    }

    fn take_equal(&mut self, members: &Map<String, Value>) -> Result<(), AwsError> {
        for (name, value) in members {
            match value {
                Value::String(_) | Value::Number(_) | Value::Bool(_) => self.add(false, name, &plain(value)),
                _ => return Err(unreadable(value)),
            }
        }
        Ok(())
    }

    fn add(&mut self, is_prefix: bool, name: &str, value: &str) {
        let operator = if is_prefix { "starts-with" } else { "eq" };
        let told = [operator, &format!("${name}"), value].map(|part| json!(part).to_string()).join(", ");
        let condition = Condition {
            name: name.to_ascii_lowercase(),
            is_prefix,
            value: value.to_owned(),
            told: format!("[{told}]"),
        };
        self.conditions.push(condition);
    }

    /// Whether these fields and a file of `size` bytes are allowed. The bucket counts as a field.
    pub fn allows(&self, fields: &[(String, String)], size: u64, now: Timestamp) -> Result<(), AwsError> {
        self.allows_fields(fields, now)?;
        self.allows_size(size)
    }

    /// Whether these fields are allowed: before the file is read. The bucket counts as a field.
    pub fn allows_fields(&self, fields: &[(String, String)], now: Timestamp) -> Result<(), AwsError> {
        if now > self.expires {
            return Err(denied("Invalid according to Policy: Policy expired."));
        }
        for condition in &self.conditions {
            if !condition.holds(field(fields, &condition.name).unwrap_or_default()) {
                let told = &condition.told;
                return Err(denied(format!("Invalid according to Policy: Policy Condition failed: {told}")));
            }
        }
        let names = fields.iter().map(|(name, _)| name.to_ascii_lowercase());
        let extra = names.filter(|name| {
            let is_free = FREE.contains(&name.as_str()) || name.starts_with("x-ignore-");
            !is_free && !self.conditions.iter().any(|condition| condition.name == *name)
        });
        let extra: Vec<String> = extra.collect();
        if extra.is_empty() {
            return Ok(());
        }
        Err(denied(format!("Invalid according to Policy: Extra input fields: {}", extra.join(", "))))
    }

    /// Whether a file of `size` bytes is allowed.
    pub fn allows_size(&self, size: u64) -> Result<(), AwsError> {
        match self.length {
            Some((_, most)) if size > most => Err(AwsError::new(
                400,
                "EntityTooLarge",
                "Your proposed upload exceeds the maximum allowed size",
            )
            .member("ProposedSize", size)
            .member("MaxSizeAllowed", most)),
            Some((least, _)) if size < least => Err(AwsError::new(
                400,
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
            )
            .member("ProposedSize", size)
            .member("MinSizeAllowed", least)),
            _ => Ok(()),
        }
    }

    /// How large a file may be, in bytes, if the policy says it.
    pub fn size_max(&self) -> Option<u64> {
        self.length.map(|(_, most)| most)
    }
}

/// Fields that no condition has to name.
const FREE: [&str; 5] = ["x-amz-signature", "signature", "awsaccesskeyid", "policy", "file"];

impl Condition {
    fn holds(&self, given: &str) -> bool {
        match self.is_prefix {
            // Of several content types each has to begin like that.
            true if self.name == "content-type" => {
                given.split(',').all(|one| one.trim_start().starts_with(&self.value))
            }
            true => given.starts_with(&self.value),
            false => given == self.value,
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn unreadable(condition: &Value) -> AwsError {
    invalid(&format!("Invalid Condition: {condition}"))
}

fn invalid(why: &str) -> AwsError {
    AwsError::new(400, "InvalidPolicyDocument", format!("Invalid Policy: {why}"))
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
