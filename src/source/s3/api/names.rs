//! Which names a bucket may have. Pure.

use std::net::Ipv4Addr;

use super::errors;
use crate::aws::AwsError;

/// Characters in a bucket's name.
const LENGTH: std::ops::RangeInclusive<usize> = 3..=63;
/// What names must not begin with: AWS keeps them for itself.
const RESERVED_STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
/// What names must not end with.
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Refuses what is no name for a new bucket.
pub fn check(bucket: &str) -> Result<(), AwsError> {
    let is_outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_good = LENGTH.contains(&bucket.len())
        && bucket.chars().all(|c| is_outer(c) || c == '-' || c == '.')
        && bucket.starts_with(is_outer)
        && bucket.ends_with(is_outer)
        && !bucket.contains("..")
        && bucket.parse::<Ipv4Addr>().is_err()
        && !RESERVED_STARTS.iter().any(|start| bucket.starts_with(start))
        && !RESERVED_ENDS.iter().any(|end| bucket.ends_with(end));
    if is_good { Ok(()) } else { Err(errors::invalid_bucket_name(bucket)) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_those_that_a_host_could_have() {
        let check = |name: &str, expected: bool| assert_eq!(super::check(name).is_ok(), expected, "{name}");
        check("abc", true);
        check("ab", false);
        check(&"a".repeat(63), true);
        check(&"a".repeat(64), false);
        check("my.bucket-1", true);
        check("1st", true);
        check("Abc", false);
        check("a_b", false);
        check("-ab", false);
        check("ab-", false);
        check(".ab", false);
        check("a..b", false);
        check("192.168.5.4", false);
        check("192.168.5", true);
        check("xn--abc", false);
        check("sthree-abc", false);
        check("abc-s3alias", false);
        check("abc--ol-s3", false);
        check("grüße", false);
        check("", false);
        check("a/b", false);
        check("a\0b", false);
    }
}
