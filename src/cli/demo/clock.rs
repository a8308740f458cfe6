//! The demonstration's clock: it shows the times of the history while that is played, and then the real
//! ones.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};

use crate::clock::{Clock, SettableClock, SystemClock};

#[derive(Debug)]
pub(super) struct DemoClock {
    history: SettableClock,
    is_over: AtomicBool,
}

impl DemoClock {
    /// A clock in the history, at this time.
    pub(super) fn at(start: DateTime<Utc>) -> Self {
        Self {
            history: SettableClock::new(start),
            is_over: AtomicBool::new(false),
        }
    }

    /// Goes on to another time of the history.
    pub(super) fn set(&self, now: DateTime<Utc>) {
        self.history.set(now);
    }

    /// The history is over: from here on it is now.
    pub(super) fn go_on(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

impl Clock for DemoClock {
    fn now(&self) -> DateTime<Utc> {
        if self.is_over.load(Ordering::SeqCst) {
            SystemClock.now()
        } else {
            self.history.now()
        }
    }
}
