//! The event names of S3, and when two wires of one bucket would both take the same event. Pure.

use super::From;

/// Every event that S3 can send, without `s3:`.
pub const NAMES: &[&str] = &[
    "ObjectCreated:Put",
    "ObjectCreated:Post",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectRestore:Post",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "ObjectTagging:Put",
    "ObjectTagging:Delete",
    "ObjectAcl:Put",
    "ObjectAnnotation:Put",
    "ObjectAnnotation:Delete",
    "ObjectRetention:Put",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "LifecycleTransition",
    "Replication:OperationFailedReplication",
    "Replication:OperationMissedThreshold",
    "Replication:OperationReplicatedAfterThreshold",
    "Replication:OperationNotTracked",
    "IntelligentTiering",
    "ReducedRedundancyLostObject",
];

/// What may stand for several of them.
pub const WILDCARDS: &[&str] = &[
    "ObjectCreated:*",
    "ObjectRemoved:*",
    "ObjectRestore:*",
    "ObjectTagging:*",
    "ObjectAnnotation:*",
    "Replication:*",
    "LifecycleExpiration:*",
];

/// Whether S3 knows this event name or wildcard (without `s3:`).
pub fn known(event: &str) -> bool {
    NAMES.contains(&event) || WILDCARDS.contains(&event)
}

/// Whether anything in a bucket of ours can cause it: there are no archives, replicas and tiers here.
pub(super) fn happens_here(event: &str) -> bool {
    const FAMILIES: [&str; 5] =
        ["ObjectCreated:", "ObjectRemoved:", "ObjectTagging:", "ObjectAcl:", "LifecycleExpiration:"];
    FAMILIES.iter().any(|family| event.starts_with(family))
}

/// The rule of S3: two configurations of one bucket are ambiguous when they share an event type, and their
/// prefixes overlap, and their suffixes overlap.
pub(super) fn ambiguous(one: &From, other: &From) -> bool {
    let (
        From::Bucket { bucket, events, prefix, suffix },
        From::Bucket { bucket: b, events: e, prefix: p, suffix: s },
    ) = (one, other)
    else {
        return false;
    };
    bucket == b && overlap((events, prefix, suffix), (e, p, s))
}

/// The same of two lists of events (without `s3:`), each with its prefix and suffix.
pub fn overlap(
    (events, prefix, suffix): (&[String], &str, &str),
    (others, other_prefix, other_suffix): (&[String], &str, &str),
) -> bool {
    NAMES.iter().any(|name| any_covers(events, name) && any_covers(others, name))
        && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
        && (suffix.ends_with(other_suffix) || other_suffix.ends_with(suffix))
}

fn any_covers(events: &[String], name: &str) -> bool {
    events.iter().any(|event| match event.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => event == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(events: &[&str], prefix: &str, suffix: &str) -> From {
        From::Bucket {
            bucket: "b".into(),
            events: events.iter().map(|event| (*event).to_owned()).collect(),
            prefix: prefix.into(),
            suffix: suffix.into(),
        }
    }

    fn check(one: (&[&str], &str, &str), other: (&[&str], &str, &str), expected: bool) {
        let (one, other) = (wire(one.0, one.1, one.2), wire(other.0, other.1, other.2));
        assert_eq!(ambiguous(&one, &other), expected, "{one:?} {other:?}");
        assert_eq!(ambiguous(&other, &one), expected, "the other way round: {one:?} {other:?}");
    }

    const CREATED: &[&str] = &["ObjectCreated:*"];

    #[test]
    fn overlapping_prefixes_need_suffixes_that_do_not() {
        check((CREATED, "in/", ".jpg"), (CREATED, "in/", ".png"), false);
        check((CREATED, "in/", ".jpg"), (CREATED, "in/", ""), true);
        check((CREATED, "in/", ".jpg"), (CREATED, "", ".jpg"), true);
        check((CREATED, "", "jpg"), (CREATED, "", "pg"), true);
        check((CREATED, "", ""), (CREATED, "", ""), true);
    }

    #[test]
    fn prefixes_that_part_ways_are_fine() {
        check((CREATED, "in/", ""), (CREATED, "out/", ""), false);
        check((CREATED, "in/a", ".x"), (CREATED, "in/b", ".x"), false);
    }

    #[test]
    fn different_event_types_never_overlap() {
        check((CREATED, "", ""), (&["ObjectRemoved:*"], "", ""), false);
        check((&["ObjectCreated:Put"], "", ""), (&["ObjectCreated:Copy"], "", ""), false);
        check((&["ObjectCreated:Put"], "", ""), (CREATED, "", ""), true);
        check((&["ObjectRemoved:Delete", "ObjectCreated:Copy"], "", ""), (CREATED, "", ""), true);
    }
}
