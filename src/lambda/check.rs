//! Constraints on what a request says, told as the service tells them: all at once, in one text. Pure.

use std::fmt::Display;

use super::errors::validation;
use crate::aws::AwsError;

/// A form that text must have.
pub struct Shape {
    /// The pattern as the service prints it.
    pub pattern: &'static str,
    /// Whether a text has it.
    pub fits: fn(&str) -> bool,
}

/// The constraints that did not hold, in the order in which they were looked at.
#[derive(Default)]
pub struct Constraints(Vec<String>);

impl Constraints {
    /// None of them failed so far.
    pub fn new() -> Constraints {
        Constraints::default()
    }
    /// One failed; `must` follows the word "Member".
    pub fn fails(&mut self, value: impl Display, field: &str, must: impl Display) {
        self.0.push(format!("Value '{value}' at '{field}' failed to satisfy constraint: Member must {must}"));
    }
    /// One failed whose text is not about one member.
    pub fn fails_as(&mut self, value: impl Display, field: &str, constraint: impl Display) {
        self.0.push(format!("Value '{value}' at '{field}' failed to satisfy constraint: {constraint}"));
    }
    /// It must be there.
    pub fn required<T>(&mut self, field: &str, value: &Option<T>) {
        if value.is_none() {
            self.0.push(format!(
                "Value null at '{field}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }
    /// A number within bounds.
    pub fn range(&mut self, field: &str, value: Option<i64>, least: i64, most: i64) {
        match value {
            Some(value) if value < least => {
                self.fails(value, field, format!("have value greater than or equal to {least}"));
            }
            Some(value) if value > most => {
                self.fails(value, field, format!("have value less than or equal to {most}"));
            }
            _ => {}
        }
    }
    /// A text within lengths, counted in characters.
    pub fn length(&mut self, field: &str, value: Option<&str>, least: usize, most: usize) {
        let Some(value) = value else { return };
        let length = value.chars().count();
        if length < least {
            self.fails(value, field, format!("have length greater than or equal to {least}"));
        } else if length > most {
            self.fails(value, field, format!("have length less than or equal to {most}"));
        }
    }
    /// A text of a form.
    pub fn shape(&mut self, field: &str, value: Option<&str>, shape: &Shape) {
        if let Some(value) = value
            && !(shape.fits)(value)
        {
            self.fails(value, field, format!("satisfy regular expression pattern: {}", shape.pattern));
        }
    }
    /// One of these words.
    pub fn one_of(&mut self, field: &str, value: Option<&str>, words: &[&str]) {
        if let Some(value) = value
            && !words.contains(&value)
        {
            self.fails(value, field, format!("satisfy enum value set: [{}]", words.join(", ")));
        }
    }
    /// A list whose members are among these words.
    pub fn each_one_of(&mut self, field: &str, values: &[String], words: &[&str]) {
        if values.iter().any(|value| !words.contains(&value.as_str())) {
            let must = format!(
                "satisfy constraint: [Member must satisfy enum value set: [{}], Member must not be null]",
                words.join(", ")
            );
            self.fails(listed(values), field, must);
        }
    }
    /// A list with at most so many members.
    pub fn size(&mut self, field: &str, values: &[String], least: usize, most: usize) {
        if values.len() < least {
            self.fails(listed(values), field, format!("have length greater than or equal to {least}"));
        } else if values.len() > most {
            self.fails(listed(values), field, format!("have length less than or equal to {most}"));
        }
    }
    /// The text of all that failed; None if nothing did.
    pub fn text(&self) -> Option<String> {
        let count = self.0.len();
        let errors = if count == 1 { "error" } else { "errors" };
        (count > 0).then(|| format!("{count} validation {errors} detected: {}", self.0.join("; ")))
    }
    /// A failure if any of them failed.
    pub fn finish(self) -> Result<(), AwsError> {
        self.text().map_or(Ok(()), |text| Err(validation(text)))
    }
}

/// A list as the service prints it: `[a, b]`.
pub fn listed(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

/// Whether all characters of a text that is not empty are allowed.
pub fn all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

/// Letters, digits, `-` and `_`.
pub fn is_word(sign: char) -> bool {
    sign.is_ascii_alphanumeric() || sign == '-' || sign == '_'
}

/// Digits only, at least one.
pub fn is_number(text: &str) -> bool {
    all(text, |sign| sign.is_ascii_digit())
}

/// Twelve digits.
pub fn is_account(text: &str) -> bool {
    text.len() == 12 && is_number(text)
}

/// `us-east-1`, `us-gov-west-1`.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lower = |part: &str| all(part, |sign| sign.is_ascii_lowercase());
    match parts.as_slice() {
        [land, way, number] => land.len() == 2 && lower(land) && lower(way) && is_digit(number),
        [land, kind, way, number] => {
            let special = *kind == "gov" || (kind.starts_with("iso") && kind.len() <= 4);
            land.len() == 2 && lower(land) && special && lower(kind) && lower(way) && is_digit(number)
        }
        _ => false,
    }
}

fn is_digit(text: &str) -> bool {
    text.len() == 1 && is_number(text)
}

/// `aws`, `aws-cn`.
pub fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws")
        .is_some_and(|rest| rest.chars().all(|sign| sign.is_ascii_alphabetic() || sign == '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_fails_is_told_in_one_text() {
        let mut constraints = Constraints::new();
        assert_eq!(constraints.text(), None);
        constraints.range("timeout", Some(1200), 1, 900);
        assert_eq!(
            constraints.text().as_deref(),
            Some(
                "1 validation error detected: Value '1200' at 'timeout' failed to satisfy constraint: Member must have \
                 value less than or equal to 900"
            )
        );
        constraints.required::<String>("role", &None);
        constraints.length("description", Some("xxx"), 0, 2);
        constraints.one_of("packageType", Some("Rar"), &["Zip", "Image"]);
        let text = constraints.text().expect("a text");
        assert!(text.starts_with("4 validation errors detected: Value '1200'"), "{text}");
        assert!(
            text.contains("; Value null at 'role' failed to satisfy constraint: Member must not be null; ")
        );
        assert!(text.ends_with("Member must satisfy enum value set: [Zip, Image]"));
    }

    #[test]
    fn lists_are_told_whole() {
        let mut constraints = Constraints::new();
        constraints.each_one_of("architectures", &["X86".into()], &["x86_64", "arm64"]);
        assert_eq!(
            constraints.text().as_deref(),
            Some(
                "1 validation error detected: Value '[X86]' at 'architectures' failed to satisfy constraint: Member must \
                 satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
            )
        );
    }

    #[test]
    fn regions_are_told_from_other_words() {
        let check = |text, expected| assert_eq!(is_region(text), expected, "{text}");
        check("us-east-1", true);
        check("us-gov-west-1", true);
        check("us-isob-east-1", true);
        check("us-east", false);
        check("function", false);
        check("us-east-10", false);
    }
}
