//! What a message means for everyone: routing and retained messages. No socket, no clock, no disk.

pub mod retained;
pub mod routing;
