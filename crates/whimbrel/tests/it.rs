//! The program as its users meet it: what it prints, where, and with which exit code. Not what the broker
//! does.

#[cfg(test)]
mod it {
    mod acl;
    mod bench;
    mod command_line;
    mod config;
    mod ctl;
    mod passwd;
    mod program;
    mod serve;
    mod store;
    mod tools;
}
