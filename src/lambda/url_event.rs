//! Function URLs: a request as its function gets it, and a function's answer as the client gets it. Pure.
//!
//! The event has payload format 2.0, with what is particular to function URLs: the raw path stays encoded, the cookie
//! header stays among the headers, and who calls is anonymous unless the URL asks for a signature.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::arn::Place;
use crate::aws::{Answer, Body, Call, decoded};
use crate::clock::Timestamp;

/// What the event says besides the request itself.
pub struct Setting<'a> {
    /// The URL's id.
    pub id: &'a str,
    /// Region and account.
    pub place: &'a Place,
    /// When the request came.
    pub now: Timestamp,
    /// `Root=1-…`
    pub trace_id: &'a str,
    /// The access key that signed the request, where the URL asks for a signature.
    pub access_key: Option<&'a str>,
}

/// The event for a request.
pub fn event(call: &Call, raw_query: &str, setting: &Setting) -> Value {
    let Setting { id, place, now, .. } = setting;
    let domain = format!("{id}.lambda-url.{}.on.aws", place.region);
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": call.path,
        "rawQueryString": raw_query,
    });
    let cookies = cookies(call);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    event["headers"] = Value::Object(headers(call, setting, &domain));
    let query = joined(call.query.iter().map(|(name, value)| (name.clone(), value.clone())));
    if !query.is_empty() {
        event["queryStringParameters"] = Value::Object(sorted(query));
    }
    let account = if setting.access_key.is_some() { place.account.as_str() } else { "anonymous" };
    let mut context = json!({ "accountId": account, "apiId": id });
    if let Some(key) = setting.access_key {
        context["authorizer"] = json!({ "iam": {
            "accessKey": key,
            "accountId": place.account,
            "callerId": key,
            "cognitoIdentity": null,
            "principalOrgId": null,
            "userArn": format!("arn:aws:iam::{}:user/local", place.account),
            "userId": key,
        }});
    }
    context["domainName"] = json!(domain);
    context["domainPrefix"] = json!(id);
    context["http"] = json!({
        "method": call.method.as_str(),
        "path": decoded(&call.path),
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": call.header("user-agent").unwrap_or_default(),
    });
    context["requestId"] = json!(call.request_id);
    context["routeKey"] = json!("$default");
    context["stage"] = json!("$default");
    context["time"] = json!(log_time(*now));
    context["timeEpoch"] = json!(now.as_millis());
    event["requestContext"] = context;
    let text = std::str::from_utf8(&call.body).ok().filter(|_| is_text(call.header("content-type")));
    if !call.body.is_empty() {
        event["body"] = text.map_or_else(|| json!(BASE64.encode(&call.body)), |text| json!(text));
    }
    event["isBase64Encoded"] = json!(!call.body.is_empty() && text.is_none());
    event
}

/// Names in lower case; what a name has several times is joined with a comma.
fn headers(call: &Call, setting: &Setting, domain: &str) -> Map<String, Value> {
    let own = call.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    let mut all =
        joined(own.filter(|(name, _)| !["authorization", "connection", "host"].contains(&name.as_str())));
    for (name, value) in [
        ("host", domain),
        ("x-amzn-tls-cipher-suite", "TLS_AES_128_GCM_SHA256"),
        ("x-amzn-tls-version", "TLSv1.3"),
        ("x-amzn-trace-id", setting.trace_id.split(';').next().unwrap_or_default()),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
    ] {
        all.insert(name.into(), json!(value));
    }
    sorted(all)
}

fn sorted(all: Map<String, Value>) -> Map<String, Value> {
    let mut sorted: Vec<(String, Value)> = all.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted.into_iter().collect()
}

fn joined(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut all: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let text = match all.get(&name).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value,
        };
        all.insert(name, json!(text));
    }
    all
}

fn cookies(call: &Call) -> Vec<String> {
    let lines = call.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .map(|cookie| cookie.trim().to_owned())
        .filter(|c| !c.is_empty())
        .collect()
}

/// Which bodies travel as text; all others, and those of no type, in base64.
fn is_text(content_type: Option<&str>) -> bool {
    let kind =
        content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"].contains(&kind.as_str())
}

