//! People's stories, through the whole of dropwire: real HTTP, real processes, real files.

mod simulator;

mod delivering;
