//! Basic authentication (RFC 7617) with bcrypt: off the thread that answers, one at a time, and with the same work for a
//! user that is not known as for one that is.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;

use crate::pool::{Pool, PoolError};
use crate::sync::locked;

/// The most passwords that wait to be checked: more are refused, for each takes a good part of a second.
const MOST_WAITING: usize = 16;

/// How many passwords that were right are remembered.
const REMEMBERED: usize = 100;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthOutcome {
    /// A user, with the right password.
    Known,
    /// Anything else.
    Unknown,
    /// Too many requests at the same time.
    Busy,
}

/// Checks passwords.
pub(super) struct Passwords {
    pool: Pool,
    waiting: AtomicUsize,
    /// Keyed hashes of user, hash and password that were right; the latest last. Wrong ones are not remembered, or a
    /// client without a password could evict the right ones.
    right: Mutex<VecDeque<u128>>,
    keys: (RandomState, RandomState),
}

impl Passwords {
    pub(super) fn start() -> Result<Passwords, PoolError> {
        Ok(Passwords {
            pool: Pool::start("password", 1)?,
            waiting: AtomicUsize::new(0),
            right: Mutex::default(),
            keys: (RandomState::new(), RandomState::new()),
        })
    }

    /// Judges the value of the header `Authorization`.
    pub(super) async fn judge(&self, users: &BTreeMap<String, String>, header: Option<&HeaderValue>) -> AuthOutcome {
        let Some((user, password)) = header.and_then(credentials) else { return AuthOutcome::Unknown };
        let stored = users.get(&user);
        let hash = stored.cloned().unwrap_or_else(|| nobodys_hash(users));
        let key = self.key(&user, &hash, &password);
        if stored.is_some() && self.remembers(key) {
            return AuthOutcome::Known;
        }
        let Some(place) = self.place() else { return AuthOutcome::Busy };
        let checked = self.pool.run(move || bcrypt::verify(&password, &hash).unwrap_or(false)).await;
        drop(place);
        if stored.is_none() || checked != Some(true) {
            return AuthOutcome::Unknown;
        }
        self.remember(key);
        AuthOutcome::Known
    }

    fn key(&self, user: &str, hash: &str, password: &[u8]) -> u128 {
        let whole = (user, hash, password);
        u128::from(self.keys.0.hash_one(whole)) << 64 | u128::from(self.keys.1.hash_one(whole))
    }

    fn remembers(&self, key: u128) -> bool {
        locked(&self.right).contains(&key)
    }

    fn remember(&self, key: u128) {
        let mut right = locked(&self.right);
        right.retain(|other| *other != key);
        if right.len() == REMEMBERED {
            right.pop_front();
        }
        right.push_back(key);
    }

    fn place(&self) -> Option<QueuePlace<'_>> {
        let place = QueuePlace(&self.waiting);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < MOST_WAITING).then_some(place)
    }
}

/// A place in the queue; given back when dropped.
struct QueuePlace<'a>(&'a AtomicUsize);

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// User and password of `Basic BASE64(USER:PASSWORD)`.
fn credentials(header: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(decoded[..colon].to_vec()).ok()?;
    Some((user, decoded[colon + 1..].to_vec()))
}

/// A hash that no password has, and that takes as long to check as that of most users.
fn nobodys_hash(users: &BTreeMap<String, String>) -> String {
    let mut costs: Vec<&str> = users.values().filter_map(|hash| hash.get(4..6)).collect();
    costs.sort_unstable();
    let usual = costs.get(costs.len() / 2).copied().unwrap_or("10");
    format!("$2y${usual}${}", ".".repeat(53))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> HeaderValue {
        HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(text))).unwrap()
    }

    #[tokio::test]
    async fn a_user_needs_the_right_password_and_nobody_else_gets_in() {
        let users = BTreeMap::from([("ann".to_owned(), bcrypt::hash("right", 4).unwrap())]);
        let passwords = Passwords::start().unwrap();
        for (given, expected) in [
            ("ann:right", AuthOutcome::Known),
            ("ann:right", AuthOutcome::Known),
            ("ann:wrong", AuthOutcome::Unknown),
            ("ann:", AuthOutcome::Unknown),
            ("bob:right", AuthOutcome::Unknown),
            (":", AuthOutcome::Unknown),
            ("ann", AuthOutcome::Unknown),
            ("ann:right\0", AuthOutcome::Unknown),
        ] {
            assert_eq!(passwords.judge(&users, Some(&header(given))).await, expected, "{given:?}");
        }
        for given in ["Bearer x", "Basic", "Basic %%%", "basic"] {
            assert_eq!(passwords.judge(&users, Some(&HeaderValue::from_static(given))).await, AuthOutcome::Unknown);
        }
        assert_eq!(passwords.judge(&users, None).await, AuthOutcome::Unknown);
        let changed = BTreeMap::from([("ann".to_owned(), bcrypt::hash("new", 4).unwrap())]);
        assert_eq!(passwords.judge(&changed, Some(&header("ann:right"))).await, AuthOutcome::Unknown);
    }

    #[test]
    fn a_user_that_is_not_known_costs_as_much_as_one_that_is() {
        let hash = |cost: &str| format!("$2y${cost}${}", ".".repeat(53));
        let users =
            BTreeMap::from([("a".to_owned(), hash("12")), ("b".to_owned(), hash("12")), ("c".to_owned(), hash("04"))]);
        assert_eq!(nobodys_hash(&users), hash("12"));
        assert!(!bcrypt::verify("x", &hash("04")).unwrap(), "a hash that can be checked");
    }

    #[tokio::test]
    async fn only_so_many_passwords_wait() {
        let passwords = Passwords::start().unwrap();
        let users = BTreeMap::from([("ann".to_owned(), bcrypt::hash("right", 4).unwrap())]);
        let right = header("ann:right");
        assert_eq!(passwords.judge(&users, Some(&right)).await, AuthOutcome::Known);
        let places: Vec<_> = (0..MOST_WAITING).map(|_| passwords.place().unwrap()).collect();
        assert_eq!(passwords.judge(&users, Some(&header("ann:wrong"))).await, AuthOutcome::Busy);
        assert_eq!(passwords.judge(&users, Some(&right)).await, AuthOutcome::Known, "who was in is still let in");
        drop(places);
        assert_eq!(passwords.judge(&users, Some(&header("ann:wrong"))).await, AuthOutcome::Unknown);
    }
}
