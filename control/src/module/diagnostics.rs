//! Self-test of a module: what may be broken here and whole in the other module. The hardware is the same for both, so
//! what is wrong with it is repaired by the audit, and is no reason to fail over.

use crate::master::Master;
use hitless_common::map::vlans::ENTRIES;

/// Words of the memory that is tested.
const WORDS: usize = 8_192;

/// The self-test and what it remembers.
pub struct Diagnostics {
    memory: Vec<u64>,
    pattern: u64,
    fails_next: bool,
}

impl Default for Diagnostics {
    fn default() -> Self {
        let pattern = 0x5555_aaaa_3333_cccc;
        Self {
            memory: vec![pattern; WORDS],
            pattern,
            fails_next: false,
        }
    }
}

impl Diagnostics {
    /// Has the next test fail, by request.
    pub fn fail_next(&mut self) {
        self.fails_next = true;
    }

    /// Tests the module; what is broken, in a sentence.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn test(&mut self, master: &Master) -> Result<(), String> {
        if std::mem::take(&mut self.fails_next) {
            return Err("a failure by request".into());
        }
        self.test_memory()?;
        master
            .hardware
            .meta
            .check()
            .map_err(|why| format!("META can not be read through this module's mapping: {why}"))?;
        master
            .hardware
            .self_test()
            .map_err(|e| format!("the hardware can not be used by this module: {e}"))?;
        let vlans = master.vlans().len();
        if vlans != ENTRIES as usize {
            return Err(format!(
                "the software copy of VLANS has {vlans} entries, not {ENTRIES}"
            ));
        }
        let table = master.learning.table();
        if !master.learning.is_settling() && table.len() > table.buckets().saturating_mul(4) {
            return Err(format!(
                "the software copy of the FDB says {} entries in {} buckets",
                table.len(),
                table.buckets()
            ));
        }
        Ok(())
    }

    /// Every bit is read as it was written, both ways in turns.
    fn test_memory(&mut self) -> Result<(), String> {
        let (was, next) = (self.pattern, !self.pattern);
        for (place, word) in self.memory.iter_mut().enumerate() {
            if *word != was {
                return Err(format!(
                    "memory: word {place} of the test pattern reads {word:#x}, not {was:#x}"
                ));
            }
            *word = next;
        }
        self.pattern = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_10_a_bit_that_flips_is_found() {
        let mut diagnostics = Diagnostics::default();
        assert_eq!(diagnostics.test_memory(), Ok(()));
        assert_eq!(diagnostics.test_memory(), Ok(()));
        diagnostics.memory[77] ^= 1 << 40;
        let error = diagnostics.test_memory().unwrap_err();
        assert!(error.contains("word 77"), "{error}");
    }
}
