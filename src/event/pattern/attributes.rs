//! Message attributes of SNS as the plain values that filter policies compare. Pure.

use serde_json::{Map, Number, Value};

/// The attributes as an object of plain values. Binary ones are left out, and so are those that are not what
/// their type says.
pub(super) fn plain(attributes: &Value) -> Value {
    let mut object = Map::new();
    for (name, attribute) in attributes.as_object().into_iter().flatten() {
        if let Some(value) = value(attribute) {
            object.insert(name.clone(), value);
        }
    }
    Value::Object(object)
}

fn value(attribute: &Value) -> Option<Value> {
    let kind = attribute.get("Type")?.as_str()?;
    let text = attribute.get("Value")?.as_str()?;
    if kind == "String.Array" || kind.starts_with("String.Array.") {
        return serde_json::from_str(text).ok().filter(Value::is_array);
    }
    // What follows the first dot is a label of the user's own.
    match kind.split('.').next()? {
        "String" => Some(Value::from(text)),
        "Number" => number(text.trim()).map(Value::Number),
        _ => None,
    }
}

/// Attribute values need not be written as JSON would have it: `+1` and `01` are numbers too.
fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok().or_else(|| Number::from_f64(text.parse().ok()?))
}
