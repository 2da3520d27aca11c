//! People's stories, through the whole of dropwire: real HTTP, real processes, real files; and the house rules.

mod program;
mod simulator;

mod bad_calls;
mod clients;
mod debuggers;
mod delivering;
mod destinations;
mod examples;
mod folders;
mod functions;
mod guarded;
mod kept;
mod lambda_api;
mod processes;
mod readme;
mod s3_api;
mod s3_kept;
mod s3_wire;
mod statements;
mod tables;
mod tidy;
mod wirings;
