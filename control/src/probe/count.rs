//! What became of numbered frames. No I/O, no clock.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

/// A frame that is not heard of for so long is lost. Frames take microseconds; a busy processor may keep some back.
pub(super) const OVERDUE: Duration = Duration::from_secs(1);

/// Numbers from here on are nobody's: a thousand frames a second take a day to get there.
const MOST: u64 = 1 << 27;

/// Between two moments that are remembered.
const GRAIN: Duration = Duration::from_millis(10);

/// Frames so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Frames sent.
    pub sent: u64,
    /// Frames of them that came out, each counted once.
    pub received: u64,
    /// Frames that did not and will not come out.
    pub lost: u64,
    /// Frames that came out once more than they should.
    pub twice: u64,
    /// The longest time in which no frame came out, in microseconds, without the time in which none was sent.
    pub longest_gap_us: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// A bit for each number that came.
    came: Vec<u64>,
    /// Numbers below this came or are lost.
    judged: u64,
    count: Count,
    longest_gap: Duration,
    /// Time and pauses of the newest arrival.
    last: Option<(Duration, Duration)>,
    /// How many had been sent at some moments, oldest first, at most a second back.
    moments: VecDeque<(Duration, u64)>,
}

impl Tally {
    /// A frame came, at this time of any clock; until it was sent, the sender had paused for so long in all.
    pub(super) fn arrive(&mut self, number: u64, at: Duration, paused: Duration) {
        if number >= MOST {
            return;
        }
        // Below MOST.
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.came.len() <= word {
            self.came.resize(word + 1, 0);
        }
        if self.came[word] & bit != 0 {
            self.count.twice += 1;
            return;
        }
        self.came[word] |= bit;
        self.count.received += 1;
        if number < self.judged {
            // It was only late.
            self.count.lost = self.count.lost.saturating_sub(1);
        }
        let (last, before) = self.last.unwrap_or((at, paused));
        let gap = at
            .saturating_sub(last)
            .saturating_sub(paused.saturating_sub(before));
        self.longest_gap = self.longest_gap.max(gap);
        self.last = Some((at.max(last), paused.max(before)));
    }

    /// So many were sent by now, and all of them that have come were told.
    pub(super) fn look(&mut self, now: Duration, sent: u64) {
        while let Some((at, sent)) = self.moments.front().copied()
            && now.saturating_sub(at) >= OVERDUE
        {
            self.moments.pop_front();
            self.judge(sent);
        }
        let newest = self.moments.back().map(|(at, _)| *at);
        if newest.is_none_or(|newest| now.saturating_sub(newest) >= GRAIN) {
            self.moments.push_back((now, sent));
        }
    }

    /// Whoever of the numbers below this has not come is lost.
    fn judge(&mut self, below: u64) {
        for number in self.judged..below.min(MOST) {
            let word = self.came.get((number / 64) as usize).copied();
            if word.unwrap_or(0) & (1 << (number % 64)) == 0 {
                self.count.lost += 1;
            }
        }
        self.judged = self.judged.max(below.min(MOST));
    }

    /// All but how many were sent.
    pub(super) fn count(&self) -> Count {
        let gap = self.longest_gap.as_micros();
        Count {
            longest_gap_us: u64::try_from(gap).unwrap_or(u64::MAX),
            ..self.count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Frames came, a millisecond after each other.
    fn with(numbers: &[u64]) -> Tally {
        let mut tally = Tally::default();
        for (at, number) in numbers.iter().enumerate() {
            tally.arrive(*number, ms(at as u64), ms(0));
        }
        tally
    }

    /// After all that can be waited for.
    fn end(mut tally: Tally, sent: u64) -> Count {
        tally.look(ms(0), sent);
        tally.look(OVERDUE, sent);
        tally.count()
    }

    #[test]
    fn order_does_not_matter() {
        let count = end(with(&[3, 0, 2, 1, 4]), 5);
        assert_eq!((count.received, count.lost, count.twice), (5, 0, 0));
    }

    #[test]
    fn one_that_comes_twice_replaces_none() {
        let count = end(with(&[0, 1, 1, 3]), 4);
        assert_eq!((count.received, count.lost, count.twice), (3, 1, 1));
    }

    #[test]
    fn nothing_is_lost_before_it_is_overdue_and_nothing_that_comes_late() {
        let mut tally = with(&[0, 2]);
        tally.look(ms(0), 3);
        tally.look(OVERDUE - ms(1), 10);
        assert_eq!(tally.count().lost, 0);
        tally.look(OVERDUE, 10);
        assert_eq!(
            tally.count().lost,
            1,
            "what was sent later is still under way"
        );
        tally.arrive(1, ms(3), ms(0));
        assert_eq!(tally.count().lost, 0);
        tally.arrive(1, ms(3), ms(0));
        assert_eq!((tally.count().lost, tally.count().twice), (0, 1));
    }

    #[test]
    fn when_nothing_comes_any_more_all_of_it_is_lost() {
        assert_eq!(end(with(&[0, 1]), 1_000).lost, 998);
        assert_eq!(end(with(&[]), 7).lost, 7);
    }

    #[test]
    fn a_gap_is_not_what_the_sender_paused() {
        let mut tally = Tally::default();
        for (number, at, paused) in [(0, 0, 0), (1, 1, 0), (5, 6, 0), (6, 57, 50), (4, 57, 50)] {
            tally.arrive(number, ms(at), ms(paused));
        }
        assert_eq!(tally.count().longest_gap_us, 5_000);
        tally.arrive(7, ms(67), ms(50));
        assert_eq!(tally.count().longest_gap_us, 10_000);
    }

    #[test]
    fn numbers_of_nobody_take_no_memory() {
        let mut tally = with(&[0]);
        tally.arrive(u64::MAX, ms(1), ms(0));
        assert_eq!(tally.came.len(), 1);
        assert_eq!(tally.count().received, 1);
    }

    proptest! {
        /// Whatever comes in whatever order: each frame is received or lost, and what is too much came twice.
        #[test]
        fn everything_is_counted_once(came in prop::collection::vec(0..200u64, 0..400), sent in 200..300u64) {
            let count = end(with(&came), sent);
            let different: std::collections::BTreeSet<_> = came.iter().collect();
            prop_assert_eq!(count.received, different.len() as u64);
            prop_assert_eq!(count.twice, (came.len() - different.len()) as u64);
            prop_assert_eq!(count.received + count.lost, sent);
        }
    }
}
