//! How fast a host is asked: as many requests at once as make it no slower, and no more a second than it takes.

use std::collections::{HashMap, VecDeque};

/// Requests under way when nothing is known of the host.
const FIRST: f64 = 2.0;
/// Of an answer without trouble, what is added to the requests at once: half as many again each time all have come back.
const GROWTH: f64 = 0.5;
/// The same beyond those among which it has refused one.
const GROWTH_BEYOND: f64 = 0.005;
/// Weight of a new latency in the smoothed one.
const SMOOTHING: f64 = 0.1;
/// Requests queue at the host where the smoothed latency is more than so many times the least there was.
const QUEUED: f64 = 2.0;
/// The rate after a refusal, as a part of the one that the host has kept up with.
const AFTER_REFUSAL: f64 = 0.98;
/// Seconds after which it has grown back to that rate; beyond, faster and faster, as the limit may have been lifted. CUBIC's
/// window (Ha, Rhee and Xu 2008), with a small step down since a refusal costs a round trip and the host's good will.
const GROWN_BACK: f64 = 20.0;
/// Seconds over which the rate that a host keeps up with is measured, at most.
const WINDOW: f64 = 5.0;
/// Where a refusal comes sooner than this after the one before, what was measured is how much the host takes at a stretch:
/// the rate is lowered by a part instead, and grows back sooner.
const SOON: f64 = 2.0;
const LOWERED: f64 = 0.5;
const GROWN_BACK_SOON: f64 = 4.0;
/// Seconds that a host is left alone after a refusal, where it doesn't say how long.
const PAUSE: f64 = 0.5;
/// Requests a second that are tried at least.
const LEAST_RATE: f64 = 0.2;

/// Decides when the next request may go. Times are seconds since the session began; rates are measured without the seconds
/// in which the host wanted to be left alone.
#[derive(Debug)]
pub(super) struct Pace {
    most: f64,
    at_once: f64,
    /// Requests at once that it has taken without a refusal.
    known: f64,
    limit: Option<Limit>,
    next: f64,
    paused_until: f64,
    paused: f64,
    refused_at: Option<f64>,
    answered: VecDeque<f64>,
    /// By the size of what was asked: smoothed, and the least that was.
    latencies: HashMap<u64, (f64, f64)>,
}

/// What a refusal has taught.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// Requests a second that the host kept up with.
    rate: f64,
    since: f64,
    grown_back: f64,
}

impl Limit {
    /// Requests a second.
    fn rate(self, now: f64) -> f64 {
        let left = 1.0 - (now - self.since) / self.grown_back;
        self.rate * (1.0 - (1.0 - AFTER_REFUSAL) * left.powi(3))
    }
}

impl Pace {
    /// With so many requests at once at most.
    pub(super) fn new(most: usize) -> Pace {
        let most = most as f64;
        Pace {
            most,
            at_once: FIRST.min(most),
            known: f64::INFINITY,
            limit: None,
            next: 0.0,
            paused_until: 0.0,
            paused: 0.0,
            refused_at: None,
            answered: VecDeque::new(),
            latencies: HashMap::new(),
        }
    }

    /// Requests that may be under way.
    pub(super) fn at_once(&self) -> usize {
        self.at_once as usize
    }

    /// Seconds until another request may go, besides so many under way; `None` where one of these has to come back first.
    pub(super) fn wait(&self, now: f64, under_way: usize) -> Option<f64> {
        (under_way < self.at_once()).then(|| (self.next.max(self.paused_until) - now).max(0.0))
    }

    /// A request has gone.
    pub(super) fn sent(&mut self, now: f64) {
        if let Some(limit) = self.limit {
            let interval = 1.0 / limit.rate(self.active(now));
            // One that went late is followed sooner, so that the rate holds; nothing more is made up for.
            self.next = (self.next + interval).max(now);
        }
    }

