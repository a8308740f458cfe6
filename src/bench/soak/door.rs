//! The way to the server that is soaked: which connections there are, whether it is just being killed and started
//! again, and so which errors a caller may see. All that goes wrong is counted here. What is asked is not known here.

use std::{
    collections::BTreeMap,
    error::Error as _,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tonic::{Code, Response, Status, transport::Channel};

/// A call that takes longer hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a caller waits before it asks again.
const PAUSE: Duration = Duration::from_millis(20);

/// So many different things that went wrong are told; all are counted.
const TOLD_MAX: usize = 20;

/// The way in.
#[derive(Debug)]
pub(super) struct Door {
    way: RwLock<Way>,
    next: AtomicUsize,
    excused: AtomicU64,
    done: Mutex<BTreeMap<&'static str, u64>>,
    wrong: Mutex<Wrongs>,
}

#[derive(Debug)]
struct Way {
    phase: Phase,
    channels: Vec<Channel>,
    /// Whether nothing new is to be begun.
    closing: bool,
}

/// What the server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves, having been started so many times.
    Serving(u32),
    /// It has been started so many times, and is killed and started again.
    Restarting(u32),
    /// It has ended, and nobody starts it again.
    Gone,
}

/// In which way something can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A call failed that must not, or the server did.
    Error,
    /// An answer contradicts an earlier one, or proves nothing.
    Answer,
    /// An export was refused.
    Export,
    /// What was acknowledged is not there, or what is there was never acknowledged.
    Record,
}

#[derive(Debug, Default)]
struct Wrongs {
    counts: BTreeMap<Kind, u64>,
    /// In words, and how often.
    told: Vec<(String, u64)>,
}

