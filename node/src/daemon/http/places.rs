//! Places for connections: so many at a time, and so many of them for one address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
};

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    #[error("this node has as many clients' connections as it can have ({0}); use another node")]
    All(usize),
    #[error("this address has as many connections as it may have ({0}); end some of them")]
    Address(usize),
}

/// Places for connections. Those by a Unix socket have no address.
pub(super) struct Places {
    most: usize,
    most_per_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: BTreeMap<IpAddr, usize>,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    ip: Option<IpAddr>,
}

impl Places {
    pub(super) fn new(most: usize, most_per_address: usize) -> Self {
        Self { most, most_per_address, taken: Mutex::default() }
    }

    pub(super) fn take(self: &Arc<Self>, address: Option<SocketAddr>) -> Result<Place, Full> {
        let ip = address.map(|address| address.ip().to_canonical());
        let mut taken = self.taken();
        if taken.all >= self.most {
            return Err(Full::All(self.most));
        }
        if let Some(ip) = ip {
            let of_it = taken.by_address.entry(ip).or_default();
            if *of_it >= self.most_per_address {
                return Err(Full::Address(self.most_per_address));
            }
            *of_it += 1;
        }
        taken.all += 1;
        Ok(Place { places: self.clone(), ip })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().expect("nothing panics while it holds the places")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        let Some(ip) = self.ip else { return };
        if let Some(of_it) = taken.by_address.get_mut(&ip) {
            *of_it -= 1;
            if *of_it == 0 {
                taken.by_address.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_back() {
        let places = Arc::new(Places::new(3, 2));
        let at = |ip: &str| Some(SocketAddr::new(ip.parse().unwrap(), 1));
        let first = places.take(at("192.0.2.1")).ok().unwrap();
        let second = places.take(at("::ffff:192.0.2.1")).ok().unwrap();
        assert_eq!(places.take(at("192.0.2.1")).err(), Some(Full::Address(2)), "the same by IPv6");
        let third = places.take(None).ok().unwrap();
        assert_eq!(places.take(at("192.0.2.2")).err(), Some(Full::All(3)));
        drop(first);
        let again = places.take(at("192.0.2.1"));
        assert!(again.is_ok());
        drop((second, third, again));
        assert!(places.taken().by_address.is_empty() && places.taken().all == 0);
    }
}
