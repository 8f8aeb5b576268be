//! The room `[authentication]`: who may connect, and what checking it may cost. Not the check.

use std::path::PathBuf;

use super::key::Reload;
use super::room::room;
use super::setting::{Auto, Choice};

room! {
    /// Who may connect, and what it may cost to find out.
    pub struct Authentication("authentication") {
        /// What a listener does that does not say it itself: `anonymous` lets everybody in, `password_file`
        /// only who is in the password file. `auto` is `password_file` if there is one, else `anonymous`.
        method: Auto<Method> = Auto::Auto;

        /// The file with the names and the hashed passwords. `whimbrel passwd` writes it; files of Mosquitto
        /// are read as they are. SIGHUP takes changes of its content in: who is connected stays, and a file with
        /// faults changes nothing. In the configuration file a relative path counts from the folder of that
        /// file.
        password_file: Option<PathBuf> = None, flag("password-file"), example("passwords"),
            reload(Reload::Reread);

        /// Passwords that are verified at the same time. Each occupies a thread for tens of milliseconds and,
        /// with argon2id, the memory that its line of the password file names (19 MiB for lines of `whimbrel
        /// passwd`). `auto` is half of the cores, at least one.
        verifications_at_once_max: Auto<u16> = Auto::Auto, within(1, 1_024), unit("verifications");

        /// Passwords that wait to be verified. Clients beyond are told that the server is busy. Each costs a
        /// few hundred bytes, and up to 64 KiB of what the client has sent behind its CONNECT.
        verifications_waiting_max: u32 = 1_000, within(1, 1_000_000), unit("verifications");

        /// Verified passwords that are remembered as keyed hashes, so that a fleet that comes back costs
        /// microseconds for each client. Each costs about 150 bytes. At 0 every connect is verified.
        remembered_max: u32 = 100_000, within(0, 10_000_000), unit("passwords");

        /// How long a verified password is remembered. Longer lets a fleet that was connected for days come
        /// back at once; shorter leaves less in memory for somebody who can read it.
        remembered_secs_max: u32 = 604_800, within(1, 31_536_000), unit("seconds");
    }
}

/// How a listener finds out who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Everybody may connect; names and passwords are not looked at.
    Anonymous,
    /// Only a name with its password as the password file has them.
    PasswordFile,
}

impl Choice for Method {
    const WORDS: &'static [&'static str] = &["anonymous", "password_file"];
    const VALUES: &'static [Self] = &[Self::Anonymous, Self::PasswordFile];
}

impl Authentication {
    /// What a listener does that does not say it itself.
    pub fn method(&self) -> Method {
        self.method.or_else(|| match self.password_file {
            Some(_) => Method::PasswordFile,
            None => Method::Anonymous,
        })
    }
}
