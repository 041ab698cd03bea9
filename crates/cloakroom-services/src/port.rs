//! Ports that a server can be killed on and started on again.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Failure;

/// Below the range from which the system takes the local ports of outgoing connections (32768 and up on Linux). A port inside
/// that range can be taken by a client while its server is down, and a client that keeps trying to reach it may even
/// connect to itself.
const LOWEST: u16 = 10_000;
const COUNT: u16 = 11_000;

/// A Redis cluster node also listens on its port plus this.
const CLUSTER_BUS: u16 = 10_000;

/// Ports that this program has handed out: a server that is down for the moment still owns its own.
static RESERVED: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port of 127.0.0.1 that nobody listens on, reserved in this program until it ends. For a second port of a server, such as
/// `--tls-port`.
///
/// # Errors
///
/// If there is none.
pub fn free_port() -> Result<u16, crate::Error> {
    Ok(pick("free port")?)
}

/// A port that belongs to one server of this program for as long as this lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
}

impl Port {
    pub(crate) fn reserve(service: &'static str) -> Result<Self, Failure> {
        Ok(Self {
            number: pick(service)?,
        })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        lock().remove(&self.number);
    }
}

/// Starts at a random place, so that test programs that run side by side do not meet at each port.
fn pick(service: &'static str) -> Result<u16, Failure> {
    let start = RandomState::new().hash_one(std::process::id()) % u64::from(COUNT);
    for step in 0..u64::from(COUNT) {
        let offset = (start + step) % u64::from(COUNT);
        let number = LOWEST + u16::try_from(offset).unwrap_or_default();
        if is_free(number) && is_free(number + CLUSTER_BUS) && lock().insert(number) {
            return Ok(number);
        }
    }
    Err(Failure::new(service, "no free port on 127.0.0.1"))
}

fn lock() -> MutexGuard<'static, BTreeSet<u16>> {
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once_while_it_is_held() {
        let ports: Vec<Port> = (0..200).map(|_| Port::reserve("test").unwrap()).collect();
        let distinct: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(distinct.len(), ports.len());
        assert!(distinct.iter().all(|port| *port < 32_768 - CLUSTER_BUS));
    }

    #[test]
    fn a_number_that_was_given_away_stays_reserved() {
        let number = free_port().unwrap();
        assert!(lock().contains(&number));
    }
}
