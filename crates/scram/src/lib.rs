//! SCRAM with SHA-256 and SHA-512 (RFC 5802, RFC 7677) of both sides: a client proves that it knows a password without saying
//! it, and the server that it has what was made of it. Pure: nonces and salts come from the caller, and so do the bytes.
//!
//! # How it is driven
//! * A server reads what a client says first ([`Opening::read`]), finds the [`Verifier`] of the user, or makes one up for a
//!   user that it does not know, and asks ([`Opening::challenge`]); what the client answers it judges by
//!   [`Challenge::judge`], in three hashes.
//! * A client begins by [`Client::new`]; the answer to the server's question ([`Client::question`]) needs [`Keys`], which
//!   take as long to derive as the server's iterations say; [`Proof::confirm`] says whether the server has proved itself.
//! * [`Verifier::create`] makes of a password what a server keeps.
//!
//! Channel binding is not offered: a client that insists on it is refused, one that would like it goes on without.
#![forbid(unsafe_code)]

mod client;
mod hash;
mod message;
mod prepared;
mod server;
mod verifier;

pub use client::{Client, Keys, Proof, Question};
pub use hash::Hash;
pub use message::{Fault, MESSAGE_BYTES_MAX};
pub use prepared::{Unprepared, prepare};
pub use server::{Challenge, Opening};
pub use verifier::{
    ITERATIONS, ITERATIONS_MAX, ITERATIONS_MIN, SALT_BYTES, SALT_BYTES_RANGE, Verifier, VerifierFault,
};