/// `10/Jul/2026:19:19:06 +0000`
fn log_time(now: Timestamp) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let iso = now.iso_seconds();
    let month: usize = iso[5..7].parse().unwrap_or(1);
    format!("{}/{}/{}:{} +0000", &iso[8..10], MONTHS[(month - 1) % 12], &iso[..4], &iso[11..19])
}

/// What the client gets for a function's result.
pub fn answer(result: &Bytes) -> Answer {
    let Ok(value) = serde_json::from_slice::<Value>(result) else {
        return whole(StatusCode::OK, result.clone(), "application/json");
    };
    match &value {
        Value::Object(members) if members.contains_key("statusCode") => {
            structured(members).unwrap_or_else(failed)
        }
        Value::String(text) => whole(StatusCode::OK, Bytes::from(text.clone()), "application/json"),
        other => whole(StatusCode::OK, Bytes::from(other.to_string()), "application/json"),
    }
}

/// What the client gets for a function that failed.
pub fn failed() -> Answer {
    whole(StatusCode::BAD_GATEWAY, Bytes::from_static(b"Internal Server Error"), "application/json")
}

fn whole(status: StatusCode, body: Bytes, content_type: &str) -> Answer {
    crate::aws::rest_json::raw(status, body, content_type)
}

/// A response in parts: `statusCode`, `headers`, `cookies`, `body`, `isBase64Encoded`. None if the status is none.
fn structured(members: &Map<String, Value>) -> Option<Answer> {
    let mut answer = head(members)?;
    let body = match members.get("body") {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) if members.get("isBase64Encoded") == Some(&json!(true)) => {
            Bytes::from(BASE64.decode(text).ok()?)
        }
        Some(Value::String(text)) => Bytes::from(text.clone()),
        Some(other) => Bytes::from(other.to_string()),
    };
    answer.body = Body::Whole(body);
    Some(answer)
}

