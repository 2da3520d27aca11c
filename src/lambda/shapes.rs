//! The forms of what requests carry, each with its pattern as the service prints it. Pure.

use super::check::{Shape, all, is_account, is_number, is_partition, is_region, is_word};

/// A role's ARN.
pub const ROLE: Shape =
    Shape { pattern: r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+", fits: is_role };
/// A handler.
pub const HANDLER: Shape = Shape { pattern: r"[^\s]+", fits: has_no_blanks };
/// An ARN of any service, or nothing.
pub const ANY_ARN: Shape = Shape { pattern: r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()", fits: is_any_arn };
/// An ARN with region and account.
pub const SOURCE_ARN: Shape = Shape {
    pattern: r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    fits: is_source_arn,
};
/// Where records go.
pub const DESTINATION: Shape = Shape {
    pattern: r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    fits: is_destination,
};
/// A version of a layer.
pub const LAYER_VERSION: Shape = Shape {
    pattern: r"arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+",
    fits: is_layer_version,
};
/// A layer's name, or its ARN.
pub const LAYER: Shape = Shape {
    pattern: r"(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+",
    fits: is_layer,
};
/// The name of an alias.
pub const ALIAS: Shape = Shape { pattern: r"(?!^[0-9]+$)([a-zA-Z0-9-_]+)", fits: is_alias };
/// A version that an alias points to.
pub const ALIAS_VERSION: Shape =
    Shape { pattern: r"(\$LATEST(\.PUBLISHED)?|[0-9]+)", fits: is_alias_version };
/// The qualifier of a function URL.
pub const URL_QUALIFIER: Shape = Shape { pattern: r"((?!^\d+$)^[0-9a-zA-Z-_]+$)", fits: is_alias };
/// The id of a statement.
pub const STATEMENT: Shape = Shape { pattern: r"([a-zA-Z0-9-_]+)", fits: is_words };
/// An action.
pub const ACTION: Shape = Shape { pattern: r"(lambda:[*]|lambda:[a-zA-Z]+|[*])", fits: is_action };
/// An account.
pub const ACCOUNT: Shape = Shape { pattern: r"\d{12}", fits: is_account };
/// An organisation.
pub const ORGANIZATION: Shape = Shape { pattern: r"o-[a-z0-9]{10,32}", fits: is_organization };
/// A token of an event source.
pub const TOKEN: Shape = Shape { pattern: r"[a-zA-Z0-9._\-]+", fits: is_token };
/// A log group.
pub const LOG_GROUP: Shape = Shape { pattern: r"[\.\-_/#A-Za-z0-9]+", fits: is_log_group };
/// A bucket.
pub const BUCKET: Shape = Shape { pattern: r"[0-9A-Za-z\.\-_]*(?<!\.)", fits: is_bucket };
/// Who may use a layer.
pub const LAYER_PRINCIPAL: Shape =
    Shape { pattern: r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root", fits: is_layer_principal };
/// A version of a runtime.
pub const RUNTIME_VERSION: Shape = Shape {
    pattern: r"arn:(aws[a-zA-Z-]*):lambda:[a-z]{2}((-gov)|(-iso(b?)))?-[a-z]+-\d{1}::runtime:.+",
    fits: is_runtime_version,
};

fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, role] = parts.as_slice() else { return false };
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "_+=,.@-/".contains(sign);
    *arn == "arn"
        && (partition.is_empty() || is_partition(partition))
        && *service == "iam"
        && region.is_empty()
        && is_account(account)
        && role
            .strip_prefix("role")
            .is_some_and(|name| name.len() > 1 && all(name, plain) || all(name, |c| c != '/' && plain(c)))
}

fn has_no_blanks(text: &str) -> bool {
    all(text, |sign| !sign.is_whitespace())
}

fn is_any_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(4, ':').collect();
    let service = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || "-.".contains(sign);
    text.is_empty()
        || matches!(parts.as_slice(), [arn, partition, name, _]
            if *arn == "arn" && (partition.is_empty() || is_partition(partition)) && all(name, service))
}

fn is_source_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let service = |sign: char| sign.is_ascii_alphanumeric() || sign == '-';
    matches!(parts.as_slice(), [arn, partition, name, region, account, _]
        if *arn == "arn"
            && partition.starts_with("aws")
            && all(partition, service)
            && all(name, service)
            && (region.is_empty() || is_region(region))
            && (account.is_empty() || is_account(account)))
}

