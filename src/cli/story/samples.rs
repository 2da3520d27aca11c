//! Moments for the tests of the command line.

use crate::clock::Timestamp;
use crate::timeline::{Moment, Told};

/// A moment a second after the epoch.
pub fn told(moment: Moment) -> Told {
    let at = Timestamp::from_millis(1_402);
    Told { seq: 1, at, wall: at, moment }
}

/// An object that `thumbnail` wants.
pub fn emitted(id: &str, cause: Option<&str>) -> Moment {
    Moment::Emitted {
        id: id.into(),
        cause: cause.map(str::to_owned),
        source: "s3".into(),
        name: "uploads".into(),
        event: "ObjectCreated:Put".into(),
        subject: "incoming/cat.png".into(),
        size: Some(47_104),
        wanted_by: vec!["thumbnail".into()],
        unwanted: None,
    }
}

/// An object that nobody wants.
pub fn unwanted(id: &str, cause: Option<&str>) -> Moment {
    let mut moment = emitted(id, cause);
    if let Moment::Emitted { wanted_by, unwanted, .. } = &mut moment {
        wanted_by.clear();
        *unwanted = Some("prefix is `thumbs/`".into());
    }
    moment
}

/// An attempt of this function begins.
pub fn started(id: &str, function: &str) -> Moment {
    Moment::Started {
        id: id.into(),
        function: function.into(),
        wire: "thumbnail/on".into(),
        batch: 1,
        attempt: 1,
        request_id: "r".into(),
    }
}

/// An attempt succeeds.
pub fn succeeded(id: &str) -> Moment {
    Moment::Ended {
        id: id.into(),
        function: "thumbnail".into(),
        wire: "thumbnail/on".into(),
        attempt: 1,
        attempts_max: Some(3),
        ok: true,
        duration_ms: 212.3,
        init_ms: Some(94.0),
        error: None,
        retry_at: None,
        gave_up: None,
    }
}

/// An attempt fails and is tried again after a second.
pub fn failed(id: &str) -> Moment {
    Moment::Ended {
        id: id.into(),
        function: "notify".into(),
        wire: "notify/paid".into(),
        attempt: 1,
        attempts_max: Some(4),
        ok: false,
        duration_ms: 12.0,
        init_ms: None,
        error: Some("exit 1: Timeout".into()),
        retry_at: Some(Timestamp::from_millis(2_402)),
        gave_up: None,
    }
}
