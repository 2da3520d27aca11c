//! The ids of versions: what looks like chance says, in its first letters, which of all writes it was. So a listing
//! goes on behind a version that is gone by then. Pure but for the chance.

use super::api::errors;
use super::event::Sequencer;
use crate::aws::AwsError;
use crate::random::Random;

/// The letters, each for six bits.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
/// How many letters an id has.
const LENGTH: usize = 32;
/// How many of them hold the sequencer.
const SAYING: usize = 11;

/// An id for the version of this write.
pub fn of(sequencer: Sequencer, random: &Random) -> String {
    // The last bits come first: ids that follow each other do not look alike.
    let number = sequencer.number();
    let digits = (0..SAYING).map(|place| usize::from((number >> (6 * place)) as u8 & 63));
    let mut id: String = digits.filter_map(|digit| LETTERS.get(digit..=digit)).collect();
    id.push_str(&random.text(LETTERS, LENGTH - SAYING));
    id
}

/// The sequencer of the write that this id is of, wherever its version is; None if no id looks so.
pub fn sequencer(id: &str) -> Option<Sequencer> {
    if id.len() != LENGTH {
        return None;
    }
    let digits = id.bytes().map(|letter| LETTERS.bytes().position(|other| other == letter));
    let digits: Vec<u64> =
        digits.map(|digit| digit.and_then(|digit| u64::try_from(digit).ok())).collect::<Option<_>>()?;
    let places = digits.iter().take(SAYING).enumerate();
    Some(Sequencer::numbered(places.fold(0, |number, (place, digit)| number | digit << (6 * place))))
}

/// The version as a request names it, `null` too, if it can be one.
pub fn possible(version: &str) -> Result<&str, AwsError> {
    match version == "null" || sequencer(version).is_some() {
        true => Ok(version),
        false => Err(errors::invalid_argument("Invalid version id specified", "versionId", version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn an_id_says_which_write_it_is_of() {
        let random = Random::seeded(1);
        let at = |millis| Sequencer::at(Timestamp::from_millis(millis));
        for written in [at(0), at(1_700_000_000_123), at(4_200_000_000_999).next(), Sequencer::LAST] {
            let (one, other) = (of(written, &random), of(written, &random));
            assert_eq!((one.len(), sequencer(&one), sequencer(&other)), (32, Some(written), Some(written)));
            assert_ne!(one, other);
        }
        for no_id in ["", "null", &"a".repeat(31), &"ä".repeat(16), &"-".repeat(32)] {
            assert_eq!(sequencer(no_id), None, "{no_id}");
        }
    }
}