    /// An answer has come, to a request of that time. Requests of one size, such as the tokens they may write, take as long.
    pub(super) fn answered(&mut self, now: f64, sent: f64, size: u64) {
        let active = self.active(now);
        self.answered.push_back(active);
        while self.answered.front().is_some_and(|time| *time < active - WINDOW) {
            self.answered.pop_front();
        }
        let latency = now - sent;
        let (smoothed, least) = self.latencies.entry(size).or_insert((latency, latency));
        *smoothed += SMOOTHING * (latency - *smoothed);
        *least = least.min(*smoothed);
        if *smoothed <= QUEUED * *least {
            let growth = if self.at_once < self.known { GROWTH } else { GROWTH_BEYOND };
            self.at_once = (self.at_once + growth).min(self.most);
        }
    }

    /// The host refused a request of that time, and so many others are under way: too many at once or a second, or it is
    /// overloaded. It may say how long to leave it alone.
    pub(super) fn refused(&mut self, now: f64, sent: f64, under_way: usize, leave_alone: Option<f64>) {
        let active = self.active(now);
        let until = now + leave_alone.unwrap_or(0.0).max(PAUSE);
        self.paused += (until - self.paused_until.max(now)).max(0.0);
        self.paused_until = self.paused_until.max(until);
        // What went before the last refusal was heard says nothing new.
        if self.refused_at.is_some_and(|refused| sent <= refused) {
            return;
        }
        self.refused_at = Some(now);
        self.at_once = (under_way as f64).clamp(1.0, self.at_once);
        self.known = self.at_once;
        if self.limit.is_none() && self.answered.is_empty() {
            return;
        }
        let seconds = active.clamp(f64::EPSILON, WINDOW);
        let came = self.answered.iter().filter(|time| **time >= active - seconds).count();
        let measured = came as f64 / seconds;
        let (rate, grown_back) = match self.limit {
            Some(limit) if active - limit.since < SOON => (limit.rate(active) * LOWERED, GROWN_BACK_SOON),
            // What is measured is low too where little was asked.
            Some(limit) => (measured.max(limit.rate * LOWERED), GROWN_BACK),
            None => (measured * LOWERED, GROWN_BACK_SOON),
        };
        let rate = rate.max(LEAST_RATE);
        self.limit = Some(Limit { rate, since: active, grown_back });
        self.next = self.next.max(now + 1.0 / (rate * AFTER_REFUSAL));
    }

    /// Seconds of the session so far in which the host could be asked.
    fn active(&self, now: f64) -> f64 {
        now - self.paused + (self.paused_until - now).max(0.0)
    }

