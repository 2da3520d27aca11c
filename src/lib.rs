//! dropwire: drop a file in a folder, and your Lambda-style function gets the S3 event that AWS would have sent.
//!
//! This page is the map. Five nouns carry the whole story, and mean the same thing everywhere:
//!
//! ```text
//!     source ──▶ event ──▶ wire ──▶ delivery ──▶ target
//!     a folder,   what AWS   who wants   one event    a function
//!     a table,    would say  which event on its way
//!     a topic     happened   and how     to one target
//! ```
//!
//! # One dropped file, module by module
//!
//! 1. [`cli`] reads the command line; [`config`] reads the wiring, with all complaints at once; [`app`] holds the
//!    [`state`] folder, opens the [`store`] and starts every part.
//! 2. Somebody drops `cat.jpg`. [`source::s3`] is woken by the kernel, looks at the path, compares what it finds
//!    with its index, and describes the change as S3 would: an [`event`].
//! 3. The event goes through the [`source::Outlet`] into the [`delivery::queue`]: one transaction stores the event,
//!    a delivery for every [`wire`] that wants it, and the folder's index row. From here a crash loses nothing, and
//!    looking again repeats nothing.
//! 4. The [`delivery::dispatcher`] takes the delivery and asks its target, a [`function`], to attempt it: the child
//!    process that waits for its next event gets it over the Lambda Runtime API.
//! 5. The [`delivery::policy`] says what the outcome means: delivered, tried again at some time, given up. That is
//!    written down, shared with other commits, together with what its [`delivery::destination`]s are told.
//! 6. Whoever watches reads the [`timeline`], live, or [`history`], afterwards; [`control`] serves both.
//!
//! # Modules in reading order
//!
//! | | |
//! |---|---|
//! | values | [`clock`] [`random`] [`arn`] [`glob`] [`identity`] [`event`] [`wire`] [`timeline`] |
//! | the engine | [`store`] [`delivery`] [`function`] |
//! | AWS's side | [`aws`]: protocols; [`lambda`]: what is made and invoked by calls; [`server`]: the one port |
//! | sources | [`source`]: [`source::s3`] with the S3 API, [`source::dynamodb`], [`source::sns`] |
//! | the faces | [`config`] [`edits`] [`control`] [`history`] [`cli`] |
//! | together | [`state`] [`housekeeping`] [`app`] |
//!
//! # Invariants
//!
//! - Sources do not know that functions exist, and no source knows another.
//! - Only [`clock`] asks the time, and only its `real` part knows the machine's own.
//! - Only [`delivery::queue`] writes deliveries.
//! - An event is committed before anyone hears of it, and on the disk before its source is answered; but what happens
//!   to files is only committed then, since their contents are on no disk either.
//! - A target is tried once an attempt; retrying is policy, and policies are pure functions.
//! - `why` prints what [`wire::explain`] said and what the policy did; it has no rules of its own.
//! - What is claimed when the process dies is waiting when it comes back, with the same ids and attempt count.

pub mod app;
pub mod arn;
pub mod aws;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod delivery;
pub mod edits;
pub mod event;
pub mod function;
pub mod glob;
pub mod history;
pub mod housekeeping;
pub mod identity;
pub mod lambda;
pub mod random;
pub mod server;
pub mod source;
pub mod state;
pub mod store;
pub mod timeline;
pub mod wire;