/// Status, headers and cookies of a response, with no body yet: also the prelude of a streamed one.
pub fn head(members: &Map<String, Value>) -> Option<Answer> {
    let status = match members.get("statusCode") {
        None => 200,
        Some(Value::Number(number)) => u16::try_from(number.as_u64()?).ok()?,
        Some(Value::String(text)) => text.parse().ok()?,
        Some(_) => return None,
    };
    let status = StatusCode::from_u16(status).ok().filter(|status| *status >= StatusCode::OK)?;
    let mut answer = Answer::empty(status);
    let texts = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value) in members.get("headers").and_then(Value::as_object).into_iter().flatten() {
        // A name or value that HTTP has no room for is left out, as the service does.
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&texts(value)))
            && name != header::CONTENT_LENGTH
            && name != header::TRANSFER_ENCODING
        {
            answer.headers.insert(name, value);
        }
    }
    for cookie in members.get("cookies").and_then(Value::as_array).into_iter().flatten() {
        if let Ok(value) = HeaderValue::from_str(&texts(cookie)) {
            answer.headers.append(header::SET_COOKIE, value);
        }
    }
    answer.headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};

    fn recorded(text: &str) -> Value {
        serde_json::from_str(text).expect("a recorded event")
    }

    /// The request that a recorded event tells of.
    fn call_of(event: &Value, body: &[u8]) -> (Call, String) {
        let mut headers = HeaderMap::new();
        for (name, value) in event["headers"].as_object().expect("headers") {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.insert(name, value.as_str().expect("text").parse().expect("a value"));
        }
        let raw_query = event["rawQueryString"].as_str().expect("text").to_owned();
        let http = &event["requestContext"]["http"];
        let call = Call {
            method: http["method"].as_str().expect("text").parse::<Method>().expect("a method"),
            path: event["rawPath"].as_str().expect("text").into(),
            query: crate::aws::query_of(&raw_query),
            headers,
            body: Bytes::copy_from_slice(body),
            request_id: event["requestContext"]["requestId"].as_str().expect("text").into(),
        };
        (call, raw_query)
    }

    #[test]
    fn an_anonymous_request_is_told_as_recorded() {
        let golden = recorded(include_str!("golden/auth_none_post_cookies_2026.json"));
        let body = golden["body"].as_str().expect("text");
        let (mut call, raw_query) = call_of(&golden, body.as_bytes());
        call.headers.insert("x-amzn-trace-id", "other".parse().expect("a value"));
        let id = golden["requestContext"]["apiId"].as_str().expect("text");
        let place = Place { region: "us-west-2".into(), account: "111111111111".into() };
        let now = Timestamp::from_millis(1_783_711_146_671);
        let trace_id = "Root=1-6a5145aa-290a323a5de9a2e0636377d4;Parent=1;Sampled=0";
        let setting = Setting { id, place: &place, now, trace_id, access_key: None };
        let mut expected = golden.clone();
        // Where the recorded client sat.
        expected["headers"]["x-forwarded-for"] = json!("127.0.0.1");
        expected["requestContext"]["http"]["sourceIp"] = json!("127.0.0.1");
        let ours = event(&call, &raw_query, &setting);
        assert_eq!(ours.to_string(), expected.to_string());
    }

    #[test]
    fn what_is_no_text_travels_in_base64() {
        let golden = recorded(include_str!("golden/domain-only-request-with-base64-encoded-body.json"));
        let (call, raw_query) = call_of(&golden, b"<idk/>");
        let place = Place::default();
        let setting = Setting {
            id: "u",
            place: &place,
            now: Timestamp::default(),
            trace_id: "",
            access_key: Some("AKID"),
        };
        let ours = event(&call, &raw_query, &setting);
        for name in ["body", "isBase64Encoded", "rawPath", "cookies", "queryStringParameters"] {
            assert_eq!(ours[name], golden[name], "{name}");
        }
        assert_eq!(ours["requestContext"]["accountId"], json!(place.account));
        let golden = recorded(include_str!("golden/request-with-headers-and-cookies-and-text-body.json"));
        let (call, raw_query) = call_of(&golden, br#"{"hello": "world"}"#);
        let ours = event(&call, &raw_query, &setting);
        for name in ["body", "isBase64Encoded", "cookies", "queryStringParameters", "rawQueryString"] {
            assert_eq!(ours[name], golden[name], "{name}");
        }
    }

    #[test]
    fn answers_are_those_that_were_recorded() {
        let table = recorded(include_str!("golden/response_mapping_table.json"));
        // What json.dumps makes of each recorded return value.
        let results = [
            r#"{"hello": "world"}"#,
            r#"{"statusCode": 200, "body": "body123"}"#,
            r#"{"statusCode": 200, "body": "{\"hello\": \"world\"}"}"#,
            r#"["hello", 3, true]"#,
            r#""hello""#,
            "3",
            "3.1",
            "true",
        ];
        let cases = table["cases"].as_array().expect("cases");
        assert_eq!(cases.len(), results.len());
        for (case, result) in cases.iter().zip(results) {
            let answer = answer(&Bytes::from_static(result.as_bytes()));
            let Body::Whole(body) = answer.body else { panic!("it is whole") };
            assert_eq!(json!(body.len().to_string()), case["headers"]["Content-Length"], "{result}");
            assert_eq!(answer.headers["content-type"], "application/json");
            match &case["content_parsed"] {
                Value::Null => assert_eq!(json!(String::from_utf8_lossy(&body)), case["body"]),
                parsed => assert_eq!(&recorded(&String::from_utf8_lossy(&body)), parsed),
            }
        }
    }

    #[test]
    fn a_response_in_parts_has_them_all() {
        let result = r#"{"statusCode":"418","headers":{"X-A":"b","n":1},"cookies":["a=1","b=2"],"body":"aGk=","isBase64Encoded":true}"#;
        let answer = answer(&Bytes::from_static(result.as_bytes()));
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["x-a"], &answer.headers["n"]),
            (418, &"b".parse().expect("v"), &"1".parse().expect("v"))
        );
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        assert!(matches!(answer.body, Body::Whole(body) if body == "hi"));
        for bad in [r#"{"statusCode":99}"#, r#"{"statusCode":200.5}"#, r#"{"statusCode":"x"}"#] {
            assert_eq!(
                super::answer(&Bytes::from_static(bad.as_bytes())).status,
                StatusCode::BAD_GATEWAY,
                "{bad}"
            );
        }
    }
}