    /// No answer came in time, or the connection broke.
    pub(super) fn failed(&mut self) {
        self.at_once = (self.at_once / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: f64 = 0.05;
    const LIMIT: f64 = 20.0;

    /// How a host counts.
    #[derive(Debug, Clone, Copy)]
    enum Rule {
        /// So many in each second of the clock.
        Window,
        /// So many in the second before.
        Sliding,
        /// Tokens that come back one by one, a second's worth at most.
        Bucket,
        /// So many at once, however many a second.
        AtOnce(usize),
    }

    struct Host {
        rule: Rule,
        taken: Vec<f64>,
        tokens: f64,
        filled: f64,
    }

    impl Host {
        fn takes(&mut self, now: f64) -> bool {
            self.tokens = (self.tokens + (now - self.filled) * LIMIT).min(LIMIT);
            self.filled = now;
            let since = |from: f64| self.taken.iter().rev().take_while(|time| **time >= from).count();
            let takes = match self.rule {
                Rule::Window => since(now.floor()) < LIMIT as usize,
                Rule::Sliding => since(now - 1.0) < LIMIT as usize,
                Rule::Bucket => self.tokens >= 1.0,
                Rule::AtOnce(most) => since(now - LATENCY) < most,
            };
            if takes {
                self.taken.push(now);
                self.tokens -= 1.0;
            }
            takes
        }
    }

    /// Answers so many requests in a time that is made up; gives the seconds, the refusals and the most at once.
    fn run(rule: Rule, says_when: bool, requests: usize, latency: impl Fn(usize) -> f64) -> (f64, usize, usize) {
        let mut host = Host { rule, taken: vec![], tokens: LIMIT, filled: 0.0 };
        let mut pace = Pace::new(64);
        let (mut now, mut answers, mut refusals, mut most) = (0.0, 0, 0, 0);
        // When it comes back, when it went.
        let mut under_way: Vec<(f64, f64)> = vec![];
        let mut random: u64 = 42;
        while answers < requests {
            while pace.wait(now, under_way.len()) == Some(0.0) && answers + under_way.len() < requests {
                // Some take a little longer, and the host decides at the end.
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let late = (random >> 33) as f64 / (1u64 << 31) as f64 * 0.004;
                under_way.push((now + latency(under_way.len()) + late, now));
                pace.sent(now);
                most = most.max(under_way.len());
            }
            let back = under_way.iter().map(|(back, _)| *back).fold(f64::INFINITY, f64::min);
            let next =
                pace.wait(now, under_way.len()).filter(|wait| *wait > 0.0).map_or(back, |wait| (now + wait).min(back));
            // What sleeps wakes a little late.
            now = next + 0.000_3;
            let (came, left) = under_way.into_iter().partition(|(back, _)| *back <= now);
            under_way = left;
            for (back, sent) in came {
                if host.takes(back) {
                    pace.answered(now, sent, 0);
                    answers += 1;
                } else {
                    pace.refused(now, sent, under_way.len(), says_when.then_some(1.0));
                    refusals += 1;
                }
            }
        }
        (now, refusals, most)
    }

    #[test]
    fn a_limit_is_kept_to_within_a_tenth_with_few_refusals() {
        for rule in [Rule::Window, Rule::Sliding, Rule::Bucket] {
            for says_when in [false, true] {
                let (seconds, refusals, _) = run(rule, says_when, 1000, |_| LATENCY);
                let rate = 1000.0 / seconds;
                assert!(rate >= 0.9 * LIMIT, "{rule:?} {says_when}: {rate:.1} a second, {refusals} refusals");
                assert!(refusals <= 20, "{rule:?} {says_when}: {refusals} refusals, {rate:.1} a second");
            }
        }
    }

    #[test]
    fn a_host_that_takes_few_at_once_is_asked_as_fast_as_it_answers() {
        let (seconds, refusals, _) = run(Rule::AtOnce(3), false, 5000, |_| LATENCY);
        let best = 5000.0 * LATENCY / 3.0;
        assert!(seconds < 1.5 * best && refusals < 100, "{seconds:.1} s, at best {best:.1}; {refusals} refusals");
    }

    #[test]
    fn requests_at_once_grow_until_the_host_is_slower() {
        let fast = Rule::AtOnce(usize::MAX);
        assert_eq!(run(fast, false, 2000, |_| LATENCY).2, 64);
        // Four are answered at a time, and the others wait.
        let (_, _, most) = run(fast, false, 2000, |before| LATENCY * (1.0 + (before / 4) as f64));
        assert!((5..=16).contains(&most), "{most} at once");
    }

    #[test]
    fn long_answers_beside_short_ones_are_no_sign_of_a_queue() {
        let mut pace = Pace::new(64);
        (0..3).for_each(|_| pace.failed());
        for answer in 0..300 {
            let (size, latency) = if answer % 3 == 0 { (128, 3.0) } else { (8, 0.3) };
            pace.answered(f64::from(answer), f64::from(answer) - latency, size);
        }
        assert_eq!(pace.at_once(), 64);
    }

    #[test]
    fn what_went_before_a_refusal_was_heard_teaches_nothing() {
        let mut pace = Pace::new(64);
        (0..20).for_each(|answer| pace.answered(f64::from(answer) * 0.05, 0.0, 0));
        pace.refused(1.0, 0.9, 3, None);
        let rate = pace.limit.unwrap().rate;
        (0..20).for_each(|_| pace.refused(1.01, 0.95, 3, None));
        assert_eq!(pace.limit.unwrap().rate, rate);
    }

    #[test]
    fn trouble_halves_what_is_under_way_down_to_one() {
        let mut pace = Pace::new(64);
        (0..100).for_each(|answer| pace.answered(f64::from(answer), f64::from(answer) - 0.1, 0));
        assert_eq!(pace.at_once(), 52);
        (0..10).for_each(|_| pace.failed());
        assert_eq!(pace.at_once(), 1);
    }
}