impl Door {
    /// To a server that was started for the first time.
    pub(super) fn new(channels: Vec<Channel>) -> Self {
        Self {
            way: RwLock::new(Way {
                phase: Phase::Serving(1),
                channels,
                closing: false,
            }),
            next: AtomicUsize::default(),
            excused: AtomicU64::default(),
            done: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// From now on the server is killed and started again. To be called before that.
    pub(super) fn begin_restart(&self) {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Serving(times) = way.phase {
            way.phase = Phase::Restarting(times);
        }
    }

    /// It serves again, at these connections.
    pub(super) fn end_restart(&self, channels: Vec<Channel>) {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        if let Phase::Restarting(times) = way.phase {
            way.phase = Phase::Serving(times + 1);
        }
        way.channels = channels;
    }

    /// The server has ended.
    pub(super) fn lose(&self) {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        way.phase = Phase::Gone;
        way.closing = true;
    }

    /// Nothing new is to be begun.
    pub(super) fn close(&self) {
        let mut way = self.way.write().unwrap_or_else(PoisonError::into_inner);
        way.closing = true;
    }

    /// Whether new calls may be begun.
    pub(super) fn is_open(&self) -> bool {
        let way = self.way.read().unwrap_or_else(PoisonError::into_inner);
        !way.closing
    }

    /// Waits for a caller's turn; whether it is to call.
    pub(super) async fn turn(&self, ticks: &mut Interval) -> bool {
        ticks.tick().await;
        self.is_open()
    }

    /// One of the connections, and what the server is doing; `None` when it has ended.
    pub(super) fn enter(&self) -> Option<(Phase, Channel)> {
        let way = self.way.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let channel = way.channels.get(turn.checked_rem(way.channels.len())?)?;
        (way.phase != Phase::Gone).then(|| (way.phase, channel.clone()))
    }

    /// Makes a call again and again until it is answered; `None` where it failed as no call may.
    pub(super) async fn call<T, F>(
        &self,
        what: &'static str,
        call: impl Fn(Channel) -> F + Send,
    ) -> Option<T>
    where
        F: Future<Output = Result<Response<T>, Status>> + Send,
    {
        loop {
            let (entered, channel) = self.enter()?;
            let status = match within_patience(call(channel)).await {
                Ok(answer) => {
                    self.count(what, 1);
                    return Some(answer.into_inner());
                }
                Err(status) => status,
            };
            if !self.excuses(entered, what, &status).await {
                return None;
            }
        }
    }

    /// Whether a call that was begun in this phase may be made again, and then only after a pause. Where it may not,
    /// that is wrong.
    pub(super) async fn excuses(
        &self,
        entered: Phase,
        what: &'static str,
        status: &Status,
    ) -> bool {
        let now = {
            let way = self.way.read().unwrap_or_else(PoisonError::into_inner);
            way.phase
        };
        if now == Phase::Gone {
            return false;
        }
        if !is_excused(entered, now, status) {
            let (code, message) = (status.code(), status.message());
            self.wrong(Kind::Error, format_args!("{what}: {code:?}: {message}"));
            return false;
        }
        self.excused.fetch_add(1, Ordering::Relaxed);
        sleep(PAUSE).await;
        true
    }

    /// Counts what was done.
    pub(super) fn count(&self, what: &'static str, times: u64) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        *done.entry(what).or_default() += times;
    }

    /// What was done, and how often.
    pub(super) fn done(&self) -> String {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let done = done.iter().map(|(what, times)| format!("{times} {what}"));
        done.collect::<Vec<_>>().join(", ")
    }

    /// How often this was done.
    pub(super) fn done_of(&self, what: &str) -> u64 {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.get(what).copied().unwrap_or_default()
    }

    /// How many calls met the restart.
    pub(super) fn excused(&self) -> u64 {
        self.excused.load(Ordering::Relaxed)
    }

    /// Takes down what went wrong.
    pub(super) fn wrong(&self, kind: Kind, what: impl fmt::Display) {
        let what = what.to_string();
        let mut wrong = self.wrongs();
        *wrong.counts.entry(kind).or_default() += 1;
        if let Some((_, times)) = wrong.told.iter_mut().find(|(told, _)| *told == what) {
            *times += 1;
        } else if wrong.told.len() < TOLD_MAX {
            wrong.told.push((what, 1));
        }
    }

    /// How often something went wrong in this way.
    pub(super) fn times(&self, kind: Kind) -> u64 {
        self.wrongs().counts.get(&kind).copied().unwrap_or_default()
    }

    /// What went wrong, in the order in which it first did.
    pub(super) fn told(&self) -> Vec<String> {
        let wrongs = self.wrongs();
        let told = wrongs.told.iter();
        told.map(|(what, times)| match times {
            1 => what.clone(),
            times => format!("{what} ({times} times)"),
        })
        .collect()
    }

    fn wrongs(&self) -> MutexGuard<'_, Wrongs> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns at this distance; whoever is late has them later.
pub(super) fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The answer, if it comes before it is clear that none will.
pub(super) async fn within_patience<T>(
    answer: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let waited = timeout(PATIENCE, answer).await;
    waited.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer came")))
}

/// Whether a call may end so: the server was not there all the time, and the caller is told so. A connection that
/// breaks tells nothing; for it, the caller's own library makes the status, and its cause.
fn is_excused(entered: Phase, now: Phase, status: &Status) -> bool {
    let was_there = entered == now && matches!(now, Phase::Serving(_));
    let is_told = status.code() == Code::Unavailable || status.source().is_some();
    !was_there && is_told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_the_server_is_away_is_excused_and_only_around_the_restart() {
        let (first, restarting, second) =
            (Phase::Serving(1), Phase::Restarting(1), Phase::Serving(2));
        let broken = || Status::from_error(Box::new(std::io::Error::other("broken pipe")));
        for (entered, now, status, excused) in [
            (first, restarting, Status::unavailable(""), true),
            (restarting, restarting, Status::unavailable(""), true),
            (restarting, second, Status::unavailable(""), true),
            (first, second, Status::unavailable(""), true),
            (first, restarting, broken(), true),
            (first, first, Status::unavailable(""), false),
            (second, second, Status::unavailable(""), false),
            (second, second, broken(), false),
            (first, restarting, Status::internal(""), false),
            (restarting, second, Status::not_found(""), false),
            (restarting, restarting, Status::deadline_exceeded(""), false),
            (restarting, restarting, Status::unknown(""), false),
        ] {
            assert_eq!(
                is_excused(entered, now, &status),
                excused,
                "{entered:?}, {now:?}, {status:?}"
            );
        }
    }

    #[test]
    fn what_goes_wrong_is_counted_to_the_last_and_told_once() {
        let door = Door::new(Vec::new());
        for _ in 0..3 {
            door.wrong(Kind::Export, "refused");
        }
        for number in 0..100 {
            door.wrong(Kind::Answer, number);
        }
        assert_eq!(door.times(Kind::Answer), 100);
        assert_eq!(door.times(Kind::Export), 3);
        assert_eq!(door.times(Kind::Error), 0);
        let told = door.told();
        assert_eq!(told.len(), TOLD_MAX);
        assert_eq!(&told[..2], ["refused (3 times)", "0"]);
    }
}
