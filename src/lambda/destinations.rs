//! Where dead letters and records may go: to something that is there. Pure.

use super::errors::invalid;
use super::names::{NameRule, Target, parse_name};
use super::world::World;
use crate::arn::{Arn, Place};
use crate::aws::AwsError;

/// What a destination is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Events that an asynchronous invocation gave up: queues and topics.
    DeadLetters,
    /// Records of success: queues, topics, functions.
    Success,
    /// Records of failure: buckets too.
    Failure,
    /// Records of failure of an event source mapping: queues, topics, buckets.
    StreamFailure,
}

/// The ARN of a destination of this function, if it is there and fit for the purpose.
pub fn check(world: &World, place: &Place, arn: &str, of: &str, purpose: Purpose) -> Result<Arn, AwsError> {
    let wrong = || invalid(format!("The destination ARN {arn} is invalid."));
    let parsed = Arn::parse(arn).ok_or_else(wrong)?;
    let name = parsed.as_str().rsplit(':').next().unwrap_or_default();
    let is_there = match parsed.service() {
        "sqs" => world.around.queues.contains(name) && parsed == Arn::queue(place, name),
        "sns" => world.around.topics.contains(name) && parsed == Arn::topic(place, name),
        "s3" if matches!(purpose, Purpose::Failure | Purpose::StreamFailure) => {
            world.around.buckets.contains_key(name) && parsed == Arn::bucket(name)
        }
        "lambda" if matches!(purpose, Purpose::Success | Purpose::Failure) => {
            let Target { name, qualifier } =
                parse_name(arn, None, NameRule::Wide, place).map_err(|_| wrong())?;
            if name == of {
                return Err(invalid("You can't specify the function as a destination for itself."));
            }
            world.find(place, &Target { name, qualifier }).is_ok()
        }
        "events" => {
            return Err(invalid(format!(
                "dropwire does not take {arn} as a destination: there are no event buses here yet"
            )));
        }
        _ => false,
    };
    if is_there { Ok(parsed) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_there_and_fit_for_its_purpose() {
        let mut world = World::default();
        world.around.queues.insert("q".into());
        world.around.topics.insert("t".into());
        world.around.buckets.insert("b".into(), "/b".into());
        let place = Place::default();
        let check = |arn: &str, purpose, expected: Result<(), &str>| {
            let found = check(&world, &place, arn, "f", purpose);
            match expected {
                Ok(()) => assert!(found.is_ok(), "{arn}: {found:?}"),
                Err(words) => {
                    let error = found.expect_err(arn);
                    assert!(error.message.contains(words), "{error}");
                }
            }
        };
        let queue = "arn:aws:sqs:us-east-1:000000000000:q";
        for purpose in [Purpose::DeadLetters, Purpose::Success, Purpose::Failure, Purpose::StreamFailure] {
            check(queue, purpose, Ok(()));
            check("arn:aws:sns:us-east-1:000000000000:t", purpose, Ok(()));
            check(
                "arn:aws:sqs:us-east-1:000000000000:r",
                purpose,
                Err("The destination ARN arn:aws:sqs:us-east-1:000000000000:r is invalid."),
            );
            check("arn:aws:sqs:us-west-2:000000000000:q", purpose, Err("is invalid."));
        }
        check("arn:aws:s3:::b", Purpose::Failure, Ok(()));
        check("arn:aws:s3:::b", Purpose::Success, Err("is invalid."));
        check("arn:aws:lambda:us-east-1:000000000000:function:f", Purpose::Success, Err("for itself"));
        check("arn:aws:lambda:us-east-1:000000000000:function:g", Purpose::Success, Err("is invalid."));
        check(
            "arn:aws:events:us-east-1:000000000000:event-bus/default",
            Purpose::Success,
            Err("no event buses"),
        );
        check("nonsense", Purpose::DeadLetters, Err("The destination ARN nonsense is invalid."));
    }
}
