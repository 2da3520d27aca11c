//! Who may do what: canned lists, grants in headers, and their document. They are kept and told, not enforced. Pure.

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::errors;
use super::xml::read::{Element, document};
use super::xml::write::Document;
use crate::aws::AwsError;

const EVERYONE: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const EVERY_ACCOUNT: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";
const PERMISSIONS: [&str; 5] = ["FULL_CONTROL", "WRITE", "WRITE_ACP", "READ", "READ_ACP"];
/// Grants in one list.
const GRANTS_MAX: usize = 100;
/// The headers that grant, and what.
const HEADERS: [(&str, &str); 5] = [
    ("x-amz-grant-full-control", "FULL_CONTROL"),
    ("x-amz-grant-read", "READ"),
    ("x-amz-grant-write", "WRITE"),
    ("x-amz-grant-read-acp", "READ_ACP"),
    ("x-amz-grant-write-acp", "WRITE_ACP"),
];

/// The owner of a bucket or an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The canonical user id: 64 hex digits.
    pub id: String,
}

impl Owner {
    /// The owner that stands for an account.
    pub fn of(account: &str) -> Owner {
        Owner { id: hex::encode(Sha256::digest(format!("canonical user of {account}"))) }
    }

    /// The owner as an element of this name.
    pub fn write(&self, name: &str, xml: &mut Document) {
        xml.within(name, |xml| xml.text("ID", &self.id));
    }
}

/// Who is granted something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grantee {
    /// A canonical user id.
    User(String),
    /// A group's URI.
    Group(String),
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// To whom.
    pub grantee: Grantee,
    /// `READ`
    pub permission: String,
}

impl Grant {
    fn user(id: &str, permission: &str) -> Grant {
        Grant { grantee: Grantee::User(id.to_owned()), permission: permission.to_owned() }
    }

    fn group(uri: &str, permission: &str) -> Grant {
        Grant { grantee: Grantee::Group(uri.to_owned()), permission: permission.to_owned() }
    }
}

/// The grants of `private`, which nobody has to say.
pub fn private(owner: &Owner) -> Vec<Grant> {
    vec![Grant::user(&owner.id, "FULL_CONTROL")]
}

/// The grants of a canned list; None if S3 has none of this name.
pub fn canned(name: &str, owner: &Owner) -> Option<Vec<Grant>> {
    let more = match name {
        // One account owns bucket and objects here, so its two lists for bucket owners grant nothing more.
        "private" | "bucket-owner-read" | "bucket-owner-full-control" | "aws-exec-read" => vec![],
        "public-read" => vec![Grant::group(EVERYONE, "READ")],
        "public-read-write" => vec![Grant::group(EVERYONE, "READ"), Grant::group(EVERYONE, "WRITE")],
        "authenticated-read" => vec![Grant::group(EVERY_ACCOUNT, "READ")],
        "log-delivery-write" => {
            vec![Grant::group(LOG_DELIVERY, "WRITE"), Grant::group(LOG_DELIVERY, "READ_ACP")]
        }
        _ => return None,
    };
    Some(private(owner).into_iter().chain(more).collect())
}

