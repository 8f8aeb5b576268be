//! The room `[guard]`: what a flood of wrong passwords meets. Not the counting.

use whimbrel_net::Network;

use super::key::Reload;
use super::room::room;

room! {
    /// What somebody meets who tries passwords, or comes and falls over and over. Three budgets of wrong ones are counted: of a user name at an address, of
    /// an address, and of a user name wherever it is tried. Each comes back one by one. A login that finds one empty is
    /// refused without a look at its password, in the same words and as late as any wrong one. IPv6 addresses count by
    /// their first 64 bits. docs/guard.md says who can keep whom out, and who cannot.
    pub struct Guard("guard") {
        /// Wrong passwords of one user name from one address. At 0 they are not counted.
        tries_user_at_address: u32 = 20, within(0, 1_000_000), unit("passwords"), reload(Reload::Live);

        /// After so long one of them is forgiven.
        tries_user_at_address_secs: u32 = 60, within(1, 86_400), unit("seconds"), reload(Reload::Live);

        /// Wrong passwords from one address, whatever the user names. Who has come in lately from there is heard all the
        /// same. At 0 they are not counted.
        tries_address: u32 = 100, within(0, 1_000_000), unit("passwords"), reload(Reload::Live);

        /// After so long one of them is forgiven.
        tries_address_secs: u32 = 10, within(1, 86_400), unit("seconds"), reload(Reload::Live);

        /// Wrong passwords of one user name from all addresses from which it has not come in lately; addresses from which
        /// it has are heard all the same. At 0 they are not counted.
        tries_user: u32 = 200, within(0, 1_000_000), unit("passwords"), reload(Reload::Live);

        /// After so long one of them is forgiven: so often somebody from a new address is heard while others guess.
        tries_user_secs: u32 = 6, within(1, 86_400), unit("seconds"), reload(Reload::Live);

        /// How long it is remembered from which address a user has come in. At 0 it is not.
        known_secs: u32 = 2_592_000, within(0, 31_536_000), unit("seconds"), reload(Reload::Live);

        /// Addresses behind each of which many clients stand, such as a proxy that does not say whose connections it
        /// passes on, or the address that all phones of a company have outside: what is tried from there does not count
        /// for all of them (tries_address).
        shared_addresses: Vec<Network> = Vec::new(), example("10.0.0.0/8"), reload(Reload::Live);

        /// How long after its CONNECT a client is told that its password is wrong: longer than a look at the password
        /// takes, so that nobody learns whether it was looked at.
        refusal_millis: u32 = 1_000, within(0, 30_000), unit("milliseconds"), reload(Reload::Live);

        /// Connections that a client may lose within falls_window_secs, each by a break, a violation, silence or another
        /// connection with its client identifier; who announces the end, or is sent away by an administrator, loses none.
        /// A client that has lost so many is held off (0x9F; 3 in MQTT 3.1.1). It is the client identifier of its user that
        /// is held off; where nobody proves a name, that of its address. At 0 nobody is: what is too often
        /// only the operator of a fleet knows; 60 is a device in a loop.
        falls: u32 = 0, within(0, 1_000_000), unit("connections"), reload(Reload::Live);

        /// The time for that.
        falls_window_secs: u32 = 60, within(1, 86_400), unit("seconds"), reload(Reload::Live);

        /// How long a client is held off then.
        hold_secs: u32 = 60, within(1, 604_800), unit("seconds"), reload(Reload::Live);

        /// Bans by `whimbrel ctl ban add`. Each costs some hundred bytes, and each of a network a comparison at every
        /// CONNECT.
        bans_max: u32 = 10_000, within(1, 1_000_000), unit("bans");

        /// Users at addresses that are remembered for their wrong passwords; and as many addresses, as many users, and as
        /// many addresses from which a user has come in. Each costs 16 bytes, once the first of its kind is there. If they
        /// do not suffice, strangers are held to be worse than they are, and nobody better.
        entries_max: u32 = 65_536, within(8, 16_777_216), unit("entries");
    }
}
