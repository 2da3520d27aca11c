//! What AWS allows as a name, and which known name somebody may have meant.

/// The rule that a name breaks; none if AWS would take it. `kind` is the word of the wiring file.
pub(super) fn broken_rule(kind: &str, name: &str) -> Option<&'static str> {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || sign == '-' || sign == '_';
    let dotted = |sign: char| plain(sign) || sign == '.';
    let (fits, rule) = match kind {
        "function" => (sized(name, 1, 64, plain), "1 to 64 letters, digits, hyphens and underscores"),
        "bucket" => (
            bucket_fits(name),
            "3 to 63 lowercase letters, digits, hyphens and single dots, a letter or digit first and last, no IP address",
        ),
        "table" => (sized(name, 3, 255, dotted), "3 to 255 letters, digits, hyphens, underscores and dots"),
        "topic" => (sized(name, 1, 256, plain), "1 to 256 letters, digits, hyphens and underscores"),
        "queue" => (sized(name, 1, 80, plain), "1 to 80 letters, digits, hyphens and underscores"),
        // Ours, not AWS's: wire names become part of ids such as `audit/orders`, beside `audit/on.2`.
        _ => (
            sized(name, 1, 64, plain) && !OWN_WIRES.contains(&name),
            "1 to 64 letters, digits, hyphens and underscores, and not `on`, `async`, `dlq`, `on_failure` or `on_success`",
        ),
    };
    (!fits).then_some(rule)
}

/// The names of wires that are there because there is a function, or a destination.
const OWN_WIRES: &[&str] = &["on", "async", "dlq", "on_failure", "on_success"];

/// The known name that somebody who wrote `name` probably meant.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let reach = match name.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=11 => 2,
        _ => 3,
    };
    let lower = name.to_lowercase();
    let distance = |other: &str| strsim::damerau_levenshtein(&lower, &other.to_lowercase());
    // Very long names are no typos, and comparing them is slow.
    let candidates = known.iter().filter(|_| name.len() <= 256);
    candidates
        .map(|other| (distance(other), *other))
        .filter(|(far, _)| *far <= reach)
        .min()
        .map(|(_, other)| other)
}

/// "`a`, `b`, and `c`".
pub(super) fn listed(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} {last} {two}"),
        [first @ .., end] => format!("{}, {last} {end}", first.join(", ")),
    }
}

fn sized(name: &str, least: usize, most: usize, allowed: impl Fn(char) -> bool) -> bool {
    (least..=most).contains(&name.len()) && name.chars().all(allowed)
}

fn bucket_fits(name: &str) -> bool {
    let inner = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    let ends = name.starts_with(inner) && name.ends_with(inner);
    let address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    sized(name, 3, 63, |sign| inner(sign) || sign == '-' || sign == '.')
        && ends
        && !name.contains("..")
        && !address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_name(kind: &str, name: &str, allowed: bool) {
        assert_eq!(broken_rule(kind, name).is_none(), allowed, "{kind} {name:?}");
    }

    #[test]
    fn names_follow_the_rules_of_each_service() {
        check_name("bucket", "my.bucket-1", true);
        for wrong in ["ab", "Uploads", "a_b_c", "-abc", "abc.", "a..b", "192.168.0.1", ""] {
            check_name("bucket", wrong, false);
        }
        check_name("bucket", &"a".repeat(63), true);
        check_name("bucket", &"a".repeat(64), false);
        check_name("function", "My_function-1", true);
        check_name("function", "my.function", false);
        check_name("function", &"a".repeat(65), false);
        check_name("table", "Orders.v2", true);
        check_name("table", "ab", false);
        check_name("topic", "order-events", true);
        check_name("topic", "orders.fifo", false);
        check_name("queue", &"q".repeat(81), false);
        check_name("wire", "orders", true);
        check_name("wire", "on", false);
        check_name("wire", "async", false);
        check_name("wire", "on_failure", false);
        check_name("wire", "a/b", false);
    }

    fn check_near(name: &str, known: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(name, known), expected, "{name}");
    }

    #[test]
    fn a_typo_finds_what_was_meant() {
        check_near("timout", &["timeout", "runtime"], Some("timeout"));
        check_near("upload", &["uploads", "archive"], Some("uploads"));
        check_near("Timeout", &["timeout"], Some("timeout"));
        check_near("hnadler", &["handler"], Some("handler"));
        check_near("inbox", &["uploads", "archive"], None);
        check_near("in", &["on"], None);
        check_near("", &["on"], None);
    }
}