fn is_destination(text: &str) -> bool {
    text.is_empty() || text.starts_with("kafka://") || is_source_arn(text)
}

fn is_layer_version(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(layer, version)| is_layer_arn(layer) && is_number(version))
}

fn is_layer_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let word = |text: &str| all(text, |sign| sign.is_ascii_alphanumeric() || sign == '-');
    matches!(parts.as_slice(), ["arn", partition, "lambda", region, account, "layer", name]
        if word(partition) && word(region) && is_account(account) && is_words(name))
}

fn is_layer(text: &str) -> bool {
    is_layer_arn(text) || is_words(text)
}

fn is_words(text: &str) -> bool {
    all(text, is_word)
}

fn is_alias(text: &str) -> bool {
    is_words(text) && !is_number(text)
}

fn is_alias_version(text: &str) -> bool {
    text == "$LATEST" || text == "$LATEST.PUBLISHED" || is_number(text)
}

fn is_action(text: &str) -> bool {
    let verb = text.strip_prefix("lambda:").unwrap_or_default();
    text == "*" || verb == "*" || all(verb, |sign| sign.is_ascii_alphabetic())
}

fn is_organization(text: &str) -> bool {
    let plain = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    text.strip_prefix("o-").is_some_and(|id| (10..=32).contains(&id.len()) && all(id, plain))
}

fn is_token(text: &str) -> bool {
    all(text, |sign| is_word(sign) || sign == '.')
}

fn is_log_group(text: &str) -> bool {
    all(text, |sign| is_word(sign) || "./#".contains(sign))
}

fn is_bucket(text: &str) -> bool {
    text.chars().all(|sign| is_word(sign) || sign == '.') && !text.ends_with('.')
}

fn is_layer_principal(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let root = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, "root"]
        if is_partition(partition) && is_account(account));
    text == "*" || is_account(text) || root
}

fn is_runtime_version(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(7, ':').collect();
    matches!(parts.as_slice(), ["arn", partition, "lambda", region, "", "runtime", version]
        if is_partition(partition) && is_region(region) && !version.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &Shape, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!((shape.fits)(text), "{text} fits {}", shape.pattern);
        }
        for text in bad {
            assert!(!(shape.fits)(text), "{text} does not fit {}", shape.pattern);
        }
    }

    #[test]
    fn each_form_takes_what_its_pattern_takes() {
        check(
            &ROLE,
            &[
                "arn:aws:iam::625297745038:role/lambdaapipolicy",
                "arn:aws:iam::000000000000:role/a/b",
                "arn:aws-cn:iam::000000000000:role/x",
            ],
            &[
                "r1",
                "arn:aws:iam::1:role/x",
                "arn:aws:iam::000000000000:role/",
                "arn:aws:iam::000000000000:user/x",
                "arn:aws:iam::000000000000:role/a b",
            ],
        );
        check(&HANDLER, &["index.handler"], &["a b", ""]);
        check(&ANY_ARN, &["", "arn:aws:sqs:us-east-1:0:q"], &["q", "arn:aws:SQS:x"]);
        check(
            &SOURCE_ARN,
            &["arn:aws:s3:::b", "arn:aws:sqs:us-east-1:000000000000:q"],
            &["arn:aws:sqs:here:0:q", "x"],
        );
        let layer = "arn:aws:lambda:us-east-1:000000000000:layer:l";
        check(&LAYER_VERSION, &[&format!("{layer}:1")], &[layer, "l:1"]);
        check(&LAYER, &["l", layer], &["l:1", ""]);
        check(&ALIAS, &["live", "v1"], &["1", "a b", ""]);
        check(&ALIAS_VERSION, &["$LATEST", "7"], &["live"]);
        check(
            &ACTION,
            &["lambda:InvokeFunction", "lambda:*", "*"],
            &["s3:GetObject", "lambda:", "lambda:x1"],
        );
        check(&ORGANIZATION, &["o-abcdefghij"], &["o-short", "abcdefghijk"]);
        check(&LOG_GROUP, &["/aws/lambda/x#1"], &["a b"]);
        check(&BUCKET, &["my.bucket"], &["bucket.", "a/b"]);
        check(&LAYER_PRINCIPAL, &["*", "000000000000", "arn:aws:iam::000000000000:root"], &["x"]);
        check(
            &RUNTIME_VERSION,
            &["arn:aws:lambda:us-east-1::runtime:abc"],
            &["arn:aws:lambda:us-east-1::runtime:"],
        );
    }
}