/// What a request's headers grant; None if they do not speak of it.
pub fn of_headers(headers: &HeaderMap, owner: &Owner) -> Result<Option<Vec<Grant>>, AwsError> {
    let text =
        |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut grants = Vec::new();
    for (name, permission) in HEADERS {
        let Some(value) = text(name) else { continue };
        for one in value.split(',').filter(|one| !one.trim().is_empty()) {
            let grantee = grantee(one).ok_or_else(|| {
                errors::invalid_argument("Argument format not recognized", name, value.as_str())
            })??;
            grants.push(Grant { grantee, permission: permission.to_owned() });
        }
    }
    match (text("x-amz-acl"), grants.is_empty()) {
        (Some(_), false) => {
            Err(errors::invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"))
        }
        (Some(name), true) => match canned(&name, owner) {
            Some(grants) => Ok(Some(grants)),
            None => Err(errors::invalid_argument("", "x-amz-acl", name)),
        },
        (None, true) => Ok(None),
        (None, false) => Ok(Some(grants)),
    }
}

/// `id="…"`, `uri="…"`; mail addresses are no longer taken.
fn grantee(text: &str) -> Option<Result<Grantee, AwsError>> {
    let (kind, value) = text.trim().split_once('=')?;
    let value = value.trim().trim_matches('"');
    match kind.trim().to_ascii_lowercase().as_str() {
        "id" => Some(user(value)),
        "uri" => Some(group(value)),
        "emailaddress" => Some(Err(errors::part_not_built("A grant to an e-mail address"))),
        _ => None,
    }
}

fn user(id: &str) -> Result<Grantee, AwsError> {
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_id {
        true => Ok(Grantee::User(id.to_owned())),
        false => Err(errors::invalid_argument("Invalid id", "CanonicalUser/ID", id)),
    }
}

fn group(uri: &str) -> Result<Grantee, AwsError> {
    match [EVERYONE, EVERY_ACCOUNT, LOG_DELIVERY].contains(&uri) {
        true => Ok(Grantee::Group(uri.to_owned())),
        false => Err(errors::invalid_argument("Invalid group uri", "uri", uri)),
    }
}

/// Reads an AccessControlPolicy. The owner in it must be the owner there is.
pub fn read(body: &[u8], owner: &Owner) -> Result<Vec<Grant>, AwsError> {
    let root = document(body, "AccessControlPolicy")?;
    let said = root.one("Owner")?.ok_or_else(errors::malformed_xml)?.text_of("ID")?.unwrap_or_default();
    if !said.is_empty() && said != owner.id {
        return Err(errors::access_denied());
    }
    let list = root.one("AccessControlList")?.ok_or_else(errors::malformed_xml)?;
    let grants = list.all("Grant").map(grant).collect::<Result<Vec<Grant>, AwsError>>()?;
    if grants.len() > GRANTS_MAX {
        return Err(errors::invalid_request("Your ACL has more than 100 grants"));
    }
    Ok(grants)
}

fn grant(element: &Element) -> Result<Grant, AwsError> {
    let grantee = element.one("Grantee")?.ok_or_else(errors::malformed_xml)?;
    let permission = element.needed("Permission")?;
    if !PERMISSIONS.contains(&permission) {
        return Err(errors::malformed_xml());
    }
    let kind = grantee.attributes.iter().find(|(name, _)| name == "type").map(|(_, value)| value.as_str());
    let grantee = match kind {
        Some("CanonicalUser") => user(grantee.needed("ID")?)?,
        Some("Group") => group(grantee.needed("URI")?)?,
        Some("AmazonCustomerByEmail") => return Err(errors::part_not_built("A grant to an e-mail address")),
        _ => return Err(errors::malformed_xml()),
    };
    Ok(Grant { grantee, permission: permission.to_owned() })
}

/// The AccessControlPolicy document.
pub fn document_of(owner: &Owner, grants: &[Grant]) -> String {
    Document::of("AccessControlPolicy", |xml| {
        owner.write("Owner", xml);
        xml.within("AccessControlList", |xml| {
            for grant in grants {
                xml.within("Grant", |xml| {
                    let (kind, name, value) = match &grant.grantee {
                        Grantee::User(id) => ("CanonicalUser", "ID", id),
                        Grantee::Group(uri) => ("Group", "URI", uri),
                    };
                    xml.raw("<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"");
                    xml.raw(kind);
                    xml.raw("\">");
                    xml.text(name, value);
                    xml.raw("</Grantee>");
                    xml.text("Permission", &grant.permission);
                });
            }
        });
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_list_survives_its_document() {
        let owner = Owner::of("000000000000");
        for name in
            ["private", "public-read", "public-read-write", "authenticated-read", "log-delivery-write"]
        {
            let grants = canned(name, &owner).expect("S3 has it");
            assert_eq!(read(document_of(&owner, &grants).as_bytes(), &owner), Ok(grants), "{name}");
        }
        let code = |body: &str| read(body.as_bytes(), &owner).map_err(|error| error.code);
        assert_eq!(code("<AccessControlPolicy/>"), Err("MalformedXML"));
        let other = document_of(&Owner::of("1"), &[]);
        assert_eq!(code(&other), Err("AccessDenied"));
    }

    #[test]
    fn headers_grant() {
        let owner = Owner::of("1");
        let check = |name: &'static str, value: &str, expected: Result<usize, &str>| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).expect("a value"));
            let said = of_headers(&headers, &owner).map(|grants| grants.map_or(0, |grants| grants.len()));
            assert_eq!(said.map_err(|error| error.code), expected, "{name}: {value}");
        };
        check("x-amz-acl", "public-read", Ok(2));
        check("x-amz-acl", "public", Err("InvalidArgument"));
        check("x-amz-grant-read", &format!("uri=\"{EVERYONE}\", id={}", owner.id), Ok(2));
        check("x-amz-grant-read", "uri=\"nowhere\"", Err("InvalidArgument"));
        check("x-amz-grant-read", "everyone", Err("InvalidArgument"));
        check("x-amz-grant-read", "emailAddress=a@b", Err("NotImplemented"));
        check("x-other", "y", Ok(0));
    }
}
