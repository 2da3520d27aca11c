//! stub
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    EventBridge,
    SnsAttributes,
    SnsBody,
}
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    pub reason: String,
    pub offset: usize,
}
impl Pattern {
    pub fn parse(_text: &str, _dialect: Dialect) -> Result<Pattern, PatternError> {
        Ok(Pattern {})
    }
    pub fn text(&self) -> &str {
        ""
    }
    pub fn matches(&self, _event: &serde_json::Value) -> bool {
        true
    }
    pub fn matches_attributes(&self, _attributes: &serde_json::Value) -> bool {
        true
    }
    pub fn explain(&self, _event: &serde_json::Value) -> Vec<Check> {
        vec![]
    }
    pub fn explain_attributes(&self, _attributes: &serde_json::Value) -> Vec<Check> {
        vec![]
    }
}
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub path: String,
    pub held: bool,
    pub says: String,
}
