//! The room `[[listener]]`: one table for each address on which clients may connect. Not the sockets.

use super::LISTENER;
use super::address::Address;
use super::authentication::Method;
use super::room::room;
use super::setting::Auto;
use super::store::Durability;

room! {
    /// An address on which clients may connect. The table may be repeated, once for each address; without
    /// any, the broker listens on localhost only.
    ///
    /// A listener that other machines can reach and that asks nobody for a password does not start.
    pub struct Listener(LISTENER) {
        /// The name of the listener in logs and messages. Without one its address serves. Two listeners
        /// cannot have the same.
        name: Option<String> = None, example("house");

        /// An IP address and a port. `0.0.0.0` is every IPv4 address of the machine, `[::]` every address,
        /// `localhost` both loopback addresses (the one that the machine does not have is left out). Port 0
        /// lets the system choose one. The flag can be repeated and replaces all listeners of the file and of
        /// the environment.
        address: Address = Address::Localhost { port: 1883 }, flag("listen");

        /// Whether `[::]` takes IPv6 connections only. If not, it takes IPv4 connections too. It changes
        /// nothing for any other address.
        ipv6_only: bool = false;

        /// Connections at once on this listener. `auto` is as many as limits.connections_max allows for all
        /// listeners together.
        connections_max: Auto<u32> = Auto::Auto, within(1, 10_000_000), unit("connections");

        /// Who may connect here: `anonymous` is everybody, `password_file` only who is in
        /// authentication.password_file. `auto` is what authentication.method says.
        authentication: Auto<Method> = Auto::Auto;

        /// How sure what is promised to clients of this listener has to be: `memory`, `process` or `power`. `auto` is what
        /// store.durability says.
        durability: Auto<Durability> = Auto::Auto;

        /// Lets a listener start that other machines can reach and that asks nobody for a password. Everybody
        /// who reaches the address can then read and write every topic. The flag sets it for every listener.
        danger_allow_anonymous_on_network: bool = false, flag("danger-allow-anonymous-on-network");
    }
}

impl Listener {
    /// A listener on this address with everything else at its default.
    pub fn on(address: Address) -> Self {
        Self { address, ..Self::default() }
    }

    /// What logs and messages call it: its name, else its address.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.address.to_string())
    }
}
