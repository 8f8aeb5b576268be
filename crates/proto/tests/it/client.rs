//! The client's machine, statement by statement. The names say which: `v5_` and `v311_` with the section and number.

mod acks;
mod auth;
mod connect;
mod disconnect;
mod keep_alive;
mod limits;
mod publish_in;
mod publish_out;
mod resume;
mod subscribe;
